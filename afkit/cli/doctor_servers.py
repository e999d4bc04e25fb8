"""One server of each profile on each of its pools, as its hub would send it: what ``afkit doctor FILE`` has the API server judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from afkit.errors import RequestError
from afkit.facility.model import Facility, RunAs
from afkit.names import EVERYONE
from afkit.pods.person import Person
from afkit.pods.server import server_objects
from afkit.pods.site import stock_site
from afkit.policy.model import Entitlements, Inventory, PoolState
from afkit.policy.offer import offer
from afkit.policy.select import select

__all__ = ["servers"]

_NAME = "afkit-doctor"
_PLENTY = 1 << 20
_UID, _GID = 1000, 100


def servers(facility: Facility, namespace: str, owner: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(what it is, its Pod) for somebody in every group. A pair that fits nothing is left out: it is offered to nobody."""
    everything = Entitlements(_NAME, (EVERYONE, *facility.groups))
    offered = offer(facility, everything, Inventory({name: PoolState(free=_PLENTY) for name in facility.pools}))
    person = _somebody(facility, namespace, owner)
    for profile in facility.profiles.values():
        for pool in dict.fromkeys(entry.name for entry in profile.pools):
            try:
                selection = select(offered, {"profile": profile.name, "pool": pool})
                objects = server_objects(facility, selection, person, "", stock_site(_NAME, ""))
            except RequestError:
                continue
            yield f"profile {profile.name} on pool {pool}", objects.pod


def _somebody(facility: Facility, namespace: str, owner: str) -> Person:
    """With the file's ids, and usual ones where they come from a claim."""
    rules = facility.identity.run_as if facility.identity is not None else RunAs()
    fixed = {name: value for name in ("uid", "gid") if isinstance(value := getattr(rules, name), int)}
    fs_gid = None if rules.fs_group == "none" else rules.fs_group if isinstance(rules.fs_group, int) else _GID
    return Person(
        name=_NAME,
        issuer=_NAME,
        key=_NAME,
        owner=owner,
        namespace=namespace,
        uid=fixed.get("uid", _UID),
        gid=fixed.get("gid", _GID),
        fs_gid=fs_gid,
        groups=rules.groups if isinstance(rules.groups, tuple) else (),
        root=bool(rules.root),
        facility_groups=frozenset({EVERYONE, *facility.groups}),
    )
