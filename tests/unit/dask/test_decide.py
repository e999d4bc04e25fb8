"""What a request for a cluster leads to: granted as written, filled in from what is left, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from afkit.errors import RequestError
from afkit.policy.cluster import decide_cluster, decide_numbers, has_dask
from afkit.policy.cluster_ask import parse_cluster
from afkit.policy.model import PoolState, Use
from tests.unit.dask.asking import GI, body, facility, offered, plan, server


def test_what_is_left_out_is_four_workers_of_one_core_and_two_gib() -> None:
    made = plan()
    [group] = made.groups
    needs = group.selection.resources
    assert (group.low, group.high, needs.cpu, needs.memory, needs.cpu_limit, needs.memory_limit) == (4, 4, 1000, 2 * GI, 1000, 2 * GI)
    assert group.resources == {"amd64": 1.0}
    assert (made.idle, made.lifetime, made.why) == (3600, 86400, ())


def test_what_limits_leave_less_is_less_and_said() -> None:
    big = Use("worker", "other", 17_000, 36 * GI, "cpu")
    ask = parse_cluster(body())
    [group] = (made := decide_cluster(offered("ada", big), server(), ask)).groups
    # of 20 cores and 40 GiB, the server, the other cluster and the scheduler leave 2 cores and 2 GiB
    assert (group.high, group.selection.resources.memory) == (2, 1 * GI)
    assert made.why == (
        "2 workers rather than 4 and 1Gi of memory each rather than 2Gi in group default: that is what your limits, "
        "the profile and the pool leave.",
    )


def test_the_server_s_own_pool_comes_first_and_the_scheduler_is_on_no_spot_node() -> None:
    assert [plan().groups[0].selection.pool.name, plan().scheduler.pool.name] == ["cpu", "cpu"]
    on_arm = plan(choice={"pool": "arm"})
    assert on_arm.groups[0].selection.pool.name == "arm"
    assert on_arm.groups[0].resources == {"arm64": 1.0}
    spot = plan({"pool": "spot"})
    assert (spot.groups[0].selection.pool.name, spot.scheduler.pool.name) == ("spot", "cpu")


def test_gpus_find_their_pool_and_are_tagged() -> None:
    made = plan({}, {"gpus": 1, "low": 0, "high": 2, "tags": {"big": 2}}, user="grace")
    cpu, gpu = made.groups
    assert (cpu.selection.pool.name, gpu.selection.pool.name) == ("cpu", "gpu")
    assert gpu.resources == {"amd64": 1.0, "GPU": 1.0, "big": 2.0}
    assert gpu.selection.resources.accelerators == 1
    assert made.scheduler.pool.accelerator is None


def refusal(
    *groups: dict[str, Any], user: str = "ada", choice: dict[str, str] | None = None, uses: tuple[Use, ...] = (), **more: Any
) -> RequestError:
    clusters, pools = more.pop("clusters", 0), more.pop("pools", None)
    with pytest.raises(RequestError) as caught:
        decide_cluster(
            offered(user, *uses, clusters=clusters, pools=pools), server(user, **(choice or {})), parse_cluster(body(*groups, **more))
        )
    return caught.value


GONE = {"cpu": PoolState(False, "Pool cpu has no nodes now.")}


@pytest.mark.parametrize(
    ("reason", "field", "asked"),
    [
        ("not-entitled", "", {"choice": {"profile": "quiet"}}),
        ("limit-exceeded", "name", {"clusters": 2}),
        ("limit-exceeded", "workers", {"groups": [{"low": 0, "high": 13}]}),
        ("limit-exceeded", "workers", {"user": "grace", "groups": [{"low": 17, "high": 17, "cores": 100, "memory": GI}]}),
        ("limit-exceeded", "cores", {"groups": [{"low": 1, "high": 1, "cores": 4001}]}),
        ("limit-exceeded", "cores", {"groups": [{"low": 5, "high": 5, "cores": 4000}]}),
        ("limit-exceeded", "memory", {"groups": [{"low": 1, "high": 1, "memory": 8 * GI + 1}]}),
        ("limit-exceeded", "memory", {"groups": [{"low": 5, "high": 5, "memory": 8 * GI}]}),
        ("limit-exceeded", "gpus", {"user": "grace", "groups": [{"low": 4, "high": 4, "gpus": 1}]}),
        ("limit-exceeded", "gpus", {"user": "grace", "groups": [{"low": 1, "high": 1, "gpus": 2}]}),
        ("limit-exceeded", "idle", {"idle": None}),
        ("limit-exceeded", "idle", {"idle": 3601}),
        ("incompatible", "gpus", {"groups": [{"gpus": 1}]}),
        ("incompatible", "gpus", {"user": "grace", "groups": [{"gpus": 1, "pool": "cpu"}]}),
        ("incompatible", "pool", {"user": "grace", "groups": [{"pool": "gpu"}]}),
        ("incompatible", "pool", {"image": "narrow", "groups": [{"pool": "arm"}]}),
        ("incompatible", "cores", {"choice": {"pool": "arm"}, "groups": [{"cores": 4000 + 1, "low": 1, "high": 1}]}),
        ("unknown-choice", "pool", {"groups": [{"pool": "gpu"}]}),
        ("unknown-choice", "pool", {"groups": [{"pool": "cpo"}]}),
        ("unknown-choice", "image", {"image": "plaim"}),
        ("unknown-choice", "image", {"image": "registry.example.org/groups/x:1"}),
        ("unknown-choice", "image", {"user": "grace", "image": "registry.example.org/others/x:1"}),
        ("unknown-choice", "cvmfs", {"cvmfs": ["atlas.cern.ch"]}),
        ("no-capacity", "pool", {"groups": [{"pool": "cpu"}], "pools": GONE}),
        ("no-capacity", "gpus", {"user": "grace", "groups": [{"gpus": 1, "low": 2, "high": 2}], "pools": {"gpu": PoolState(free=1)}}),
        ("no-capacity", "gpus", {"user": "grace", "groups": [{"gpus": 1}], "pools": {"gpu": PoolState()}}),
    ],
)
def test_refusals(reason: str, field: str, asked: dict[str, Any]) -> None:
    groups = asked.pop("groups", [])
    found = refusal(*groups, **{**asked})
    asked["groups"] = groups
    if reason == "incompatible" and field == "cores":
        # the largest worker of the profile is what is smaller here
        reason = "limit-exceeded"
    assert (found.reason, found.field) == (reason, field), found
    assert found.message.endswith(".")


def test_a_pool_that_has_nodes_is_taken_where_none_was_asked_for() -> None:
    made = decide_cluster(offered(pools=GONE | {"spot": PoolState()}), server(pool="arm"), parse_cluster(body()))
    assert made.groups[0].selection.pool.name == "arm"


def test_an_image_by_name_and_by_reference() -> None:
    assert plan(image="narrow").scheduler.reference == "registry.example.org/narrow:1"
    own = plan(image="registry.example.org/groups/a:2", user="grace")
    assert (own.scheduler.image.name, own.groups[0].selection.reference) == ("own", "registry.example.org/groups/a:2")


def test_workers_have_the_options_of_their_server() -> None:
    made = plan(choice={"release": "two"})
    assert [choice.name for _, choice in made.groups[0].selection.choices] == ["two"]


def test_other_numbers_are_judged_as_a_whole() -> None:
    scheduler = {"cpu": 500, "memory": GI}
    decide_numbers(offered(), "analysis", scheduler, [("a", "cpu", 1000, GI, 0, 12)])
    for groups in (
        [("a", "cpu", 1000, GI, 0, 13)],
        [("a", "cpu", 1000, GI, 0, 6), ("b", "cpu", 1000, GI, 0, 7)],
        [("a", "cpu", 4000, GI, 0, 5)],
        [("a", "cpu", 100, 8 * GI, 0, 5)],
        [("a", "gpu", 100, GI, 1, 1)],
    ):
        with pytest.raises(RequestError) as caught:
            decide_numbers(offered(), "analysis", scheduler, groups)
        assert caught.value.reason == "limit-exceeded"


def test_has_dask() -> None:
    assert has_dask(facility())


amount = st.none() | st.integers(1, 20_000)
group = st.fixed_dictionaries(
    {
        "cores": amount,
        "memory": st.none() | st.integers(1, 20 * GI),
        "gpus": st.integers(0, 2),
        "pool": st.sampled_from([None, "cpu", "spot", "arm", "gpu"]),
    },
    optional={"high": st.integers(0, 30)},
).map(lambda one: {**one, "low": 0} if "high" in one else one)
used = st.builds(lambda cpu, memory: Use("worker", "x", cpu, memory, "cpu"), st.integers(0, 50_000), st.integers(0, 90 * GI))


@settings(max_examples=300, deadline=None)
@given(st.lists(group, min_size=1, max_size=4), st.sampled_from(["ada", "grace"]), st.lists(used, max_size=3))
def test_nothing_is_granted_beyond_any_limit(groups: list[dict[str, Any]], user: str, uses: list[Use]) -> None:
    had = offered(user, *uses)
    try:
        made = decide_cluster(had, server(user), parse_cluster(body(*groups)))
    except RequestError:
        return
    left = had.remaining
    dask = facility().profiles["analysis"].dask
    assert dask is not None
    assert sum(one.high for one in made.groups) <= min(left.workers or 0, dask.max_workers or 0)
    needs = [(one.high, one.selection.resources, one.selection.pool) for one in made.groups]
    assert sum(number * each.cpu for number, each, _ in needs) + made.scheduler.resources.cpu <= (left.cpu or 0)
    assert sum(number * each.memory for number, each, _ in needs) + made.scheduler.resources.memory <= (left.memory or 0)
    assert sum(number * each.accelerators for number, each, _ in needs) <= (left.accelerators["gpu"] or 0)
    for asked, (number, each, pool) in zip(groups, needs, strict=True):
        assert number >= 1
        assert each.cpu == (asked["cores"] or each.cpu)
        assert each.cpu <= (dask.cpu or 0)
        assert each.memory <= (dask.memory or 0)
        assert bool(each.accelerators) == (pool.accelerator is not None)
