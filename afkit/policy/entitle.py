"""Who is in which group of the facility. Pure: the order of claims, groups and requests never counts, only the file's own.

A person is in a group when any entry of it matches: their login name, a canonical claim group (compared exactly), or
``<issuer>:*`` for everybody of an issuer. ``everyone`` is built in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from afkit.facility.model import Facility, Group
from afkit.names import EVERYONE
from afkit.policy.model import Entitlements, Identity, Ignored
from afkit.policy.text import quoted

__all__ = ["entitle", "from_groups", "hub_identity", "local_identity"]


def entitle(facility: Facility, identity: Identity) -> Entitlements:
    """The facility's groups of a person, in the order of the file (``everyone`` first), and what counted for nothing."""
    claims = frozenset(identity.claim_groups)
    named = frozenset(identity.groups)
    groups = tuple(group.name for group in facility.groups.values() if group.name in named or _member(group, identity, claims))
    ignored = (*_unused_claims(facility, identity, claims), *_unknown_groups(facility, named))
    return _entitlements(facility, identity.name, groups, ignored)


def from_groups(facility: Facility, user: str, names: Iterable[str]) -> Entitlements:
    """The entitlements of a person whose facility groups are known (the hub keeps them as JupyterHub groups)."""
    named = frozenset(names)
    groups = tuple(name for name in facility.groups if name in named)
    return _entitlements(facility, user, groups, _unknown_groups(facility, named))


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


def _entitlements(facility: Facility, user: str, groups: tuple[str, ...], ignored: tuple[Ignored, ...]) -> Entitlements:
    admin = any(facility.groups[name].admin for name in groups)
    return Entitlements(user, (EVERYONE, *groups), admin, ignored)


def _member(group: Group, identity: Identity, claims: frozenset[str]) -> bool:
    everybody = f"{identity.issuer}:*"
    return identity.name in group.users or any(source in claims or source == everybody for source in group.sources)


def _unused_claims(facility: Facility, identity: Identity, claims: frozenset[str]) -> tuple[Ignored, ...]:
    """Claim groups without a group of the facility, in the order of the alphabet: claims have none."""
    wanted = {source for group in facility.groups.values() for source in group.sources}
    if f"{identity.issuer}:*" in wanted:
        wanted |= claims
    return tuple(Ignored(claim, f"no group of this facility has {quoted(claim)} in its 'from'") for claim in sorted(claims - wanted))


def _unknown_groups(facility: Facility, named: frozenset[str]) -> tuple[Ignored, ...]:
    unknown = sorted(named - facility.groups.keys() - {EVERYONE})
    return tuple(Ignored(name, f"this facility has no group {quoted(name)}") for name in unknown)
