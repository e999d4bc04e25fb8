"""The same cluster from elsewhere: another kernel, the Jupyter server, code that awaits, other people of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
import threading
from pathlib import Path

import psutil
import pytest
from distributed import Client

import afkit
from afkit.errors import AfkitError, DaskStartError, IncompatibleError, LimitExceededError, MalformedError, UnknownChoiceError
from afkit.session import live, registry
from tests.session.harness import Place, read_line, until

OWNER = """
import afkit
cluster = afkit.cluster(workers=1, wait=1, memory="1GiB", name="theirs")
print("up", flush=True)
input()
print(len(cluster.scheduler_info["workers"]), flush=True)
input()
"""


# another process of the session


@pytest.mark.oldest
def test_connected_by_name(here: Place) -> None:
    owner = here.start(OWNER)
    assert read_line(owner) == "up"
    assert [(info.name, info.workers) for info in afkit.clusters()] == [("theirs", 1)]
    with afkit.connect("theirs") as cluster:
        assert "theirs" in cluster.why
        assert cluster.client.submit(abs, -1).result(timeout=20) == 1
        with Client() as plain:
            assert plain.scheduler_info()["address"] == afkit.clusters()[0].scheduler
        cluster.scale(2)
        until(lambda: len(cluster.scheduler_info["workers"]) == 2)
        assert cluster.dashboard_link.endswith("/status")
        with pytest.raises(LimitExceededError, match="workers"):
            cluster.scale(100)
    # closing a connection leaves the cluster as it is
    assert owner.stdin is not None
    owner.stdin.write("\n")
    owner.stdin.flush()
    assert read_line(owner) == "2"
    cluster = afkit.connect("theirs")
    cluster.shutdown()
    until(lambda: not afkit.clusters())
    owner.communicate("\n", timeout=20)


def test_listed_and_ended_from_elsewhere(here: Place) -> None:
    owner = here.start(OWNER)
    assert read_line(owner) == "up"
    (info,) = afkit.clusters()
    assert info.pid == owner.pid
    info.shutdown()
    until(lambda: not afkit.clusters())
    until(lambda: [process.pid for process in here.processes()] == [owner.pid])
    owner.communicate("\n\n", timeout=20)


def test_connected_by_address(here: Place) -> None:
    owner = here.start(OWNER)
    assert read_line(owner) == "up"
    scheduler = afkit.clusters()[0].scheduler
    with afkit.cluster(where=scheduler) as cluster:
        assert cluster.scheduler_address == scheduler
        assert scheduler in cluster.why
        assert cluster.client.submit(abs, -1).result(timeout=20) == 1
        with pytest.raises(IncompatibleError, match="not made by afkit"):
            cluster.scale(2)
    here.extra["DASK_SCHEDULER_ADDRESS"] = scheduler
    out = here.run("import afkit\ncluster = afkit.cluster(workers=2)\nprint(cluster.scheduler_address, cluster.why)\n")
    assert out.startswith(f"{scheduler} Connected to {scheduler}, which Dask's setting scheduler-address names.")
    owner.communicate("\n\n", timeout=20)


def test_the_control_says_no(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=1, memory="1GiB", name="mine")
    (entry,) = registry.entries()
    assert stat.S_IMODE(Path(entry.control).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(entry.control).parent.stat().st_mode) == 0o700
    assert registry.call(entry, "state")["workers"] == 1
    assert asyncio.run(registry.call_async(entry, "scale", n=2))["groups"] == {"default": 2}
    assert asyncio.run(registry.call_async(entry, "adapt", minimum=0, maximum=3))["groups"] == {"default": 2}
    for verb, arguments, error in (
        ("scale", {"n": 99}, LimitExceededError),
        ("scale", {"n": "two"}, MalformedError),
        ("scale", {}, MalformedError),
        ("scale", {"n": 1, "group": "none"}, UnknownChoiceError),
        ("adapt", {"minimum": 5, "maximum": 1}, MalformedError),
        ("eval", {}, MalformedError),
    ):
        with pytest.raises(error):
            registry.call(entry, verb, **arguments)
    for line in (
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"do": "close"}\n',
        b'{"do": "close", "token": 7}\n',
        b"x" * 200_000 + b"\n",
    ):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(entry.control)
            link.sendall(line)
            link.shutdown(socket.SHUT_WR)
            answer = link.makefile("rb").readline()
        assert not answer or json.loads(answer)["error"] == "malformed"
    with pytest.raises(AfkitError, match="token"):
        registry.call(registry.replace(entry, token="wrong"), "close")
    assert cluster.status.name == "running"
    registry.call(entry, "close")
    until(lambda: cluster.status.name == "closed")


def test_closed_from_elsewhere_while_it_starts(here: Place, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\ncase "$1" in -c) exec "{sys.executable}" "$@";; esac\nexec sleep 600\n')
    path.chmod(0o755)

    def close() -> None:
        until(lambda: registry.entries() != [])
        registry.call(registry.entries()[0], "close")

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(DaskStartError, match="closed while it started: it was closed from outside its kernel"):
        afkit.cluster(workers=1, python=str(path))
    closer.join()
    assert here.clean()


def test_a_long_temporary_folder_has_a_loopback_control(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    deep = here.temporary / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    cluster = afkit.cluster(workers=1, wait=1)
    (entry,) = registry.entries()
    assert entry.control.startswith("127.0.0.1:")
    assert registry.call(entry, "state")["workers"] == 1
    cluster.close()
    assert not list(deep.iterdir())


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs to be somebody else, which only root can")
@pytest.mark.oldest
def test_other_people_of_this_machine_are_not_let_in(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=1)
    (worker,) = cluster.scheduler_info["workers"]
    dashboard = registry.entries()[0].dashboard.removeprefix("http://")
    own_pages = cluster.scheduler_info["workers"][worker]["services"]["dashboard"]
    for place in (cluster.scheduler_address.removeprefix("tcp://"), worker.removeprefix("tcp://"), dashboard, f"127.0.0.1:{own_pages}"):
        assert heard(0, place) > 0
        assert heard(65534, place) == 0


def heard(user: int, place: str) -> int:
    """How many bytes somebody with this user id gets from a port. Bytes that are no request make Dask say hello all the same."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        number = 0
        try:
            os.setuid(user)
            host, port = place.split(":")
            with socket.create_connection((host, int(port)), timeout=10) as link:
                link.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
                number = len(link.recv(200))
        except ConnectionResetError:
            pass
        finally:
            os.write(write, bytes([number]))
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        return answer.read()[0]


