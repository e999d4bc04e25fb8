"""The scopes that open the facility's services to people and to their servers.

Without ``access:services!service=…`` the hub answers 403. A server's token gets it only when the server asks for it and its
owner has it, so both are set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from jupyterhub import orm
from jupyterhub.utils import maybe_future

__all__ = ["SERVICES", "grant_services", "server_scopes", "service_scopes"]

SERVICES: Final = ("dask", "tokens")
"""Services of the facility, by their names in ``c.JupyterHub.services``."""


def service_scopes(app: Any) -> tuple[str, ...]:
    """The scopes for those of the facility's services that the hub has."""
    names = {service.get("name") for service in app.services}
    return tuple(f"access:services!service={name}" for name in SERVICES if name in names)


def grant_services(app: Any) -> None:
    """Give every user the facility's services. JupyterHub 6 has a setting for that, 5 only its role ``user``."""
    scopes = service_scopes(app)
    if not scopes:
        return
    redefined = any(role["name"] == "user" and "scopes" in role for role in app.load_roles)
    if hasattr(app, "extra_user_scopes"):
        app.extra_user_scopes = {*app.extra_user_scopes, *scopes}
    # the setting is ignored where an administrator redefines the role
    if redefined or not hasattr(app, "extra_user_scopes"):
        app.load_roles = _with_user_scopes(app.load_roles, scopes)


def _with_user_scopes(load_roles: list[dict[str, Any]], scopes: tuple[str, ...]) -> list[dict[str, Any]]:
    own: dict[str, Any] = next((role for role in load_roles if role["name"] == "user"), {"name": "user"})
    others = [role for role in load_roles if role is not own]
    return [*others, {**own, "scopes": sorted({*own.get("scopes", ["self"]), *scopes})}]


def server_scopes(app: Any, configured: Any) -> Any:
    """The scopes that a server's token asks for: those that are configured (a list or a function), and the facility's services."""
    scopes = service_scopes(app)
    return _with(scopes, configured) if scopes else configured


def _with(scopes: tuple[str, ...], configured: Any) -> Callable[[Any], Any]:
    async def asked(spawner: Any) -> list[str]:
        own = await maybe_future(configured(spawner)) if callable(configured) else configured
        # nothing configured means the role "server" to the hub
        return [*(own or orm.Role.find(spawner.user.db, "server").scopes), *scopes]

    return asked
