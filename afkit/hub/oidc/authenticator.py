"""The authenticator that JupyterHub knows: it holds a child for each issuer of the facility file, and what they have in common."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.utils import url_path_join
from tornado import web
from traitlets import Set, Unicode, default

from afkit.errors import IdentityError
from afkit.facility.model import Facility, IdentityRules, Issuer
from afkit.hub.gate_pages import guarded
from afkit.hub.logins import Logins
from afkit.hub.oidc.child import IssuerAuthenticator, Said
from afkit.hub.oidc.deciding import Admitted, admitted
from afkit.hub.oidc.firsts import check_power, take_over
from afkit.hub.oidc.pages import BeginPage, CallbackPage, ChoicePage, refusing
from afkit.hub.oidc.renewal import Renewals
from afkit.oidc import Providers
from afkit.policy.entitle import hubs_issuers

__all__ = ["AfkitOIDCAuthenticator"]

_YEARS = 10.0**9
"""Seconds: no token lives longer."""
_ISSUER = "([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)"


class AfkitOIDCAuthenticator(Authenticator):
    """Logs people in through the OpenID providers of the facility file (``identity.issuers``), which also says who may come in.

    Each login name belongs to the first person who used it, for ever: who that is says the issuer's key of them, never a name
    or an address. Groups are those of the facility.
    """

    of_providers = True
    """People come from the providers of the facility file."""

    keys_dir = Unicode(
        "afkit-issuers",
        help="""
        Folder in which the keys of providers are kept, so that a restart while one of them is down changes nothing.

        It is made when it is missing. Nobody but the hub's user may write there: what it has is believed.
        """,
    ).tag(config=True)

    known_users = Set(
        Unicode(),
        help="""
        Login names of people who used this hub before it knew providers, and who are still the same.

        Anybody else who comes with the name of somebody who was here before is refused. At their first login all their tokens end.
        """,
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.providers = Providers(Path(self.keys_dir).absolute() if self.keys_dir else None)
        self._children: dict[str, IssuerAuthenticator] = {}
        self._logins: Logins | None = None
        self._renewals = Renewals(self, self.log)
        if self.username_map:
            self.log.warning("username_map counts for nothing here: `username` of an issuer in the facility file makes login names")
        self._chosen_auto_login = any("auto_login" in self.config.get(section, {}) for section in self.section_names())

    @default("any_allow_config")
    def _any_allow_config_default(self) -> bool:
        return True  # the facility file says who may log in

    @default("manage_groups")
    def _manage_groups_default(self) -> bool:
        return True

    @default("enable_auth_state")
    def _enable_auth_state_default(self) -> bool:
        return bool(os.environ.get("JUPYTERHUB_CRYPT_KEY"))

    @default("auth_refresh_age")
    def _auth_refresh_age_default(self) -> int:
        return self.rules().refresh

    @default("refresh_pre_spawn")
    def _refresh_pre_spawn_default(self) -> bool:
        return True  # a server starts with the groups of now

    @property
    def logins(self) -> Logins:
        """Whose login names are."""
        if self._logins is None:
            self._logins = Logins(self.parent.db)
        return self._logins

    def issuers(self) -> Mapping[str, Issuer]:
        """The providers of the facility file as it stands."""
        return hubs_issuers(self._facility())

    def rules(self) -> IdentityRules:
        """What the file says of logins."""
        return self._facility().identity or IdentityRules()

    def child(self, name: str) -> IssuerAuthenticator:
        """The child of an issuer. Raises a 404 where the file has none of that name."""
        facility = self._facility()
        issuer = hubs_issuers(facility).get(name)
        if issuer is None:
            raise web.HTTPError(404, "This facility has no such provider.")
        known = self._children.get(name)
        if known is None or known.issuer != issuer:
            known = self._children[name] = IssuerAuthenticator(issuer, facility, self.providers, parent=self)
        return known

    def look_again(self) -> None:
        """Whether the login page is left out follows the file: where there is one provider, it is."""
        if not self._chosen_auto_login:
            self.auto_login = len(self.issuers()) == 1

    def login_url(self, base_url: str) -> str:
        """The only provider's, else the page with the choice."""
        names = list(self.issuers())
        return str(url_path_join(base_url, *(("oauth_login", names[0]) if len(names) == 1 else ("login",))))

    def get_handlers(self, app: Any) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the hub's own signature
        """The pages of a login, with the guard that all pages have."""
        self.look_again()
        pages = ((r"/login", ChoicePage), (rf"/oauth_login/{_ISSUER}", BeginPage), (rf"/oauth_callback/{_ISSUER}", CallbackPage))
        return [(route, guarded(page)) for route, page in pages]

    def normalize_username(self, username: str) -> str:
        """As it is, and as it is bound to a person: two names that differ by a letter's case may be two people."""
        return username

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002  # as above
        """Whoever the facility file lets in; where an administrator lists ``allowed_users``, of those only they."""
        return not self.allowed_users or username in self.allowed_users

    async def authenticate(self, handler: Any, data: Any = None) -> dict[str, Any] | None:  # noqa: ARG002  # as above
        """Whoever comes back from a provider. Raises a 403 with the reason, a 503 where the provider cannot say."""
        pending = getattr(handler, "pending", None)
        if pending is None:
            return None
        with refusing():
            child = self.child(pending.issuer)
            try:
                said = await child.redeem(handler, pending)
                renews = self.enable_auth_state and isinstance(said.tokens.get("refresh_token"), str)
                found = self.admitted(child.issuer, said, renews=renews)
            except IdentityError as error:
                self.log.info("Login through %s refused, %s: %s", pending.issuer, error.reason, error.message)
                raise
        self.log.info("Login of %s through %s, groups %s", found.known.name, pending.issuer, list(found.entitlements.groups))
        return self.model(found, said.tokens, said.claims)

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:
        """What the provider says now, by one renewal at a time for each person. Never raises, and ends no session in an outage."""
        return await self._renewals.refresh(user, may_end=_is_browser(handler, user))

    def admitted(self, issuer: Issuer, said: Said, *, renews: bool) -> Admitted:
        """Who it is, kept under a name that nobody else has. ``renews``: the provider can be asked again. Raises `IdentityError`."""

        def known_as(key: str) -> str | None:
            known = self.logins.of(issuer.url or "", key)
            return known.name if known else None

        found = admitted(self._facility(), issuer, said.claims, known_as, time.time())
        found = replace(found, known=replace(found.known, renews=renews))
        name = found.known.name
        if name in self.blocked_users or not self.check_allowed(name):
            raise IdentityError("You may not log in to this hub.", "Ask the administrators of the facility.", reason="not-allowed")
        if self.logins.find(name) is None:
            check_power(self._facility(), issuer, name, self.admin_users)
            take_over(self.parent.db, name, self.known_users)
        self.logins.note(found.known)
        return found

    def model(self, found: Admitted, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
        """Somebody who was let in, as JupyterHub takes them."""
        facility, name = self._facility(), found.known.name
        return {
            "name": name,
            "admin": found.entitlements.admin or name in self.admin_users,
            "groups": [group for group in found.entitlements.groups if group in facility.groups],
            "auth_state": {
                "issuer": found.known.issuer,
                "url": found.known.url,
                "key": found.known.key,
                "verified": found.known.verified,
                **{key: tokens[key] for key in ("access_token", "refresh_token", "id_token", "scope") if key in tokens},
                "expires_at": _expires(tokens, found.known.verified),
                "oauth_user": dict(claims),
            },
        }

    def _facility(self) -> Facility:
        desk = self.parent.tornado_settings.get("afkit") if self.parent is not None else None
        if desk is None:
            raise RuntimeError("This hub has no facility file: call afkit.hub.configure, or set facility_file of its spawner.")
        found: Facility = desk.facility
        return found


def _is_browser(handler: Any, user: Any) -> bool:
    """Whether it is the person's own browser that asks: it can be sent to log in."""
    if handler is None or handler.get_auth_token() is not None:
        return False
    # JupyterHub 5 notes whose request it is only after it has asked here
    whose = getattr(handler, "_jupyterhub_user", None) or handler.get_current_user_cookie()
    return bool(whose is user)


def _expires(tokens: Mapping[str, Any], now: float) -> float | None:
    """When the access token ends, in seconds since the epoch; ``None`` where the provider does not say."""
    life = tokens.get("expires_in")
    if not isinstance(life, int | float) or isinstance(life, bool) or not 0 <= life <= _YEARS:
        return None
    return now + life
