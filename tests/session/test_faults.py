"""What goes wrong has a cause that is named, an end in time, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

import afkit
from afkit.errors import DaskStartError, DeadlineError, PlatformError
from tests.session.harness import Place, read_line, until


def python(folder: Path, body: str) -> str:
    """An interpreter that passes for one, and does something else where a worker is started."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\ncase "$1" in -c) exec "{sys.executable}" "$@";; esac\n{body}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.oldest
def test_a_worker_that_cannot_start_says_why(here: Place, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DaskStartError) as caught:
        afkit.cluster(workers=2, python=python(tmp_path, "echo the licence has expired >&2; exit 7"))
    assert "exit code 7" in caught.value.message
    assert "the licence has expired" in caught.value.message
    assert time.monotonic() - began < 15
    assert here.clean()


def test_a_module_that_breaks_the_workers_is_shown(here: Place, tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('this is another distributed')\n")
    body = f'PYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"'
    with pytest.raises(DaskStartError, match="another distributed"):
        afkit.cluster(workers=1, python=python(tmp_path, body))
    assert here.clean()


def test_the_deadline_says_what_was_waited_for(here: Place, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError, match=r"0 of 2 workers were ready when 3 seconds were over; waited for worker-0, worker-1"):
        afkit.cluster(workers=2, wait=1, timeout=3, python=python(tmp_path, "exec sleep 600"))
    assert time.monotonic() - began < 8
    assert here.clean()


def test_ctrl_c_while_it_starts(place: Place, tmp_path: Path) -> None:
    path = python(tmp_path, "exec sleep 600")
    child = place.start(
        f"""
        import afkit
        print("up", flush=True)
        try:
            afkit.cluster(workers=1, python={path!r})
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        import dask
        print(dask.config.get("scheduler-address", None))
        """
    )
    assert read_line(child) == "up"
    until(lambda: any(process.name() == "sleep" for process in place.processes()))
    time.sleep(0.5)
    os.kill(child.pid, signal.SIGINT)
    assert child.communicate(timeout=20)[0] == "interrupted\nNone\n"
    assert place.clean()


@pytest.mark.oldest
def test_a_killed_worker_is_replaced_and_its_work_done_again(here: Place) -> None:
    cluster = afkit.cluster(workers=2, wait=1)
    held = cluster.client.map(lambda i: (i, os.getpid()), range(10), pure=False)
    first = {pid for _, pid in cluster.client.gather(held)}
    os.kill(min(first), signal.SIGKILL)
    until(lambda: len(cluster.scheduler_info["workers"]) == 1)
    until(lambda: len(cluster.scheduler_info["workers"]) == 2)
    assert [i for i, _ in cluster.client.gather(held)] == list(range(10))
    assert "killed by signal 9" in cluster.logs(scheduler=False, workers=False)["Cluster"]


def test_a_task_that_kills_workers_is_given_up_and_the_cluster_goes_on(here: Place) -> None:
    from distributed import KilledWorker

    cluster = afkit.cluster(workers=1, wait=1)
    poison = cluster.client.submit(lambda: os._exit(9))
    with pytest.raises(KilledWorker):
        poison.result(timeout=50)
    assert cluster.client.submit(abs, -1).result(timeout=20) == 1


@pytest.mark.oldest
def test_restart_brings_new_workers(here: Place) -> None:
    cluster = afkit.cluster(workers=2, wait=1)
    before = set(cluster.client.run(os.getpid).values())
    cluster.client.restart(timeout=30)
    after = set(cluster.client.run(os.getpid).values())
    assert len(after) == 2
    assert not before & after


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured from /proc")
def test_a_worker_over_its_memory_is_ended_and_says_so(here: Place) -> None:
    from distributed import KilledWorker

    cluster = afkit.cluster(workers=1, wait=1, memory="400MiB")

    def eat() -> int:
        kept = []
        while True:
            kept.append(bytearray(os.urandom(1 << 20) * 16))
            time.sleep(0.02)

    with pytest.raises(KilledWorker):
        cluster.client.submit(eat).result(timeout=55)
    assert "more than the 380 MiB at which a worker is ended" in cluster.logs(scheduler=False, workers=False)["Cluster"]


def test_workers_that_fail_later_are_not_tried_for_ever(here: Place, tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    body = f'if [ -e "{switch}" ]; then echo no more >&2; exit 5; fi; exec "{sys.executable}" "$@"'
    cluster = afkit.cluster(workers=1, wait=1, python=python(tmp_path, body))
    switch.touch()
    cluster.scale(2)
    until(lambda: "3 workers of the group 'default' in a row did not start" in "\n".join(line for _, line in cluster._cluster_manager_logs))
    assert cluster.client.submit(abs, -1).result() == 1
    switch.unlink()
    cluster.scale(2)
    cluster.wait_for_workers(2, timeout=30)


def test_no_process_can_be_started(place: Place) -> None:
    out = place.run(
        """
        import resource
        import afkit
        from afkit.errors import AfkitError
        resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))
        try:
            afkit.cluster(workers=1)
        except (AfkitError, OSError) as error:
            print(type(error).__name__, error)
        """
    )
    assert "Error" in out
    assert place.clean()


@pytest.mark.parametrize("kilobytes", [0, 1])
def test_the_disk_is_full(place: Place, kilobytes: int) -> None:
    # files of this process and its children may not grow: what a full disk looks like to them
    place.extra["PYTHONDONTWRITEBYTECODE"] = "1"
    out = place.run(
        f"""
        import resource, signal
        import afkit
        from afkit.errors import AfkitError
        import distributed
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * 1024}, {kilobytes * 1024}))
        try:
            with afkit.cluster(workers=1, timeout=20) as cluster:
                print(cluster.client.submit(abs, -1).result())
        except AfkitError as error:
            print(type(error).__name__, error)
        """
    )
    assert out.startswith(
        ("DaskStartError There is no folder", "DaskStartError There is no folder", "DaskStartError The cluster did not start")
    )
    until(place.clean)


def test_an_address_where_nobody_answers(here: Place) -> None:
    began = time.monotonic()
    with pytest.raises((DaskStartError, DeadlineError), match=r"127\.0\.0\.1:9"):
        afkit.cluster(where="tcp://127.0.0.1:9", timeout=2)
    assert time.monotonic() - began < 15


def test_a_log_does_not_fill_the_disk(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=1)

    def shout() -> None:
        for number in range(12):
            sys.stdout.write(f"{number}" * (1 << 20) + "\n")
            sys.stdout.flush()
            time.sleep(0.3)

    cluster.client.submit(shout).result(timeout=50)
    (log,) = here.temporary.glob("afkit-*/worker-*.log")
    until(lambda: log.stat().st_size < 6 << 20)
    assert "11" in cluster.logs(cluster=False, scheduler=False)["worker-0, output"][-100:]


def test_used_in_a_fork_it_says_so(here: Place) -> None:
    cluster = afkit.cluster(workers=1)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _ = cluster.client
        except PlatformError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert b"another process" in os.read(read, 1000)
    assert psutil.pid_exists(os.getpid())
