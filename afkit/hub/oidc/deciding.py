"""What is decided at a login, without a hub: what is asked of a provider, which claims count, who may come in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.errors import IdentityError, ProviderError
from afkit.facility.model import Facility, Issuer
from afkit.hub.known import Known
from afkit.oidc import Trusted
from afkit.oidc.rules import LONGEST
from afkit.policy.claims import admit
from afkit.policy.model import Entitlements

__all__ = ["Admitted", "admitted", "anew", "merged", "scopes_of", "trusted_of"]

_PERSON: Final = ("openid", "profile", "email")
_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "wlcg": (*_PERSON, "offline_access", "wlcg.groups"),
    "aarc": (*_PERSON, "voperson_id", "entitlements"),
    "cilogon": (*_PERSON, "org.cilogon.userinfo"),
}
_OF_ACCESS: Final[Mapping[str, tuple[str, ...]]] = {"keycloak": ("resource_access",)}
"""Claims that a dialect's providers write into access tokens alone."""
_DAY: Final = 86_400
_OF_LOGIN: Final = ("wlcg.ver", "acr", "amr", "auth_time", "idp", "idp_name")
"""Claims of how somebody has logged in, which stay what they are until they do so again."""
_GROUPS: Final = ("wlcg.groups", "groups", "entitlements", "eduperson_entitlement", "isMemberOf", "resource_access")


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who may come in: what is kept of them, and the facility groups that they have."""

    known: Known
    entitlements: Entitlements = field(repr=False)


def scopes_of(issuer: Issuer) -> tuple[str, ...]:
    """What is asked for at a login: what the file says, else what the dialect's claims need."""
    wanted = issuer.scopes or _SCOPES.get(issuer.dialect, _PERSON)
    return tuple(dict.fromkeys(("openid", *wanted)))


def trusted_of(issuer: Issuer) -> Trusted:
    """Whose ID tokens are accepted. Outside WLCG they may live for a day: they are looked at once, in the moment they come."""
    url, client = issuer.url or "", issuer.client_id or ""
    return Trusted(url, client_id=client, wlcg=issuer.dialect == "wlcg", longest=LONGEST if issuer.dialect == "wlcg" else _DAY)


def merged(issuer: Issuer, login: Mapping[str, Any], userinfo: Mapping[str, Any], access: Mapping[str, Any]) -> dict[str, Any]:
    """All claims of a person. What the signed ID token says counts first, then userinfo.

    Raises `IdentityError` (``other-subject``) where they are not of one person (OpenID Connect Core 1.0, section 5.3.2).
    """
    for each in (userinfo, access):
        if each and each.get("sub") != login["sub"]:
            message = "The provider says two things about who you are."
            raise IdentityError(message, "Log in again, and tell the administrators if it stays.", reason="other-subject")
    more = {name: access[name] for name in _OF_ACCESS.get(issuer.dialect, ()) if name in access}
    return {**more, **userinfo, **login}


def anew(issuer: Issuer, told: Mapping[str, Any], userinfo: Mapping[str, Any], access: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a person whom a provider has confirmed without an ID token (OpenID Connect Core 1.0, section 12.2).

    How they logged in is as it was ``told``. Raises `ProviderError` where it had told groups and says nothing of such now.
    """
    kept = {name: told[name] for name in _OF_LOGIN if name in told}
    said = merged(issuer, {"sub": userinfo["sub"], "iss": issuer.url}, userinfo, access)
    silent = [name for name in _GROUPS if name in told and name not in said]
    if silent:
        raise ProviderError(f"The provider says nothing of {silent[0]} without a new login.", "Log in again.")
    return {**kept, **said}


def admitted(facility: Facility, issuer: Issuer, claims: Mapping[str, Any], known_as: Callable[[str], str | None], now: float) -> Admitted:
    """Who the claims say that it is, and that they may come in. ``known_as``: key → the login name that they have had so far.

    Raises `IdentityError`.
    """
    found = admit(facility, claims, issuer.name, known_as)
    who = found.identity()
    assert found.entitlements is not None, "nothing was refused"  # noqa: S101  # for the type alone
    return Admitted(Known(who.name, issuer.name, issuer.url or "", who.key, who.claim_groups, now), found.entitlements)
