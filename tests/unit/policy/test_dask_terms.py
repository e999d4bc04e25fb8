from __future__ import annotations

import json

from afkit.facility.model import DaskDefaults, DaskOffer, Entry, Facility, Limit
from afkit.policy.capacity import declared
from afkit.policy.dask import dask_terms
from afkit.policy.entitle import from_groups
from afkit.policy.offer import offer
from afkit.policy.select import select
from tests.unit.policy.facilities import GI, entries, facility, offered, pool, profile


def test_the_example(facility: Facility) -> None:
    made = offer(facility, from_groups(facility, "grace", ["physicists", "accelerated"]), declared(facility))
    terms = dask_terms(made, select(made, {"profile": "training"}))
    assert terms == {
        "where": "local",
        "pools": ["cpu", "a100"],
        "max_workers": 20,
        "worker": {"cpu": 4000, "memory": 16 * GI, "accelerators": 1},
        "clusters": 2,
        "workers": 50,
        "idle": 1800,
        "lifetime": 86400,
    }
    assert json.loads(json.dumps(terms)) == terms


def test_a_profile_without_dask_gives_none() -> None:
    made = offered(facility())
    assert dask_terms(made, select(made, {})) is None


def test_only_pools_that_are_granted() -> None:
    dask = DaskOffer((Entry("cpu", allow=("red",)), Entry("other")))
    made = facility(profile("p", dask=dask), pools=(pool("cpu"), pool("other")), dask=DaskDefaults(idle=None, lifetime=None))
    terms = dask_terms(offered(made), select(offered(made), {}), "facility")
    assert terms is not None
    assert (terms["where"], terms["pools"], terms["max_workers"], terms["idle"], terms["clusters"]) == (
        "facility",
        ["other"],
        None,
        None,
        None,
    )
    nothing = facility(profile("p", dask=DaskOffer((Entry("cpu", allow=("red",)),))), limits={"everyone": Limit(clusters=0)})
    assert dask_terms(offered(nothing), select(offered(nothing), {})) is None


def test_a_limit_of_nothing_is_said() -> None:
    made = facility(profile("p", dask=DaskOffer(entries("cpu"))), limits={"everyone": Limit(clusters=0, workers=0)})
    terms = dask_terms(offered(made), select(offered(made), {}))
    assert terms is not None
    assert (terms["clusters"], terms["workers"]) == (0, 0)
