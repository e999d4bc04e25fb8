"""Who the hub's users are to the facility, and the facility's groups as JupyterHub groups.

Roles of JupyterHub can name the facility's groups, so groups and local people are in the hub's database before anybody logs
in, and follow the file when it changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final

from jupyterhub import orm, roles
from jupyterhub.utils import maybe_future

from afkit.errors import IdentityError, NotEntitledError
from afkit.facility.model import Facility
from afkit.hub.known import Known, identity_of
from afkit.hub.logins import Logins
from afkit.hub.refusal import LoginRefused
from afkit.policy.entitle import entitle, hub_identity, hubs_issuers, local_identity
from afkit.policy.model import Entitlements, Identity
from afkit.policy.text import ask

__all__ = ["Mirror", "claims", "entitlements", "identity", "is_local_person", "local_people"]

_NOT_ALLOWED: Final = "You are in none of the groups that may log in to this facility."


def local_people(facility: Facility) -> tuple[str, ...]:
    """Login names of the facility's own people (`--user` among them)."""
    return tuple(facility.identity.local or ()) if facility.identity else ()


def is_local_person(facility: Facility, name: str) -> bool:
    """Whether the facility names this person itself."""
    return name in local_people(facility)


def entitlements(
    facility: Facility,
    name: str,
    hub_groups: Callable[[], Iterable[str]] = tuple,
    *,
    only_local: bool = False,
    logins: Logins | None = None,
) -> Entitlements:
    """The facility groups of one of the hub's users.

    ``hub_groups`` gives their JupyterHub groups, which the database is asked for only where they count: as claim groups, where
    the facility has an issuer of dialect ``hub``.
    ``only_local``: the hub lets in local people only. ``logins``: it lets in people of the file's providers only. Raises
    `NotEntitledError` for anybody else (they left, or an administrator made a user of that name).
    """
    return entitle(facility, identity(facility, name, hub_groups, only_local=only_local, logins=logins))


def identity(
    facility: Facility,
    name: str,
    hub_groups: Callable[[], Iterable[str]] = tuple,
    *,
    only_local: bool = False,
    logins: Logins | None = None,
) -> Identity:
    """Who one of the hub's users is; arguments and errors are those of `entitlements`.

    Where people are those of JupyterHub's own authenticator (dialect ``hub``), nobody is one of the facility's own by name.
    """
    if logins is not None:
        return _logged_in(facility, name, logins.find(name))
    if is_local_person(facility, name) and (only_local or not _has_own_authenticator(facility)):
        return local_identity(facility, name)
    if only_local:
        raise NotEntitledError(
            f"This facility has nobody with the login name {name[:80].encode('unicode_escape').decode('ascii')!r}.",
            "An administrator can add people to identity.local of the facility file.",
        )
    return hub_identity(facility, name, hub_groups)


def _logged_in(facility: Facility, name: str, known: Known | None) -> Identity:
    """Somebody of a provider. Whoever the file names itself is nobody here: they have no way to log in."""
    if known is None:
        shown = name[:80].encode("unicode_escape").decode("ascii")
        raise NotEntitledError(f"Nobody has logged in as {shown!r} yet.", "Their groups come with their login.")
    issuer = hubs_issuers(facility).get(known.issuer)
    if issuer is None or issuer.url != known.url:
        message = f"This facility has no issuer {known.issuer!r} any more, through which you have logged in."
        raise NotEntitledError(message, "Log in again.")
    who = identity_of(known)
    if not _may_log_in(facility, entitle(facility, who)):
        raise NotEntitledError(_NOT_ALLOWED, ask(facility))
    return who


