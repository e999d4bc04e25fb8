"""What `afkit.session` builds on in Dask, on the oldest and the newest supported version. A change here explains failures elsewhere."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, Scheduler, Security, Worker
from distributed.core import Status, rpc
from distributed.deploy import Cluster

from afkit.session import dashboard, peers
from afkit.session.inside import afkit_adaptive as adaptive
from afkit.session.sizing import Sized


@pytest.fixture
async def scheduler() -> Any:
    async with peers.guarded(Scheduler)(
        host="127.0.0.1",
        port=0,
        protocol="tcp://",
        security=Security(),
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        idle_timeout=None,
    ) as started:
        yield started


@pytest.fixture
async def worker(scheduler: Any) -> Any:
    async with peers.guarded(Worker)(
        scheduler.address, name="w-0", host="127.0.0.1", nthreads=1, dashboard=False, memory_limit=1 << 30, resources={"GPU": 1}
    ) as started:
        yield started


async def test_listeners_can_be_guarded_before_they_accept(scheduler: Any, worker: Any) -> None:
    for server in (scheduler, worker):
        assert server.listeners
        for listener in server.listeners:
            assert listener.tcp_server.handle_stream.afkit
        assert server.http_server.handle_stream.afkit
    assert type(scheduler).__name__ == "Scheduler"


async def test_what_adaptive_scaling_reads(scheduler: Any, worker: Any) -> None:
    async with Client(scheduler.address, asynchronous=True) as client:
        running = client.submit(asyncio.sleep, 0.5, pure=False)
        tagged = client.submit(abs, -1, resources={"NONE": 1})
        queued = client.map(lambda i: i, range(50), pure=False)
        await asyncio.sleep(0.3)
        group = Sized("default", 0, 9, 1000, 1, 1 << 30, 0, {"GPU": 1.0})
        work = adaptive.demand(scheduler, [group])["default"]
        assert 45 <= work.tasks <= 51
        assert work.seconds > 0
        assert scheduler.unrunnable
        assert adaptive.demand(scheduler, [Sized("x", 0, 9, 1000, 1, 1 << 30, 0, {"NONE": 1.0})])["x"].tasks >= 1
        (state,) = scheduler.workers.values()
        assert (state.name, state.memory_limit, state.nthreads) == ("w-0", 1 << 30, 1)
        assert isinstance(state.nbytes, int)
        assert scheduler.check_idle() is None
        await client.gather([running, *queued])
        assert not adaptive.memory_full([state])
        del tagged


async def test_idleness_is_known(scheduler: Any) -> None:
    scheduler.check_idle()
    assert scheduler.check_idle() is not None


async def test_workers_are_retired_by_name(scheduler: Any, worker: Any) -> None:
    async with rpc(scheduler.address) as comm:
        gone = await comm.retire_workers(names=["w-0"], close_workers=True, remove=True)
    assert list(gone) == [worker.address]
    await worker.finished()


async def test_the_dashboard_can_be_added_later(scheduler: Any) -> None:
    assert scheduler.services["dashboard"].port
    pages = dashboard.Pages(scheduler)
    before = len(scheduler.http_application.applications)
    await pages.load()
    assert len(scheduler.http_application.applications) == before


def test_a_cluster_has_what_is_overridden() -> None:
    members = (
        "sync",
        "asynchronous",
        "loop",
        "close",
        "scale",
        "adapt",
        "get_client",
        "get_logs",
        "dashboard_link",
        "_close",
        "_get_logs",
        "_log",
    )
    for name in members:
        assert hasattr(Cluster, name), name
    assert {"asynchronous", "loop", "quiet", "name"} <= set(inspect.signature(Cluster.__init__).parameters)
    assert {status.name for status in Status} >= {"created", "starting", "running", "closing", "closed"}


def test_a_worker_takes_what_it_is_given() -> None:
    given = {"name", "host", "nthreads", "memory_limit", "resources", "local_directory", "dashboard"}
    assert given <= set(inspect.signature(Worker.__init__).parameters)
    assert {"timeout", "executor_wait", "reason"} <= set(inspect.signature(Worker.close).parameters)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_client_without_arguments_takes_the_address() -> None:
    with LocalCluster(n_workers=0, dashboard_address=None) as cluster, dask.config.set({"scheduler-address": cluster.scheduler_address}):
        with Client() as client:
            assert client.cluster is None
        # why coffea is given its client
        with pytest.raises(ValueError, match="threads_per_worker"):
            Client(threads_per_worker=1)
