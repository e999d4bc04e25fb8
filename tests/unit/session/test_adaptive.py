"""How many workers a group needs for the work that waits."""

from __future__ import annotations

import pytest

from afkit.session.inside.afkit_adaptive import LINGER, Demand, Follower, _home, target
from afkit.session.sizing import Sized


def group(name: str = "default", threads: int = 1, gpus: int = 0, **resources: float) -> Sized:
    return Sized(
        name, 0, 9, 1000 * threads, threads, 1 << 30, gpus, {"amd64": float(threads), **({"GPU": gpus} if gpus else {}), **resources}
    )


@pytest.mark.parametrize(
    ("tasks", "seconds", "threads", "workers"),
    [
        (0, 0, 1, 0),
        (1, 0.001, 1, 1),
        (200, 2.0, 1, 1),  # many tiny tasks are not worth more
        (4, 8.0, 1, 4),
        (4, 2400.0, 1, 4),  # never more workers than tasks
        (4, 2400.0, 2, 2),
        (60, 60.0, 1, 30),
    ],
)
def test_enough_for_the_work_and_no_more(tasks: float, seconds: float, threads: int, workers: int) -> None:
    assert target(Demand(tasks, seconds), group(threads=threads), 0) == workers


def test_full_memory_doubles() -> None:
    assert target(Demand(1, 1.0, full=True), group(), 3) == 6
    assert target(Demand(0, 0.0, full=True), group(), 3) == 6
    assert target(Demand(0, 0.0), group(), 3) == 0


def test_a_task_belongs_to_the_plainest_group_that_can_run_it() -> None:
    groups = [group("gpu", gpus=1), group("big", big=2), group("default")]
    assert _home({}, groups) == "default"
    assert _home({"amd64": 1}, groups) == "default"
    assert _home({"GPU": 1}, groups) == "gpu"
    assert _home({"GPU": 2}, groups) is None
    assert _home({"big": 1}, groups) == "big"
    assert _home({"arm64": 1}, groups) is None
    assert _home({}, [group("gpu", gpus=1)]) == "gpu"


def test_idle_for_long_enough() -> None:
    follower = Follower("default", 0, 4)
    assert follower.idle({"a": False, "b": True}, 0) == []
    assert follower.idle({"a": False, "b": False}, LINGER / 2) == []
    assert follower.idle({"a": False, "b": False}, LINGER) == ["a"]
    assert follower.idle({"a": True, "b": False}, LINGER) == []
    assert follower.idle({"a": False, "b": False}, 2 * LINGER) == ["b"]


def test_one_that_is_stopped_shows_it() -> None:
    follower = Follower("default", 0, 4)
    assert follower.periodic_callback
    follower.stop()
    assert not follower.periodic_callback
