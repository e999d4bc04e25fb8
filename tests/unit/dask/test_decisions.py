"""When a cluster ends, and which workers come and go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from afkit.services.dask.decisions import FIRST, GONE, LATEST, Facts, Steps, end_of, steps_of, wanted_of
from afkit.services.dask.records import Group, Record, record_of
from afkit.services.dask.scheduler import GroupSeen, Seen, seen_of
from tests.unit.dask.asking import objects

MADE = 1_800_000_000
RUNS = {"status": {"phase": "Running"}}


def record(life: str = "kernel", **changes: Any) -> Record:
    found = record_of(objects(life=life).root)
    assert found is not None
    return replace(found, **changes)


def facts(after: float = 100.0, **changes: Any) -> Facts:
    """A cluster whose scheduler answered after ten seconds, and whose client is there."""
    seen = Seen(client=True, clients=1)
    return replace(Facts(MADE + after, seen, MADE + 10.0, RUNS, had=True, server=True), **changes)


def why(found: Record, seen: Facts) -> str:
    end = end_of(found, seen)
    return "" if end is None else end.reason


def test_a_cluster_goes_on_while_all_is_well() -> None:
    for life in ("kernel", "server", "detached"):
        assert why(record(life), facts()) == ""


@pytest.mark.parametrize(("life", "reason"), [("kernel", "server"), ("server", "server"), ("detached", "")])
def test_it_goes_with_its_server_unless_it_is_detached(life: str, reason: str) -> None:
    assert why(record(life), facts(server=False)) == reason


@pytest.mark.parametrize(("life", "reason"), [("kernel", "client"), ("server", ""), ("detached", "")])
def test_it_goes_with_its_kernel_after_a_while(life: str, reason: str) -> None:
    left = facts(seen=Seen(client=True, gone=GONE))
    assert why(record(life), left) == reason
    assert why(record(life), facts(seen=Seen(client=True, gone=GONE - 1))) == ""
    never = facts(FIRST + 11, seen=Seen())
    assert why(record(life), never) == reason
    assert why(record(life), facts(FIRST + 9, seen=Seen())) == ""


def test_a_scheduler_that_says_nothing_ends_no_kernel_s_cluster() -> None:
    # the API server or the network may be what does not answer
    assert why(record(), facts(3000, seen=None)) == ""


def test_without_work_it_goes_and_with_work_it_stays() -> None:
    assert why(record(), facts(4000, seen=Seen(client=True, idle=3600))) == "idle"
    assert why(record(), facts(4000, seen=Seen(client=True, idle=3599))) == ""
    assert why(record(idle=None), facts(4000, seen=Seen(client=True, idle=1e9))) == ""
    # an answer that says more than the cluster's own age is not believed
    assert why(record(), facts(100, seen=Seen(client=True, idle=1e9))) == ""


def test_its_longest_life_holds_whatever_else_is_so() -> None:
    assert why(record("detached"), facts(86_401)) == "lifetime"
    assert why(record("detached", lifetime=None, idle=None), facts(1e8)) == ""


@pytest.mark.parametrize("scheduler", [None, {"status": {"phase": "Failed"}}, {"status": {"phase": "Succeeded"}}])
def test_without_its_scheduler_it_ends_in_a_sentence(scheduler: Any) -> None:
    end = end_of(record(), facts(scheduler=scheduler))
    assert end is not None
    assert (end.reason, end.failed) == ("scheduler", True)
    # it is just being made
    assert end_of(record(), facts(scheduler=None, had=False, answered=None, seen=None)) is None


def test_a_scheduler_that_never_answers_is_given_up() -> None:
    never = facts(answered=None, seen=None)
    assert why(record(), replace(never, now=MADE + LATEST - 1)) == ""
    assert why(record(), replace(never, now=MADE + LATEST + 1)) == "deadline"


def group(low: int, high: int, wanted: int) -> Group:
    return Group("default", "cpu", "amd64", 1000, 2**30, 0, 1, {}, low, high, wanted)


def test_an_adaptive_group_follows_its_load_within_its_numbers() -> None:
    assert [wanted_of(group(1, 5, 2), GroupSeen(needed=needed)) for needed in (0, 3, 900)] == [1, 3, 5]
    assert wanted_of(group(1, 5, 2), None) == 2
    assert wanted_of(group(3, 3, 3), GroupSeen(needed=900)) == 3


PODS = ["a", "b", "c", "d"]


def test_what_is_missing_is_made_at_once() -> None:
    assert steps_of(group(0, 200, 200), PODS, None) == Steps(make=196)
    assert steps_of(group(4, 4, 4), PODS, None) == Steps()


def test_who_has_not_joined_goes_first_the_newest_before_the_others() -> None:
    seen = GroupSeen(present=frozenset("ab"), idle=("a", "b"))
    assert steps_of(group(3, 3, 3), PODS, seen) == Steps(remove=("d",), drain=True)
    assert steps_of(group(1, 1, 1), PODS, seen) == Steps(remove=("d", "c"), retire=("a",), drain=True)


def test_adaptive_groups_lose_only_idle_workers() -> None:
    seen = GroupSeen(present=frozenset("abcd"), idle=("c",))
    assert steps_of(group(0, 4, 0), PODS, seen) == Steps(retire=("c",))
    assert steps_of(group(0, 4, 0), PODS, seen, kept=frozenset("c")) == Steps()
    assert steps_of(group(0, 4, 0), PODS, None) == Steps()


def test_a_number_that_was_asked_for_takes_busy_workers_too_but_idle_ones_first() -> None:
    seen = GroupSeen(present=frozenset("abcd"), idle=("c",))
    assert steps_of(group(2, 2, 2), PODS, seen) == Steps(retire=("c", "a"), drain=True)


names = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(names, names, names, names, st.integers(0, 8), st.booleans())
def test_never_more_go_than_there_are_too_many(
    pods: list[str], present: list[str], idle: list[str], kept: list[str], wanted: int, adaptive: bool
) -> None:
    one = group(0, 9, wanted) if adaptive else group(wanted, wanted, wanted)
    steps = steps_of(one, pods, GroupSeen(present=frozenset(present), idle=tuple(idle)), frozenset(kept))
    going = [*steps.remove, *steps.retire]
    assert len(going) == len(set(going)) <= max(0, len(pods) - wanted)
    assert set(going) <= set(pods)
    assert not set(steps.retire) & set(kept)
    assert steps.make == max(0, wanted - len(pods))
    assert not (steps.make and going)
    if adaptive:
        assert set(steps.retire) <= set(idle)


HOSTILE: list[Any] = [
    None,
    [],
    "x",
    1,
    {"client": [], "groups": [], "refused": 3, "kept": {}},
    {"client": {"seen": "yes", "gone_s": "later"}, "idle_s": float("nan"), "clients": -5, "results": 1e400},
    {"results": 10**400, "idle_s": -(10**400), "client": {"seen": 1, "gone_s": 10**400}},
    {"groups": {"default": {"ready": True, "needed": "many", "idle": "abc", "present": [1, None, "a"]}}},
    {"groups": {"default": None, "x" * 10_000: {}}, "kept": [["a"]], "refused": {"a": {"message": ["x"] * 9, "hint": None}}},
]


@pytest.mark.parametrize("said", HOSTILE)
def test_whatever_a_scheduler_says_is_numbers_within_bounds_afterwards(said: Any) -> None:
    seen = seen_of(said)
    if not isinstance(said, dict):
        assert seen is None
        return
    assert seen is not None
    assert not seen.client
    assert (seen.gone or 0.0) >= 0
    assert 0 <= seen.idle <= 1e9
    assert 0 <= seen.clients <= 1e9
    for one in seen.groups.values():
        assert 0 <= one.ready <= 1e9
        assert 0 <= one.needed <= 1e9
        assert all(isinstance(name, str) for name in (*one.idle, *one.present))
    assert wanted_of(group(1, 5, 2), seen.groups.get("default")) in range(1, 6)


def test_long_lists_are_cut() -> None:
    seen = seen_of({"groups": {"default": {"present": ["x"] * 10**5}}, "refused": {str(n): {} for n in range(1000)}})
    assert seen is not None
    assert len(seen.refused) == 64
