"""How each dialect writes a person's groups, as the text that stands after ``<issuer>:``. Pure.

A dialect takes the issuer, the claims, and a list to which it adds what it ignores. It compares nothing and infers nothing: no
parent, no case, no slash more or less. Sources: WLCG Common JWT Profiles 1.3 (``wlcg``), `afkit.policy.claims.aarc` (``aarc``), Keycloak's
``resource_access`` (``keycloak``), CILogon's ``isMemberOf`` and ``affiliation`` (``cilogon``), ``groups`` (``plain``, ``hub``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from afkit.errors import IdentityError
from afkit.facility.model import Issuer
from afkit.policy.claims.aarc import CLAIMS as ENTITLEMENTS, aarc_groups
from afkit.policy.claims.institute import is_own_domain
from afkit.policy.claims.text import Claims, checked, entries, flaw, ignored, kind, malformed, mapping
from afkit.policy.model import Ignored
from afkit.policy.text import quoted

__all__ = ["check_version", "groups_of"]

Dialect = Callable[[Issuer, Claims, list[Ignored]], Iterable[str]]

_WLCG_GROUP: Final = re.compile(r"(?:/[a-zA-Z0-9][a-zA-Z0-9_.-]*)+", re.ASCII)
_VERSION: Final = re.compile(r"([0-9]+)\.[0-9]+", re.ASCII)
_MAJOR: Final = "1"
_CAPABILITY: Final = ("storage.", "compute.", "wlcg.capabilityset", "host.auth")
_AFFILIATION: Final = "affiliation:"
_NOT_OWN: Final = "is an affiliation, which counts only where 'require' accepts the institute ('idp') and the domain is its own"
_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "wlcg": ("wlcg.groups",),
    "aarc": ENTITLEMENTS,
    "keycloak": ("resource_access",),
    "cilogon": ("isMemberOf", "affiliation"),
    "plain": ("groups",),
    "hub": ("groups",),
}
"""The claims that each dialect takes groups from."""
_GROUPS: Final = {claim for claims in _READ.values() for claim in claims} | {"realm_access", "cern_roles", "roles"}
_UNREAD: Final = {dialect: frozenset(_GROUPS.difference(read)) for dialect, read in _READ.items()}
"""Claims in which another provider would have groups: where one is there it is said that it does not count."""


def groups_of(issuer: Issuer, claims: Claims, out: list[Ignored]) -> tuple[str, ...]:
    """The canonical groups of a person, each once, in the order of the claims. Raises `IdentityError` for claims of a wrong type."""
    prefix = f"{issuer.name}:"
    found = dict.fromkeys([prefix + group for group in _DIALECTS[issuer.dialect](issuer, claims, out)])
    unread = _UNREAD[issuer.dialect]
    if not unread.isdisjoint(claims):
        out.extend(_unread(issuer.dialect, claim) for claim in sorted(unread.intersection(claims)))
    return tuple(found)


def check_version(claims: Claims) -> None:
    """Raise `IdentityError` unless ``wlcg.ver`` is a text like ``1.0``: a newer minor version is accepted, another major one is not."""
    version = claims.get("wlcg.ver")
    if version is None:
        message = "Your token does not say which version of the WLCG profile it follows (wlcg.ver)."
        raise IdentityError(message, "Ask the administrators: add `profile` or `wlcg` to the issuer's scopes.", reason="wrong-version")
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None or match[1] != _MAJOR:
        shown = quoted(version) if isinstance(version, str) else "none"
        message = f"Your token follows version {shown} of the WLCG profile, and {_MAJOR}.x is known here."
        raise IdentityError(message, "Ask the administrators: the version is a text such as '1.0'.", reason="wrong-version")


@lru_cache
def _unread(dialect: str, claim: str) -> Ignored:
    return Ignored(claim, f"the dialect {dialect!r} takes groups from {_READ[dialect][0]!r}, not from {claim!r}")


def _wlcg(_: Issuer, claims: Claims, out: list[Ignored]) -> Iterable[str]:
    groups = entries(claims, "wlcg.groups")
    capability = _capability(claims)
    if capability and groups:
        why = f"does not count: the token carries the capability {quoted(capability)}, so it is for machines"
        out.extend(ignored(group, why) for group in groups)
        return ()
    good = [group for group in groups if _WLCG_GROUP.fullmatch(group)]
    if len(good) < len(groups):
        wrong = (group for group in groups if not _WLCG_GROUP.fullmatch(group))
        out.extend(ignored(group, "is no group of the WLCG profile, such as '/cms/uscms'") for group in wrong)
    return good


def _capability(claims: Claims) -> str:
    """The first scope that is a capability, well written or not: a token with one is for machines, and says nothing of groups."""
    # scopes of many paths are longer than other texts
    scope = _long_text(claims, "scope")
    return scope and next((one for one in scope.split() if one.startswith(_CAPABILITY)), "")


def _keycloak(issuer: Issuer, claims: Claims, out: list[Ignored]) -> Iterable[str]:
    clients = mapping(claims.get("resource_access"), "resource_access")
    for client in clients:
        if client != issuer.client_id:
            what = f"resource_access.{client}"
            out.append(ignored(quoted(what)[1:-1], f"has roles of another client than {issuer.client_id!r}"))
    name = f"resource_access.{issuer.client_id}"
    roles = mapping(clients.get(issuer.client_id or ""), name).get("roles")
    return _free((), out) if roles is None else _free(checked(f"{name}.roles", roles), out)


def _cilogon(issuer: Issuer, claims: Claims, out: list[Ignored]) -> Iterable[str]:
    groups = []
    for group in _free(entries(claims, "isMemberOf"), out):
        if group.startswith(_AFFILIATION):
            out.append(ignored(group, "is written as only an affiliation may be"))
        else:
            groups.append(group)
    return [*groups, *_affiliations(issuer, claims, out)]


def _affiliations(issuer: Issuer, claims: Claims, out: list[Ignored]) -> Iterable[str]:
    """``member@example.org;staff@example.org``: what the institute says of its own people, and of nobody else's."""
    found = [one for one in checked("affiliation", _long_text(claims, "affiliation").split(";")) if one]
    own = []
    for one in _free(found, out):
        word, at, domain = one.partition("@")
        if word and at and is_own_domain(issuer, claims, domain):
            own.append(_AFFILIATION + one)
        else:
            out.append(ignored(one, _NOT_OWN))
    return own


def _groups(_: Issuer, claims: Claims, out: list[Ignored]) -> Iterable[str]:
    return _free(entries(claims, "groups"), out)


def _long_text(claims: Claims, name: str) -> str:
    """A claim that is one text with several things in it; empty where it is missing or null."""
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed(f"{quoted(name)} of your login is {kind(value)}, not a text")
    return value


def _free(groups: Iterable[str], out: list[Ignored]) -> Iterable[str]:
    """Groups that a provider names freely, without those that cannot be told from others."""
    good = []
    for group in groups:
        wrong = flaw(group)
        if wrong:
            out.append(ignored(group, wrong))
        else:
            good.append(group)
    return good


_DIALECTS: Final[Mapping[str, Dialect]] = {
    "wlcg": _wlcg,
    "aarc": aarc_groups,
    "keycloak": _keycloak,
    "cilogon": _cilogon,
    "plain": _groups,
    "hub": _groups,
}
