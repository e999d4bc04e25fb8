"""What runs in a facility's pods builds on these parts of Dask, on the oldest and the newest supported version."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from distributed import Client, Scheduler, Security, Worker
from distributed.core import Status
from distributed.preloading import Preload

from afkit.session.inside import afkit_measure, afkit_scheduler, afkit_worker

GROUPS = (afkit_scheduler.WorkerGroup("default"), afkit_scheduler.WorkerGroup("gpu", gpus=1, resources={"GPU": 1.0}))


@pytest.fixture
async def scheduler() -> Any:
    async with Scheduler(
        host="127.0.0.1", port=0, protocol="tcp://", security=Security(), dashboard=False, dashboard_address="127.0.0.1:0"
    ) as started:
        yield started


@pytest.fixture
async def keeper(scheduler: Any) -> Any:
    made = afkit_scheduler.Keeper(scheduler, afkit_scheduler.Description("c", "afkit-1", "t", {"python": "3.0.0"}, GROUPS))
    scheduler.add_plugin(made, name="afkit")
    return made


def worker(scheduler: Any, name: str, **more: Any) -> Any:
    return Worker(scheduler.address, name=name, host="127.0.0.1", nthreads=1, dashboard=False, memory_limit=1 << 30, **more)


async def test_results_move_before_a_worker_goes(scheduler: Any, keeper: Any) -> None:
    async with worker(scheduler, "c-default-worker-1") as one, worker(scheduler, "c-gpu-worker-2", resources={"GPU": 1}) as two:
        for each in (one, two):
            each.handlers["afkit_drain"] = lambda seconds, each=each: afkit_worker.drained(each, seconds)
        async with Client(scheduler.address, asynchronous=True, name="afkit-1") as client:
            held = client.map(lambda i: bytes(1000 + i), range(10), pure=False)
            await client.gather(held)
            state = keeper.state()
            assert (state["client"]["seen"], state["client"]["connected"], state["results"]) == (True, 1, 10)
            assert [state["groups"][name]["present"] for name in ("default", "gpu")] == [["c-default-worker-1"], ["c-gpu-worker-2"]]
            done = await keeper.retire(["c-default-worker-1", "nobody"], drain=True)
            assert done == {"retired": ["c-default-worker-1"], "kept": {"nobody": "unknown"}}
            assert [len(value) for value in await client.gather(held)] == [1000 + i for i in range(10)]
            # the last one holds all that there is, and works on
            assert await keeper.retire(["c-gpu-worker-2"], drain=True) == {"retired": [], "kept": {"c-gpu-worker-2": "results"}}
            assert next(iter(scheduler.workers.values())).status == Status.running
            assert await client.submit(abs, -1, pure=False) == 1
            assert keeper.state()["kept"] == ["c-gpu-worker-2"]
        assert keeper.state()["client"]["gone_s"] is not None


async def test_work_is_counted_where_it_can_be_done(scheduler: Any, keeper: Any) -> None:
    async with Client(scheduler.address, asynchronous=True) as client:
        futures = client.map(lambda i: i, range(50), resources={"GPU": 1}, pure=False)
        for _ in range(500):
            if len(scheduler.unrunnable) == 50:
                break
            await client.scheduler.identity()
        groups = keeper.state()["groups"]
        assert (groups["default"]["needed"], groups["gpu"]["tasks"]) == (0, 50)
        assert groups["gpu"]["needed"] >= 1
        del futures


async def test_a_measurement_counts(scheduler: Any) -> None:
    async with worker(scheduler, "one"), Client(scheduler.address, asynchronous=True) as client:
        gauge = afkit_measure.Gauge(scheduler, "x")
        await client.gather(client.map(lambda i: bytes(100), range(7), pure=False))
        seen = gauge.stop()
    assert (seen["tasks"], seen["failed"], seen["recomputed"]) == (7, 0, 0)
    assert seen["bytes"] >= 700
    assert seen["compute"] > 0
    assert not any("afkit-measure" in name for name in scheduler.plugins)


async def test_a_preload_runs_before_the_worker_is_known(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[int] = []
    started = Preload.start

    async def start(self: Any) -> None:
        known.append(len(scheduler.workers))
        await started(self)

    monkeypatch.setattr(Preload, "start", start)
    async with worker(scheduler, "one", preload=["json"]) as one:
        assert known == [0]
        assert len(scheduler.workers) == 1
        assert not one.state.executing
        assert not one.state.long_running


def test_what_else_is_used_is_there() -> None:
    assert "_graph_to_futures" in vars(Client)
    assert {"name", "set_as_default", "asynchronous", "security"} <= set(inspect.signature(Client.__init__).parameters)
    assert {"msg", "on_error"} <= set(inspect.signature(Scheduler.broadcast).parameters)
    assert {"close_workers", "remove", "workers"} <= set(inspect.signature(Scheduler.retire_workers).parameters)