def claims(auth_state: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What is known of a login by claim: what the authenticator notes, and beside it what it was told by the provider."""
    noted = auth_state or {}
    # where all authenticators of oauthenticator keep the provider's claims
    told = noted.get("oauth_user")
    return {**told, **noted} if isinstance(told, Mapping) else noted


class Mirror:
    """Keeps the facility's groups, local people and administrators in the hub's database.

    Only groups that a facility file has named are touched, so an administrator's own groups stay as they are.
    """

    def __init__(self, app: Any, log: logging.Logger, *, only_local: bool, logins: Logins | None = None) -> None:
        self._app = app
        self._log = log
        self._only_local = only_local
        self._logins = logins
        self._known: set[str] = set()
        self._facility: Facility | None = None
        self._hook: Callable[..., Any] | None = app.authenticator.post_auth_hook
        app.authenticator.post_auth_hook = self._logged_in

    async def _logged_in(self, authenticator: Any, handler: Any, model: Any) -> Any:
        """JupyterHub's hook for a login, after the administrator's own: what the facility says of somebody counts from there on."""
        if self._hook is not None:
            model = await maybe_future(self._hook(authenticator, handler, model))
        if not model or self._facility is None:
            return model
        told = model.get("groups") if authenticator.manage_groups else None
        try:
            granted = self._granted(self._facility, model["name"], told)
        except NotEntitledError:
            return model
        self._check_allowed(self._facility, granted)
        more: dict[str, Any] = {"admin": True} if granted.admin else {}
        if told is not None:
            # the hub takes all others from the person
            more["groups"] = _beside(told, granted.groups, self._facility.groups)
        return {**model, **more}

    def _check_allowed(self, facility: Facility, granted: Entitlements) -> None:
        """Refuse who may not log in, where people are those of JupyterHub's own authenticator: the file's own has asked before."""
        if self._logins is not None or not _has_own_authenticator(facility) or _may_log_in(facility, granted):
            return
        self._log.info("Login of %s refused, not-allowed", granted.user)
        raise LoginRefused(403, IdentityError(_NOT_ALLOWED, ask(facility)), "not-allowed")

    def _granted(self, facility: Facility, name: str, told: Iterable[str] | None) -> Entitlements:
        """What somebody who logs in has: by the groups that the provider tells now, else by those that the hub has kept."""

        def known() -> Iterable[str]:
            if told is not None:
                return told
            user = orm.User.find(self._app.db, name)
            return [group.name for group in user.groups] if user else ()

        return entitlements(facility, name, known, only_local=self._only_local, logins=self._logins)

    def sync(self, facility: Facility) -> None:
        """Make the database say what the facility says."""
        self._facility = facility
        db = self._app.db
        gone = self._known - facility.groups.keys()
        self._known |= facility.groups.keys()
        groups = {name: self._group(name) for name in facility.groups}
        for name in local_people(facility) if self._logins is None else ():
            if self._app.authenticator.validate_username(name) and orm.User.find(db, name) is None:
                self._log.info("The hub has a new user %s: local person of the facility", name)
                db.add(orm.User(name=name))
        db.flush()
        for user in db.query(orm.User):
            self._sync_user(facility, user, groups)
        for name in gone:
            group = orm.Group.find(db, name)
            if group is not None:
                group.users = []
        self._known -= gone
        db.commit()

    def _group(self, name: str) -> Any:
        db = self._app.db
        group = orm.Group.find(db, name)
        if group is None:
            group = orm.Group(name=name)
            db.add(group)
        return group

    def _sync_user(self, facility: Facility, user: Any, groups: dict[str, Any]) -> None:
        try:
            granted = self._granted(facility, user.name, [group.name for group in user.groups])
        except NotEntitledError:
            granted = Entitlements(user.name, ())
        for name, group in groups.items():
            if name in granted.groups and group not in user.groups:
                user.groups.append(group)
            elif name not in granted.groups and group in user.groups:
                user.groups.remove(group)
        self._sync_admin(user, granted)

    def _sync_admin(self, user: Any, granted: Entitlements) -> None:
        admin = granted.admin or user.name in self._app.authenticator.admin_users
        if user.admin != admin and (admin or self._only_local or self._logins is not None):
            self._log.info("%s is %s administrator of the hub", user.name, "now an" if admin else "no longer an")
            user.admin = admin
        roles.assign_default_roles(self._app.db, entity=user)


def _has_own_authenticator(facility: Facility) -> bool:
    """Whether people are those of JupyterHub's own authenticator, by the file (dialect ``hub``)."""
    return any(issuer.dialect == "hub" for issuer in (facility.identity.issuers.values() if facility.identity else ()))


def _may_log_in(facility: Facility, granted: Entitlements) -> bool:
    allow = facility.identity.allow if facility.identity else ()
    return not frozenset(allow).isdisjoint(granted.groups)


def _beside(told: Iterable[str], granted: Iterable[str], ours: Container[str]) -> list[str]:
    """The provider's groups, and of the facility's those that somebody has: one of the provider's with such a name is none of them."""
    return [*(name for name in told if name not in ours), *(name for name in granted if name in ours)]
