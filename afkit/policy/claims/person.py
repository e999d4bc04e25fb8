"""Who a person is among an issuer's people: the key that never changes, and the login name. Pure.

Source: facility-file.md, ``key_claim``, ``username_claim``, ``username``. The name of a claim is a name, never a path.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from afkit.errors import IdentityError
from afkit.facility.model import Issuer
from afkit.policy.claims.text import MOST_BYTES, Claims, text
from afkit.policy.text import quoted

__all__ = ["check_name", "check_person", "key_of", "name_of"]

_GOOD: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?", re.ASCII)
"""Visible ASCII, with spaces inside at most."""
_BLANK: Final = re.compile(r"\{(value|local)\}")
_VOPERSON: Final = "voperson_id"
_PROGRAMS: Final = ("svc:", "service-account-")
"""Names that begin so are no person's: Keycloak names the accounts of programs so, and ``svc:`` is kept for those of a facility."""
_NO_KEY: Final = "Ask the administrators: the provider has to send this claim, as a text of ASCII."


def key_of(issuer: Issuer, claims: Claims) -> str:
    """What tells the person apart for ever among the issuer's people. Raises `IdentityError` (``no-key``, ``malformed``)."""
    claim = _key_claim(issuer, claims)
    key = text(claims, claim)
    if not key:
        raise IdentityError(f"Your login has no claim {quoted(claim)}, which tells people apart.", _NO_KEY, reason="no-key")
    if _GOOD.fullmatch(key) is None:
        raise IdentityError(f"The claim {quoted(claim)} of your login cannot tell people apart.", _NO_KEY, reason="no-key")
    return key


def name_of(issuer: Issuer, claims: Claims, key: str) -> str:
    """The login name: the issuer's template with the claim in it, or the key where the claim is missing.

    Raises `IdentityError` (``bad-name``, ``malformed``).
    """
    value = text(claims, _name_claim(issuer, claims))
    if value is None:
        value = key
    check_name(value)
    if issuer.username == "{value}":
        return value
    name = _filled(issuer.username, value)
    check_name(name)
    return name


def check_name(name: str) -> None:
    """Raise `IdentityError` for what is no login name: ASCII, visible, at most 255 characters, no ``/``, no name of a program."""
    wrong = _flaw(name)
    if wrong:
        hint = "Ask the administrators: `username_claim` of the facility file can name another claim."
        raise IdentityError(f"{quoted(name)} cannot be a login name: {wrong}.", hint, reason="bad-name")


def check_person(issuer: Issuer, claims: Claims) -> None:
    """Raise `IdentityError` for claims that a program has got for itself: its name could be the login name of a person."""
    who = claims.get("sub")
    if who is not None and issuer.dialect != "hub" and who in (issuer.client_id, claims.get("azp"), claims.get("client_id")):
        raise IdentityError("These are the claims of a program, not of a person.", "Log in with a browser.", reason="not-a-person")


def _filled(template: str, value: str) -> str:
    """The template with its blanks filled, once: what a person brings is never filled again."""
    if "{local}" not in template:
        return template.replace("{value}", value)
    local = value.partition("@")[0]
    check_name(local)
    if "{value}" not in template:
        return template.replace("{local}", local)
    filling = {"value": value, "local": local}
    return _BLANK.sub(lambda blank: filling[blank[1]], template)


def _key_claim(issuer: Issuer, claims: Claims) -> str:
    if issuer.dialect == "hub":
        return "name" if claims.get("name") is not None else issuer.username_claim
    if issuer.key_claim is not None:
        return issuer.key_claim
    return _VOPERSON if issuer.dialect == "aarc" and claims.get(_VOPERSON) is not None else "sub"


def _name_claim(issuer: Issuer, claims: Claims) -> str:
    return _key_claim(issuer, claims) if issuer.dialect == "hub" else issuer.username_claim


@lru_cache(maxsize=4096)
def _flaw(name: str) -> str:
    if _GOOD.fullmatch(name) is None:
        if not name:
            return "it is empty"
        return "it has characters that cannot be seen" if name.isascii() else "it has other characters than ASCII, which look like these"
    if len(name) > MOST_BYTES:
        return f"it is longer than {MOST_BYTES} characters"
    if "/" in name or name in (".", ".."):
        return "it would be read as a path"
    return "such a name is a program's" if name.startswith(_PROGRAMS) else ""
