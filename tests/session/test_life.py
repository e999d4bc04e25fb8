"""``life="kernel"``: when the process is gone, however it died, nothing of its cluster is left within five seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.session.harness import Place, line_of, read_line, until

SECONDS = 5.0

CLUSTER = """
import os, sys, time
import afkit
cluster = afkit.cluster(workers=2, wait=1)
client = cluster.client
"""

PLAIN = (
    CLUSTER
    + """
print("up", flush=True)
time.sleep(600)
"""
)

IN_A_THREAD = """
import threading, time
import afkit
made = []
thread = threading.Thread(target=lambda: made.append(afkit.cluster(workers=2, wait=1)))
thread.start()
thread.join()
time.sleep(1)
assert made[0].client.submit(abs, -1).result() == 1
print("up", flush=True)
time.sleep(600)
"""

FORKED = (
    CLUSTER
    + """
if os.fork() == 0:
    # a fork of the user's own code holds every descriptor of the session's process, for longer than five seconds
    os.setsid()
    print("up", flush=True)
    time.sleep(12)
    os._exit(0)
time.sleep(600)
"""
)

BUSY = (
    CLUSTER
    + """
def spin():
    while True:
        pass
futures = [client.submit(spin, pure=False) for _ in range(2)]
while not all(client.processing().values()):
    time.sleep(0.05)
print("up", flush=True)
time.sleep(600)
"""
)

LOCK_HELD = (
    CLUSTER
    + """
def hold():
    # C code that keeps the interpreter's lock: no thread of the worker runs meanwhile
    import ctypes
    ctypes.PyDLL(None).sleep(600)
futures = [client.submit(hold, pure=False) for _ in range(2)]
time.sleep(1)
print("up", flush=True)
time.sleep(600)
"""
)

CHILDREN = (
    CLUSTER
    + """
def children():
    import os, subprocess
    subprocess.Popen(["sleep", "601"])
    subprocess.Popen(["sleep", "602"], start_new_session=True)
    subprocess.run(["sh", "-c", "setsid sleep 603 & setsid sh -c 'setsid sleep 604 &' &"])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "605"])
        os._exit(0)
client.submit(children).result()
print("up", flush=True)
time.sleep(600)
"""
)

STARTING = """
import threading, os, time
import afkit
threading.Thread(target=lambda: afkit.cluster(workers=2, wait=1), daemon=True).start()
while not any(name.startswith("afkit-") for name in os.listdir(os.environ["TMPDIR"])):
    time.sleep(0.001)
print("up", flush=True)
time.sleep(600)
"""


def kill_and_watch(place: Place, code: str, number: int = signal.SIGKILL) -> float:
    """Seconds from the death of the script until nothing of its cluster is left."""
    child = place.start(code)
    assert read_line(child) == "up"
    before = place.processes()
    assert len(before) >= 2, before
    os.kill(child.pid, number)
    began = time.monotonic()
    child.wait(20)
    mine = {process.pid for process in before}

    def left() -> list[psutil.Process]:
        # a fork of the user's own code is theirs, not the cluster's
        return [process for process in place.processes() if "script" not in (line := line_of(process)) and line]

    assert mine
    until(lambda: not left() and not list(place.temporary.glob("afkit-*")) and not list(place.home.glob("runtime/afkit/*.json")), SECONDS)
    return time.monotonic() - began


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(PLAIN, id="plain", marks=pytest.mark.oldest),
        pytest.param(IN_A_THREAD, id="made in a thread that has ended"),
        pytest.param(FORKED, id="the user has forked"),
        pytest.param(BUSY, id="busy in Python"),
        pytest.param(LOCK_HELD, id="busy in C with the lock held"),
        pytest.param(CHILDREN, id="tasks have children, also detached ones", marks=pytest.mark.oldest),
        pytest.param(STARTING, id="while it starts"),
    ],
)
def test_killed(place: Place, code: str) -> None:
    assert kill_and_watch(place, code) < SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT])
def test_ended_by_another_signal(place: Place, number: int) -> None:
    assert kill_and_watch(place, PLAIN, number) < SECONDS


def test_the_whole_group_killed_as_jupyter_does(place: Place) -> None:
    child = place.start(CHILDREN)
    assert read_line(child) == "up"
    os.killpg(child.pid, signal.SIGKILL)
    until(place.clean, SECONDS)


def test_replaced_by_another_program(place: Place) -> None:
    child = place.start(CLUSTER + 'print("up", flush=True)\nos.execvp("sleep", ["sleep", "600"])\n')
    assert read_line(child) == "up"
    until(lambda: [process.name() for process in place.processes()] == ["sleep"], SECONDS)
    child.kill()


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise SystemExit(3)", "os._exit(3)", "import signal; os.kill(os.getpid(), signal.SIGINT)"])
def test_ended_without_close(place: Place, end: str) -> None:
    child = place.start(CLUSTER + f"client.map(time.sleep, [600] * 4)\n{end}\n")
    _, err = child.communicate(timeout=40)
    # 1: what is imported meanwhile makes Python forget that it was a Ctrl-C
    assert child.returncode in ((3,) if "3" in end else (-signal.SIGINT, 1))
    assert err.count("Traceback") == (0 if "3" in end else 1), err
    until(place.clean, SECONDS)


def test_the_end_of_a_fork_is_not_the_end_of_the_cluster(place: Place) -> None:
    out = place.run(
        CLUSTER
        + """
