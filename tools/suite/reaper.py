"""Runs one command, takes in the processes that it orphans, and fails where any of them is left when it ends.

``python -m tools.suite.reaper FILE [--idle=SECONDS] COMMAND …``; FILE gets the processor seconds that all of it used, and after
SECONDS it steps aside for other work. On Linux an orphan becomes this process's child (a "subreaper"), however it detached
itself; elsewhere only direct children are seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import psutil

PATIENCE = 5.0
"""Seconds that processes have to end after the command that started them."""
HASTE = 20.0
"""Seconds after which a preparation that still runs has more to do than look into the caches; what waits for it can start by then."""
ASIDE = 120.0
"""Seconds for which a long preparation leaves the processors to the fast tests; later what waits for it would only wait longer."""
GROUP = Path("/proc/self/autogroup")
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code, or 1 where it ended well and left processes behind."""
    used, arguments = Path(arguments[0]), arguments[1:]
    if arguments[0].startswith("--idle="):
        haste = float(arguments[0].partition("=")[2])
        arguments = arguments[1:]
        for seconds, change in ((haste, step_aside), (haste + ASIDE, come_back)):
            timer = threading.Timer(seconds, change)
            timer.daemon = True
            timer.start()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = subprocess.Popen(arguments)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # SIGINT lets pytest take its fixtures down, SIGTERM would not
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
        signal.alarm(10)

    def give_up(_number: int, _frame: FrameType | None) -> None:
        end_all(psutil.Process().children(recursive=True))

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGALRM, give_up)
    code = reap_until(child.pid)
    left = wait_for_none()
    for process in left:
        with contextlib.suppress(psutil.Error):
            print(f"left behind: process {process.pid} {' '.join(process.cmdline()[:3])}", flush=True)
    end_all(left)
    times = os.times()
    used.write_text(f"{times.children_user + times.children_system:.1f}")
    return code or (1 if left else 0)


def reap_until(wanted: int) -> int:
    """Collect every child that ends, until ``wanted`` does; returns its exit code (that of a shell for a signal)."""
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return 1
        if pid == wanted:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def wait_for_none() -> list[psutil.Process]:
    """Collect what ends within the time that is given; returns the processes that are still there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = psutil.Process().children(recursive=True)
        if not left or time.monotonic() > deadline:
            return left
        psutil.wait_procs(left, timeout=0.2)


def end_all(processes: list[psutil.Process]) -> None:
    """Kill these processes, and collect them; each is one that the command started."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=PATIENCE)


def step_aside() -> None:
    """Give this process and all that it started the lowest priority for processor and disk."""
    # a kernel that groups processes by their session shares out time by group first: niceness counts only within one
    share(19, "10", idle=True)


def come_back() -> None:
    """Give them their usual share again, as far as the machine lets it (root alone may raise)."""
    share(0, "0", idle=False)


def share(nice: int, group: str, *, idle: bool) -> None:
    """Set the priorities of this process, of its group, and of all that it started."""
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error, OSError):
            process.nice(nice)
            if sys.platform == "linux":
                process.ionice(psutil.IOPRIO_CLASS_IDLE if idle else psutil.IOPRIO_CLASS_BE)
    with contextlib.suppress(OSError):
        GROUP.write_text(group)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
