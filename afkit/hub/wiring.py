"""How afkit gets into a JupyterHub that is being configured: two traits of the application are observed.

``session_factory`` is set when all configuration is read and before roles, users and settings are made; ``handlers`` is set
once, after the database is filled and before the web application is made. So it does not matter what an administrator configures, or in
which order: lists are added to, nothing is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from jupyterhub.apihandlers import auth
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.app import JupyterHub
from jupyterhub.handlers.base import BaseHandler

from afkit.errors import AfkitError
from afkit.facility.follow import FacilitySource
from afkit.facility.model import Facility
from afkit.hub import dask, events, form, gate_pages, gate_rest
from afkit.hub.desk import Desk
from afkit.hub.lifetime import Keeper
from afkit.hub.mixin import AfkitMixin
from afkit.hub.pages import Pages
from afkit.hub.people import Mirror
from afkit.hub.scopes import grant_services
from afkit.hub.settings import configured
from afkit.quantities import UNSET, Unset

__all__ = ["install", "install_where_running"]

_INSTALLED = "_afkit_installed"


def install(app: JupyterHub) -> None:
    """Observe the application, once."""
    if not getattr(app, _INSTALLED, False):
        setattr(app, _INSTALLED, True)
        app.observe(lambda change: _prepare(change.owner), names="session_factory")
        app.observe(lambda change: _mount(change.owner), names="handlers")


def install_where_running() -> None:
    """Observe the application that is being configured; where there is none (help, tests), nothing happens."""
    if JupyterHub.initialized():
        install(JupyterHub.instance())


def _prepare(app: JupyterHub) -> None:
    """The desk, pages, named servers, scopes: all that must be there before roles, users and settings are made."""
    spawner = app.spawner_class
    if not issubclass(spawner, AfkitMixin):
        raise AfkitError(
            f"The hub's spawner is {spawner.__name__}, which asks nobody who may start what.",
            "Leave c.JupyterHub.spawner_class as afkit sets it, or set a subclass of AfkitLocalSpawner.",
        )
    ours = logging.getLogger("afkit")  # the hub's own lines have their time and level by its handlers; ours are like them
    ours.parent, ours.propagate = app.log, True
    ours.setLevel(app.log.getEffectiveLevel())
    path = configured(app, spawner, "facility_file")
    if not path:
        raise AfkitError("The hub has no facility file.", f"Set c.{spawner.__name__}.facility_file, or call afkit.hub.configure.")
    source = FacilitySource(path, configured(app, spawner, "people"), app.log, spawner.facility_traits)
    desk = Desk(app, source, spawner.make_place(app, source.current()))
    app.tornado_settings = {**app.tornado_settings, "afkit": desk}
    events.register(app.eventlog)
    _add_pages(app, desk)
    _named_servers(app, desk, source.current())
    dask.register(app, source.current())
    grant_services(app)


def _add_pages(app: JupyterHub, desk: Desk) -> None:
    # an administrator's templates first, then ours, then JupyterHub's (which it appends itself)
    stock = [path for path in app.template_paths if Path(path, "page.html").exists() and Path(path, "spawn_pending.html").exists()]
    own = [path for path in app.template_paths if path not in stock]
    app.template_paths = [*own, form.template_path(), str(Path(__file__).parent / "templates"), *stock]
    app.template_vars = {**form.template_vars(), "afkit": Pages(desk), **app.template_vars}
    app.extra_handlers = [*app.extra_handlers, *form.routes()]


def _named_servers(app: JupyterHub, desk: Desk, facility: Facility) -> None:
    """More than one server a person needs JupyterHub's named servers; an administrator's own setting stays."""
    hub = app.config.get("JupyterHub", {})
    if "named_server_limit_per_user" not in hub:
        app.named_server_limit_per_user = desk.named_servers
    if "allow_named_servers" not in hub:
        _allow_named_servers(app, facility)
        desk.source.on_change(lambda changed: _allow_named_servers(app, changed))


def _allow_named_servers(app: JupyterHub, facility: Facility) -> None:
    app.allow_named_servers = any(_several(limit.servers) for limit in facility.limits.values())
    application = getattr(app, "tornado_application", None)
    if application is not None:
        # the hub runs: it has copied the trait to its settings, the web application's copy of them, and everybody it knows
        for settings in (app.tornado_settings, application.settings):
            settings["allow_named_servers"] = app.allow_named_servers
        for user in app.users.values():
            user.allow_named_servers = app.allow_named_servers


def _several(servers: int | Unset | None) -> bool:
    return servers is None or (servers is not UNSET and servers > 1)


def _mount(app: JupyterHub) -> None:
    """Guards in front of the hub's own routes, groups and people in its database, the keeper of lifetimes."""
    desk: Desk = app.tornado_settings["afkit"]
    desk.only_local = getattr(app.authenticator, "only_local_people", False)
    # each in its own place: in front of all, the guard of the catch-all below /api/ would take the routes that are left alone
    app.handlers[:] = [(route[0], _guarded(route[1]), *route[2:]) if _is_hubs_own(route[1]) else route for route in app.handlers]
    desk.logins = getattr(app.authenticator, "logins", None)
    mirror = Mirror(app, app.log, only_local=desk.only_local, logins=desk.logins)
    mirror.sync(desk.facility)
    desk.source.on_change(mirror.sync)
    keeper = Keeper(desk, configured(app, app.spawner_class, "lifetime_interval"))
    loop = asyncio.get_running_loop()
    desk.tasks = [loop.create_task(keeper.run()), loop.create_task(desk.place.look_after(desk))]


def _is_hubs_own(handler: Any) -> bool:
    if not isinstance(handler, type) or not issubclass(handler, BaseHandler):
        return False
    # OAuth has forms of its own there, which every single-user server sends
    return handler.__module__.startswith("jupyterhub.") and handler.__module__ != auth.__name__


def _guarded(handler: type) -> type:
    return gate_rest.guarded(handler) if issubclass(handler, APIHandler) else gate_pages.guarded(handler)
