"""Processes by pid and start time, and those that carry a mark in their environment.

A pid alone names nobody: it may have been given to another process since. Every process that `afkit up` starts, and every
process that those start, has the state directory's mark in its environment, so that none is missed and no other is hit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["MARK", "Process", "alive", "end", "end_marked", "marked", "process", "started", "wait_for"]

MARK: Final = "AFKIT_UP"
"""Environment variable that has the mark of the state directory."""

_PROC: Final = Path("/proc")
_LINUX: Final = sys.platform.startswith("linux")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its pid, and when it started as the operating system writes it (opaque text, compared exactly)."""

    pid: int
    started: str


def started(pid: int) -> str | None:
    """When the process started (ticks since boot and the boot's id; elsewhere than on Linux what ``ps`` prints).

    ``None``: there is none, or it has ended and only waits for its parent.
    """
    return _started_linux(pid) if _LINUX else _started_ps(pid)


def process(pid: int) -> Process | None:
    """The process with this pid, ``None`` if there is none."""
    since = started(pid)
    return None if since is None else Process(pid, since)


def alive(process: Process) -> bool:
    """Whether exactly this process still runs."""
    return started(process.pid) == process.started


def marked(mark: str) -> tuple[Process, ...]:
    """All processes that have ``mark`` in their environment, save this one and those that it descends from."""
    wanted = f"{MARK}={mark}".encode()
    found = _with_environment_linux(wanted) if _LINUX else _with_environment_ps(wanted)
    spared = _ancestry()
    candidates = (process(pid) for pid in found if pid not in spared)
    return tuple(one for one in candidates if one is not None)


def end(processes: Iterable[Process], patience: float) -> None:
    """End these: SIGTERM, ``patience`` seconds for all together, then SIGKILL. Returns when none is left or none can be ended."""
    left = [one for one in processes if _signal(one, signal.SIGTERM)]
    if not _gone(left, patience):
        for one in left:
            _signal(one, signal.SIGKILL)
        _gone(left, 5.0)


def end_marked(mark: str, patience: float) -> int:
    """End every process with this mark, also those that start meanwhile; returns how many were found.

    The first round is polite (SIGTERM, ``patience`` seconds), later ones are not.
    """
    found: set[Process] = set()
    for attempt in range(10):
        current = marked(mark)
        if not current:
            break
        found.update(current)
        end(current, patience if attempt == 0 else 0.0)
    return len(found)


def _signal(process: Process, number: signal.Signals) -> bool:
    """Whether the signal was sent; not to a process that merely has the same pid."""
    if not alive(process):
        return False
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _gone(processes: list[Process], patience: float) -> bool:
    return wait_for(lambda: not any(alive(one) for one in processes), patience)


def wait_for(condition: Callable[[], bool], patience: float) -> bool:
    """Whether ``condition`` came true within ``patience`` seconds; it is asked again every 20 ms."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _ancestry() -> frozenset[int]:
    """Own pid, the parent's, and so on up: an `afkit up` that was typed in a left-over terminal must not end itself."""
    pids = [os.getpid()]
    while pids[-1] > 1:
        parent = _parent(pids[-1])
        if parent is None or parent in pids:
            break
        pids.append(parent)
    return frozenset(pids)


def _parent(pid: int) -> int | None:
    if not _LINUX:
        text = _ps("-o", "ppid=", "-p", str(pid)).strip()
        return int(text) if text.isdigit() else None
    fields = _stat_linux(pid)
    return int(fields[1]) if fields else None


def _stat_linux(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the command's name (proc(5)): state, parent, …; empty: no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _started_linux(pid: int) -> str | None:
    fields = _stat_linux(pid)
    if not fields or fields[0] in "ZX":
        return None
    return f"{fields[19]}@{_boot()}"


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""  # some containers hide it; ticks since boot alone are then as good as it gets


def _with_environment_linux(wanted: bytes) -> list[int]:
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # gone meanwhile, or another user's
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def _started_ps(pid: int) -> str | None:
    state, _, since = _ps("-o", "state=,lstart=", "-p", str(pid)).strip().partition(" ")
    return since.strip() if since and not state.startswith("Z") else None


def _with_environment_ps(wanted: bytes) -> list[int]:
    # -E (macOS) appends the environment to the command; words are separated by blanks
    lines = (line.split() for line in _ps("-axwwE", "-o", "pid=,command=").splitlines())
    return [int(words[0]) for words in lines if words and wanted.decode() in words]


def _ps(*arguments: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False, env=environment).stdout
