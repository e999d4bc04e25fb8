"""What a token must say to be accepted, once its signature is good. Pure: the clock is an argument, in seconds since the epoch.

Source: WLCG Common JWT Profiles 1.3 (required claims, ``wlcg.ver``, audiences, lifetimes, 60 s for ``nbf`` and none after ``exp``);
OpenID Connect Core 1.0, section 3.1.3.7 (ID tokens); RFC 9068 (``at+jwt``).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.oidc.jws import Unverified
from afkit.oidc.reasons import refusal

__all__ = ["ANY_AUDIENCE", "LONGEST", "SKEW", "Trusted", "check_access", "check_given", "check_login", "check_renewed"]

SKEW: Final = 60
"""Seconds by which the clock of an issuer may be ahead. Behind, there is no grace: what has expired has expired."""
LONGEST: Final = 6 * 3600
"""Seconds that an access or ID token may live, by the WLCG profile."""
ANY_AUDIENCE: Final = "https://wlcg.cern.ch/jwt/v1/any"
_LATEST: Final = 253_402_300_800
"""The year 10000."""
_MOST_AUDIENCES: Final = 100
_MOST_TEXT: Final = 255
_VERSION: Final = re.compile(r"([0-9]{1,9})\.[0-9]{1,9}", re.ASCII)
_MAJOR: Final = 1
_ONLY_ID: Final = ("at_hash", "c_hash", "s_hash")
_NO_ACCESS: Final = frozenset(("id", "refresh", "offline", "logout"))
"""Kinds that Keycloak writes in the claim ``typ``; of an access token it says ``Bearer``."""
_NO_ID: Final = frozenset(("at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt"))


@dataclass(frozen=True, slots=True)
class Trusted:
    """An issuer whose tokens are accepted, and for whom they have to be.

    ``issuer`` is compared letter by letter. ``audiences``: an access token is for at least one of them; an ID token for
    ``client_id``. ``wlcg``: the rules of the WLCG profile hold too. ``any_audience``: so does its audience for everybody, for access
    tokens only. ``longest``: seconds from ``iat`` to ``exp``.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    client_id: str = ""
    wlcg: bool = False
    any_audience: bool = False
    longest: int = LONGEST


def check_access(token: Unverified, trusted: Trusted, now: float) -> None:
    """Raise `IdentityError` unless it is an access token for here, and it is time."""
    claims = token.claims
    _check_kind(token)
    accepted = {*trusted.audiences, *((ANY_AUDIENCE,) if trusted.any_audience else ())}
    if accepted.isdisjoint(_audiences(claims)):
        raise refusal("audience", "The token is for somebody else.")
    _check_common(claims, trusted, now)


def check_given(token: Unverified, trusted: Trusted, now: float) -> None:
    """Raise `IdentityError` unless it is an access token that was given to ``client_id``, for whomever, and it is time."""
    _check_kind(token)
    claims = token.claims
    parties = [claims[name] for name in ("azp", "client_id") if name in claims]
    if not trusted.client_id or not parties or any(party != trusted.client_id for party in parties):
        raise refusal("audience", "The token was given to another client than this hub.")
    _check_common(claims, trusted, now)


def check_login(token: Unverified, trusted: Trusted, now: float, nonce: str) -> None:
    """Raise `IdentityError` unless it is the ID token of the login that was begun with ``nonce``, for ``client_id``, and it is time."""
    _check_id(token, trusted, now)
    said = token.claims.get("nonce")
    if not isinstance(said, str) or not nonce or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise refusal("nonce", "The token belongs to another login than the one that was begun.")


def check_renewed(token: Unverified, trusted: Trusted, now: float, subject: str) -> None:
    """Raise `IdentityError` unless it is an ID token of the same person that came with a renewal (section 12.2: no nonce is needed)."""
    _check_id(token, trusted, now)
    if token.claims.get("sub") != subject:
        raise refusal("wrong-kind", "The token is of somebody else than before.")


def _check_kind(token: Unverified) -> None:
    """Raise `IdentityError` for what is certainly no access token."""
    claims = token.claims
    kind = claims.get("typ")
    if (
        any(name in claims for name in _ONLY_ID)
        or (isinstance(kind, str) and kind.lower() in _NO_ACCESS)
        or ("nonce" in claims and token.kind != "at+jwt" and kind != "Bearer")
        or "events" in claims
    ):
        raise refusal("wrong-kind", "The token is no access token.")


def _check_id(token: Unverified, trusted: Trusted, now: float) -> None:
    claims = token.claims
    kind = claims.get("typ", "ID")
    if token.kind in _NO_ID or "events" in claims or not isinstance(kind, str) or kind.lower() != "id":
        raise refusal("wrong-kind", "The token is no ID token.")
    audiences = _audiences(claims)
    if not trusted.client_id or trusted.client_id not in audiences:
        raise refusal("audience", "The token is for another client than this hub.")
    party = claims.get("azp")
    if (party is not None or len(audiences) > 1) and party != trusted.client_id:
        raise refusal("audience", "The token was given to another client than this hub (azp).")
    _check_common(claims, trusted, now)


def _check_common(claims: Mapping[str, Any], trusted: Trusted, now: float) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isascii() or not 0 < len(subject) <= _MOST_TEXT:
        raise refusal("malformed", f"The token does not say of whom it is (sub), in ASCII, in at most {_MOST_TEXT} characters.")
    _check_times(claims, trusted, now)
    if trusted.wlcg:
        _check_version(claims)
        if not isinstance(claims.get("jti"), str):
            raise refusal("malformed", "The token has no name of its own (jti), which the WLCG profile requires.")


def _check_times(claims: Mapping[str, Any], trusted: Trusted, now: float) -> None:
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if now >= expires:
        raise refusal("expired", "The token has expired.")
    if issued > now + SKEW or ("nbf" in claims and _time(claims, "nbf", least=0) > now + SKEW):
        raise refusal("not-yet-valid", "The token is not valid yet.")
    if not 0 < expires - issued <= trusted.longest:
        raise refusal("lifetime", f"The token is valid for longer than {trusted.longest} seconds.")


def _time(claims: Mapping[str, Any], name: str, least: int = 1) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _LATEST:
        raise refusal("malformed", f"The token has no time {name!r} in whole seconds.")
    return value


def _audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """For whom a token is; one text is one audience."""
    value = claims.get("aud")
    listed = [value] if isinstance(value, str) else value
    if (
        not isinstance(listed, list)
        or not listed
        or len(listed) > _MOST_AUDIENCES
        or not all(isinstance(one, str) and one for one in listed)
    ):
        raise refusal("audience", "The token does not say for whom it is (aud).")
    return tuple(listed)


def _check_version(claims: Mapping[str, Any]) -> None:
    """A newer minor version is accepted, another major one is not."""
    version = claims.get("wlcg.ver")
    found = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if found is None or int(found[1]) != _MAJOR:
        raise refusal("wrong-version", "The token follows no version of the WLCG profile that is known (wlcg.ver).")
