"""Who is in which group of the facility. Pure: the order of claims, groups and requests never counts, only the file's own.

A person is in a group when any entry of it matches: their login name, a canonical claim group (compared exactly), or
``<issuer>:*`` for everybody of an issuer. ``everyone`` is built in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from afkit.facility.model import Facility, Issuer
from afkit.names import EVERYONE
from afkit.policy.keep import kept
from afkit.policy.model import Entitlements, Identity, Ignored
from afkit.policy.text import quoted

__all__ = ["entitle", "from_groups", "hub_identity", "hubs_issuers", "local_identity"]


_NOTHING: Final[tuple[Ignored, ...]] = ()


def entitle(facility: Facility, identity: Identity) -> Entitlements:
    """The facility's groups of a person, in the order of the file (``everyone`` first), and what counted for nothing."""
    members = kept(facility, _Members)
    found = set(members.of_user.get(identity.name, ()))
    everybody = members.of_source.get(f"{identity.issuer}:*")
    found.update(everybody or ())
    unused = []
    for claim in identity.claim_groups:
        led = members.of_source.get(claim)
        if led is not None:
            found.update(led)
        elif everybody is None:
            unused.append(claim)
    ignored = _unused(unused) if unused else _NOTHING
    if identity.groups:
        found |= facility.groups.keys() & identity.groups
        ignored += _unknown_groups(facility, frozenset(identity.groups))
    groups = sorted(found, key=members.places.__getitem__) if len(found) > 1 else found
    return Entitlements(identity.name, (EVERYONE, *groups), not members.admins.isdisjoint(found), ignored)


def from_groups(facility: Facility, user: str, names: Iterable[str]) -> Entitlements:
    """The entitlements of a person whose facility groups are known (the hub keeps them as JupyterHub groups)."""
    named = frozenset(names)
    groups = tuple(name for name in facility.groups if name in named)
    admin = any(facility.groups[name].admin for name in groups)
    return Entitlements(user, (EVERYONE, *groups), admin, _unknown_groups(facility, named))


def hub_identity(facility: Facility, name: str, hub_groups: Callable[[], Iterable[str]]) -> Identity:
    """A person whom JupyterHub's own authenticator has let in (dialect ``hub``); ``hub_groups`` gives their JupyterHub groups.

    These are asked for only where they count.
    """
    issuers = facility.identity.issuers.values() if facility.identity else ()
    issuer = next((each.name for each in issuers if each.dialect == "hub"), None)
    if issuer is None:
        return Identity(name, issuer="hub", key=name)
    # groups that the hub has only because they are the facility's own say nothing about the person
    claims = tuple(f"{issuer}:{group}" for group in hub_groups() if group not in facility.groups)
    return Identity(name, issuer=issuer, key=name, claim_groups=claims)


def local_identity(facility: Facility, name: str, groups: Iterable[str] = ()) -> Identity:
    """A person of ``identity.local``, with ``groups`` beside those of the file. A name that is not there has no others."""
    people = facility.identity.local if facility.identity else None
    return Identity(name=name, issuer="local", key=name, groups=(*(people or {}).get(name, ()), *groups))


class _Members:
    """Which groups a claim group and a login name lead to, and the place of each group in the file."""

    def __init__(self, facility: Facility) -> None:
        self.places = {name: place for place, name in enumerate(facility.groups)}
        self.admins = frozenset(name for name, group in facility.groups.items() if group.admin)
        self.of_source: dict[str, list[str]] = {}
        self.of_user: dict[str, list[str]] = {}
        for name, group in facility.groups.items():
            for source in group.sources:
                self.of_source.setdefault(source, []).append(name)
            for user in group.users:
                self.of_user.setdefault(user, []).append(name)


def _unused(claims: Iterable[str]) -> tuple[Ignored, ...]:
    """Claim groups without a group of the facility, in the order of the alphabet: claims have none."""
    return tuple(map(_no_group, sorted(set(claims))))


@lru_cache(maxsize=4096)
def _no_group(claim: str) -> Ignored:
    return Ignored(claim, f"no group of this facility has {quoted(claim)} in its 'from'")


def _unknown_groups(facility: Facility, named: frozenset[str]) -> tuple[Ignored, ...]:
    unknown = sorted(named - facility.groups.keys() - {EVERYONE})
    return tuple(Ignored(name, f"this facility has no group {quoted(name)}") for name in unknown)


def hubs_issuers(facility: Facility) -> Mapping[str, Issuer]:
    """The providers through which the hub itself logs people in: all but dialect ``hub``."""
    issuers = facility.identity.issuers if facility.identity else {}
    return {name: issuer for name, issuer in issuers.items() if issuer.dialect != "hub"}
