"""Requests for clusters, and what they lead to, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.pods.daskcluster import ClusterObjects, Material, cluster_objects
from afkit.pods.person import Person, person_of
from afkit.policy.cluster import ClusterPlan, decide_cluster
from afkit.policy.cluster_ask import parse_cluster
from afkit.policy.entitle import entitle, hub_identity
from afkit.policy.model import Inventory, Offer, PoolState, Selection, Usage, Use
from afkit.policy.offer import offer
from afkit.policy.select import select

ID = "01234567-89ab-4cde-8f01-23456789abcd"
GI = 2**30
PROGRAMS = {"afkit_scheduler.py": "# scheduler", "afkit_worker.py": "# worker"}
MATERIAL = Material("the authority", "the certificate", "the key", "the token", PROGRAMS)
SERVER = Use("server", "", 500, 1 * GI, "cpu")
"""What the person runs beside: the server that asks."""


@cache
def facility() -> Facility:
    return load_facility(Path(__file__).parent / "facility.yaml")


def body(*groups: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A request with these groups (none: one of which everything is left out)."""
    named = [{"name": f"group-{number}" if number else "default", **group} for number, group in enumerate(groups or ({},))]
    return {"name": "mine", "id": ID, "groups": named, "client": {"name": "afkit-1", "versions": {"dask": "2026.8.0"}}, **more}


def server(user: str = "ada", **choice: str) -> Selection:
    """The choice of the server that asks."""
    given = entitle(facility(), hub_identity(facility(), user, tuple))
    return select(offer(facility(), given, Inventory({name: PoolState(free=99) for name in facility().pools})), choice)


def offered(user: str = "ada", *uses: Use, clusters: int = 0, pools: Mapping[str, PoolState] | None = None) -> Offer:
    """What a person has beside the server that asks and ``uses``."""
    given = entitle(facility(), hub_identity(facility(), user, tuple))
    there = {"gpu": PoolState(free=8), **(pools or {})}
    return offer(facility(), given, Inventory(there), Usage((SERVER, *uses), clusters))


def plan(*groups: Mapping[str, Any], user: str = "ada", choice: Mapping[str, str] | None = None, **more: Any) -> ClusterPlan:
    return decide_cluster(offered(user), server(user, **(choice or {})), parse_cluster(body(*groups, **more)))


def person(user: str = "ada") -> Person:
    identity = hub_identity(facility(), user, tuple)
    return person_of(facility(), identity, entitle(facility(), identity))


def objects(*groups: Mapping[str, Any], user: str = "ada", **more: Any) -> ClusterObjects:
    made = plan(*groups, user=user, **more)
    return cluster_objects(facility(), made, person(user), MATERIAL, made=1_800_000_000, owner={"name": "jupyter-ada", "uid": "1-2-3"})
