"""Entitlements of AARC's guidelines → groups. Pure.

Sources: AARC-G069 (and G002, which it replaces): ``NAMESPACE:group:GROUP[:SUBGROUP]…[:role=ROLE][#AUTHORITY]``, where the namespace is
``urn:NID:DELEGATED[:SUB]…``; AARC-G027 (``:res:``) for capabilities, which are no groups; RFC 8141: of a URN ``urn`` and the NID are
compared without case, everything else with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from afkit.facility.model import Issuer
from afkit.policy.claims.text import Claims, entries, flaw, ignored
from afkit.policy.model import Ignored
from afkit.policy.text import quoted

__all__ = ["aarc_groups", "entitlement_group"]

CLAIMS: Final = ("entitlements", "eduperson_entitlement")
_URN: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""Characters of the part before ``#`` (RFC 8141, NSS); ``?`` begins components that no group has."""
_APART: Final = frozenset("/;:#")
"""What stands between the parts of a canonical group, or of an entitlement: in a name it would make it another group's."""
_ROLE: Final = "role="
_MEMBER: Final = "member"
"""The role that everybody in a group has: it says no more than the group."""
_NAMESPACE: Final = 3
"""A namespace has at least so many parts: ``urn``, NID, the delegated namespace."""


def aarc_groups(issuer: Issuer, claims: Claims, out: list[Ignored]) -> list[str]:
    """Groups as ``vo.example.org/team;role=manager``. Raises `IdentityError` for a claim that is no list of texts."""
    groups: list[str] = []
    values = [value for claim in CLAIMS for value in entries(claims, claim)]
    for value in dict.fromkeys(values):
        group, why = entitlement_group(value, issuer.authorities)
        if why:
            out.append(ignored(value, why))
        else:
            groups.append(group)
    return groups


@lru_cache(maxsize=4096)
def entitlement_group(value: str, accepted: tuple[str, ...]) -> tuple[str, str]:
    """The group of one entitlement and ``""``, or ``""`` and why it is none.

    ``accepted`` are authorities and namespaces (which begin with ``urn:``). A namespace has to be among them; where they name
    none, the authority has to. An authority that is given has to be among them in any case.
    """
    urn, mark, authority = value.partition("#")
    parts = urn.split(":")
    why = _shape(urn, parts) or _accepted(parts[: _end(parts)], mark, authority, accepted)
    return ("", why) if why else _named(parts[_end(parts) + 1 :])


def _named(names: Sequence[str]) -> tuple[str, str]:
    """The group of the names after ``group``, of which the last may be a role; or why it is none."""
    has_role = names[-1].startswith(_ROLE)
    written = [*names[:-1], names[-1].removeprefix(_ROLE)]
    if has_role and len(written) == 1:
        return "", "names a role and no group"
    decoded = []
    for name in written:
        text = _decoded(name)
        if text is None:
            return "", f"has the name {quoted(name)} in it, which is none"
        decoded.append(text)
    if not has_role:
        return "/".join(decoded), ""
    group, role = "/".join(decoded[:-1]), decoded[-1]
    return (group if role == _MEMBER else f"{group};{_ROLE}{role}"), ""


def _end(parts: Sequence[str]) -> int:
    """Where the namespace ends: at the first ``group`` after its least parts; the whole length where there is none."""
    try:
        return parts.index("group", _NAMESPACE)
    except ValueError:
        return len(parts)


def _shape(urn: str, parts: Sequence[str]) -> str:
    if parts[0].lower() != "urn":
        return "is no URN, so it names no group"
    if _URN.fullmatch(urn) is None:
        return "has characters that no URN has"
    end = _end(parts)
    if end == len(parts):
        return "is a capability (AARC-G027), no group" if "res" in parts[_NAMESPACE:] else "names no group"
    return "" if len(parts) > end + 1 else "names no group"


def _accepted(namespace: Sequence[str], mark: str, authority: str, accepted: tuple[str, ...]) -> str:
    namespaces, authorities = _split(accepted)
    if mark and authority not in authorities:
        return f"is vouched for by {quoted(authority)}, which is not among this issuer's 'authorities'"
    if namespaces or not mark:
        written = _namespace(namespace)
        if written not in namespaces:
            return f"is of the namespace {quoted(written)}, which is not among this issuer's 'authorities'"
    return ""


@lru_cache(maxsize=64)
def _split(accepted: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Namespaces and authorities."""
    urns = [one for one in accepted if one[:4].lower() == "urn:"]
    return frozenset(_namespace(urn.split(":")) for urn in urns), frozenset(accepted) - frozenset(urns)


def _namespace(parts: Sequence[str]) -> str:
    return ":".join((*(part.lower() for part in parts[:2]), *parts[2:]))


def _decoded(name: str) -> str | None:
    """A name with its percent-encoding undone, once; ``None`` where it is empty or could be read as more than a name."""
    text = name
    if "%" in name:
        try:
            text = unquote_to_bytes(name).decode()
        except UnicodeDecodeError:
            return None
    return None if not text or text.startswith(_ROLE) or not _APART.isdisjoint(text) or flaw(text) else text