import multiprocessing
pid = os.fork()
if pid == 0:
    cluster.close()
    sys.exit(0)  # runs what was registered for the end of the process
os.waitpid(pid, 0)
child = multiprocessing.get_context("fork").Process(target=print, args=("child",))
child.start()
child.join()
print(client.submit(abs, -1).result(), cluster.status.name)
"""
    )
    assert out.splitlines()[-1] == "1 running"
    assert place.clean()


def test_the_guardian_killed(place: Place) -> None:
    child = place.start(
        CHILDREN.replace(
            "time.sleep(600)",
            "import time\nwhile cluster.status.name == 'running': time.sleep(0.05)\nprint('over', flush=True)",
        )
    )
    assert read_line(child) == "up"
    (guardian,) = [process for process in place.processes() if "guardian_main.py" in line_of(process)]
    workers = [process for process in place.processes() if "worker_main.py" in line_of(process)]
    guardian.kill()
    psutil.wait_procs(workers, timeout=SECONDS)
    assert not [process for process in workers if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert "over" in child.communicate(timeout=20)[0]


def test_what_was_killed_with_its_guardian_is_cleared_away_by_the_next(place: Place) -> None:
    child = place.start(PLAIN)
    assert read_line(child) == "up"
    other = place.start(PLAIN)
    assert read_line(other) == "up"
    (kept,) = {path for path in place.temporary.glob("afkit-*") if str(other.pid) in _parents(place, path)}
    (left,) = {*place.temporary.glob("afkit-*")} - {kept}
    (guardian,) = [process for process in place.processes() if str(left) in line_of(process) and "guardian_main.py" in line_of(process)]
    guardian.suspend()
    child.kill()
    guardian.kill()
    until(lambda: not any(str(left) in line_of(process) for process in place.processes()), SECONDS)
    assert left.is_dir()
    place.run("import afkit\nafkit.cluster(workers=1).close()\n")
    until(lambda: [*place.temporary.glob("afkit-*")] == [kept])
    other.kill()
    until(place.clean, SECONDS)


def _parents(place: Place, folder: Path) -> str:
    return " ".join(line_of(process) for process in place.processes() if str(folder) in line_of(process) and "guardian" in line_of(process))


def test_a_stopped_process_keeps_its_cluster(place: Place) -> None:
    child = place.start(CLUSTER + "print('up', flush=True)\ninput()\nprint(client.submit(abs, -1).result(), flush=True)\n")
    assert read_line(child) == "up"
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(3)
    os.kill(child.pid, signal.SIGCONT)
    assert child.communicate("\n", timeout=20)[0] == "1\n"
    until(place.clean, SECONDS)