# code that awaits


@pytest.mark.oldest
async def test_async_with(here: Place) -> None:
    async with afkit.cluster(workers=2, wait=1, asynchronous=True) as cluster:
        assert len(cluster.scheduler_info["workers"]) == 2
        assert await cluster.client.submit(abs, -1) == 1
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(abs, -2) == 2
        async with Client(asynchronous=True) as client:
            assert await client.submit(abs, -3) == 3
        cluster.scale(1)
        logs = await cluster.logs()
        assert "Scheduler" in logs
    assert cluster.status.name == "closed"
    await cluster.close()
    assert not live._live
    assert here.clean()


async def test_async_with_on_one_that_was_started_before(here: Place) -> None:
    async with afkit.cluster(workers=1) as cluster:
        assert await cluster.client.submit(abs, -1) == 1
    assert here.clean()


@pytest.mark.oldest
async def test_awaited(here: Place) -> None:
    cluster = await afkit.cluster(workers=1, asynchronous=True)
    assert await cluster.client.submit(abs, -1) == 1
    await cluster.close()
    await cluster.close()
    assert here.clean()


async def test_the_loop_goes_on_while_it_starts(here: Place) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.ensure_future(beat())
    async with afkit.cluster(workers=1, asynchronous=True):
        pass
    heart.cancel()
    assert beats > 20


async def test_awaiting_one_that_does_not_start(here: Place, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\ncase "$1" in -c) exec "{sys.executable}" "$@";; esac\nexit 7\n')
    path.chmod(0o755)
    with pytest.raises(DaskStartError, match="exit code 7"):
        await afkit.cluster(workers=1, python=str(path), asynchronous=True)
    assert here.clean()


async def test_cancelled_while_it_starts(here: Place, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\ncase "$1" in -c) exec "{sys.executable}" "$@";; esac\nexec sleep 600\n')
    path.chmod(0o755)
    made = afkit.cluster(workers=1, python=str(path), asynchronous=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(made, 2)
    assert made.status.name == "closed"
    assert here.clean()


def test_client_shutdown_ends_the_cluster(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=1)
    cluster.client.shutdown()
    until(lambda: cluster.status.name == "closed")
    until(here.clean)
    cluster.close()


def test_made_and_used_in_threads(here: Place) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        clusters = list(pool.map(lambda i: afkit.cluster(workers=1, cores=1, memory="1GiB", name=f"c{i}"), range(4)))
        assert [entry.name for entry in sorted(afkit.clusters(), key=lambda entry: entry.name)] == ["c0", "c1", "c2", "c3"]
        assert list(pool.map(lambda cluster: cluster.client.submit(abs, -1).result(timeout=30), clusters)) == [1] * 4
        list(pool.map(lambda cluster: cluster.close(), clusters))
    assert here.clean()
    assert psutil.Process().num_threads() < 60
