"""More and fewer workers: by number and by load, group by group, without losing work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import wait

import afkit
from afkit.errors import LimitExceededError, MalformedError, UnknownChoiceError
from afkit.session import machine
from afkit.session.inside import afkit_adaptive as adaptive
from tests.session.harness import Place, until


def there(cluster: Any, group: str | None = None) -> int:
    return sum(group is None or info["id"].startswith(f"{group}-") for info in cluster.scheduler_info["workers"].values())


def _nap() -> Callable[..., int]:
    # made here it travels by value: workers need not import this module
    def nap(seconds: float, _: int = 0) -> int:
        time.sleep(seconds)
        return os.getpid()

    return nap


nap = _nap()


def counted(file: Path) -> Callable[[int], bytes]:
    """A task that leaves a mark in a file each time that it is computed."""

    def result(number: int) -> bytes:
        with file.open("a") as marks:
            marks.write("x")
        return bytes([number]) * 200_000

    return result


@pytest.mark.oldest
def test_up_and_down_by_number(here: Place, tmp_path: Path) -> None:
    cluster = afkit.cluster(workers=1, wait=1, memory="1GiB")
    cluster.scale(3)
    cluster.wait_for_workers(3, timeout=30)
    held = cluster.client.map(counted(tmp_path / "marks"), range(30), pure=False)
    wait(held)
    cluster.scale(1)
    until(lambda: there(cluster) == 1)
    until(lambda: len(cluster._crew.guardian.pids) == 1)
    # results have moved: nothing is computed again
    assert [value[0] for value in cluster.client.gather(held)] == list(range(30))
    assert len((tmp_path / "marks").read_text()) == 30
    with pytest.raises(MalformedError):
        cluster.scale(-1)
    with pytest.raises(MalformedError):
        cluster.scale("2")
    with pytest.raises(LimitExceededError):
        cluster.scale(17)
    cluster.scale(0)
    until(lambda: there(cluster) == 0)


def test_busy_workers_go_last(here: Place) -> None:
    cluster = afkit.cluster(workers=2, wait=1, memory="1GiB")
    future = cluster.client.submit(nap, 3, pure=False)
    until(lambda: any(state.processing for state in cluster.scheduler.workers.values()))
    cluster.scale(1)
    until(lambda: there(cluster) == 1)
    began = time.monotonic()
    future.result()
    assert time.monotonic() - began < 3


@pytest.mark.oldest
def test_groups_are_picked_by_resources(here: Place) -> None:
    cluster = afkit.cluster(
        workers=1,
        wait=1,
        memory="1GiB",
        groups={"big": afkit.Group(workers=1, memory="2GiB", cores=2, tags={"big": 1}), "late": afkit.Group((0, 1))},
    )
    assert list(cluster.groups) == ["default", "big", "late"]
    names = cluster.client.gather(
        [cluster.client.submit(lambda _: __import__("distributed").get_worker().name, i, resources={"big": 1}) for i in range(4)]
    )
    assert {name.partition("-")[0] for name in names} == {"big"}
    arch = afkit.plan().groups[0].resources
    assert cluster.client.submit(abs, -1, resources=dict.fromkeys(arch, 1)).result(timeout=20) == 1
    cluster.scale(2, group="big")
    until(lambda: there(cluster, "big") == 2)
    assert there(cluster) == 3
    cluster.scale(0, group="big")
    until(lambda: there(cluster, "big") == 0)
    assert there(cluster) == 1
    with pytest.raises(UnknownChoiceError, match="no group 'huge'"):
        cluster.scale(1, group="huge")


def test_gpus_are_given_out_once(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # two devices that are not there: what workers are told of them is what counts
    monkeypatch.setattr(machine, "gpus", lambda _: ("GPU-a", "GPU-b"))
    cluster = afkit.cluster(workers=1, wait=1, memory="1GiB", groups={"gpu": afkit.Group(workers=1, gpus=1)})
    seen = lambda: __import__("os").environ["CUDA_VISIBLE_DEVICES"]  # noqa: E731 - it travels to the workers
    by_worker = {cluster.scheduler.workers[address].name: value for address, value in cluster.client.run(seen).items()}
    assert sorted(by_worker.values()) == ["", "GPU-a"]
    assert cluster.client.submit(seen, resources={"GPU": 1}).result(timeout=20) == "GPU-a"
    second = afkit.cluster(workers=1, wait=1, gpus=1, memory="1GiB")
    assert second.client.submit(seen, resources={"GPU": 1}).result(timeout=20) == "GPU-b"
    with pytest.raises(LimitExceededError, match=r"0 of this session's 2 are left|1 of this session's 2 is left"):
        cluster.scale(2, group="gpu")
    second.close()
    cluster.scale(2, group="gpu")
    until(lambda: there(cluster, "gpu") == 2)
    assert sorted(cluster.client.run(seen).values()) == ["", "GPU-a", "GPU-b"]


@pytest.mark.oldest
def test_it_follows_its_load(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "LINGER", 2.0)
    cluster = afkit.cluster(workers=(0, 3), memory="1GiB")
    assert there(cluster) == 0
    futures = cluster.client.map(nap, [0.5] * 30, range(30), pure=False)
    # the reaction, not the time that a busy machine needs to start processes
    until(lambda: len(cluster._crew.members) == 3, 5.0)
    until(lambda: there(cluster) == 3)
    pids = set(cluster.client.gather(futures))
    assert len(pids) > 1
    del futures
    # all idle workers go in one step
    seen = []
    until(lambda: seen.append(there(cluster)) or seen[-1] == 0)
    assert len({*seen} - {0, 3}) <= 2
    assert cluster.client.submit(abs, -1).result(timeout=30) == 1


def test_results_that_are_held_stay_somewhere(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "LINGER", 1.0)
    cluster = afkit.cluster(workers=(0, 2), memory="1GiB")
    held = cluster.client.map(lambda i: (time.sleep(0.2), bytes([i]) * 1_000_000)[1], range(10), pure=False)
    wait(held)
    until(lambda: there(cluster) == 1)
    time.sleep(3)  # that it goes no further takes time to see
    assert there(cluster) == 1
    assert [value[0] for value in cluster.client.gather(held)] == list(range(10))
    del held
    until(lambda: there(cluster) == 0)


def test_tagged_tasks_make_workers_of_their_group_alone(here: Place) -> None:
    cluster = afkit.cluster(workers=(0, 3), memory="1GiB", groups={"tagged": afkit.Group((0, 2), memory="1GiB", tags=["tagged"])})
    futures = [cluster.client.submit(nap, 0.3, i, resources={"tagged": 1}, pure=False) for i in range(20)]
    until(lambda: there(cluster, "tagged") == 2)
    wait(futures, timeout=30)
    assert there(cluster) == 2


def test_adapt_and_scale_take_turns(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=1, memory="1GiB")
    follower = cluster.adapt(minimum=2, maximum=3)
    assert (follower.minimum, follower.maximum) == (2, 3)
    until(lambda: there(cluster) == 2)
    assert "Adaptive" in cluster._scaling_status()
    assert afkit.clusters()[0].adaptive == (2, 3)
    cluster.scale(1)
    until(lambda: there(cluster) == 1)
    assert "Manual" in cluster._scaling_status()
    for wrong in ((3, 1), (-1, 1), (0, "x")):
        with pytest.raises(MalformedError):
            cluster.adapt(*wrong)
    with pytest.raises(LimitExceededError):
        cluster.adapt(0, 100)
    follower = cluster.adapt(0)
    assert follower.maximum == 1
    follower.stop()


@pytest.mark.full
def test_no_work_is_lost_over_many_scalings(here: Place, tmp_path: Path) -> None:
    cluster = afkit.cluster(workers=2, wait=1, memory="512MiB")
    held = cluster.client.map(counted(tmp_path / "marks"), range(80), pure=False)
    wait(held)
    for number in [4, 1, 3, 2, 5, 1, 2, 4, 1, 3] * 3:
        cluster.scale(number)
        until(lambda number=number: there(cluster) == number, 40)
    assert [value[0] for value in cluster.client.gather(held)] == list(range(80))
    assert len((tmp_path / "marks").read_text()) == 80
