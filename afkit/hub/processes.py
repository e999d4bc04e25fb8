"""Processes of a server, found again after a restart of the hub and ended to the last one.

A pid alone names nobody, so a server is known by its pid and the time at which that process started. Kernels run in sessions
of their own, and what outlives its parent belongs to nobody: so every server has a mark of its own in its environment, which
all that it starts inherits.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psutil
from sqlalchemy.engine import make_url

__all__ = ["MARK", "end", "family", "hub_mark", "is_process", "marked", "start_time"]

MARK: Final = "AFKIT_SERVER_MARK"
"""Environment variable that has the mark of a server."""


def hub_mark(facility: Path, database: str) -> str:
    """What the marks of one hub's servers begin with; ``facility``: its file, ``database``: the URL of its database.

    Two hubs of one file are told apart by their databases. A path in the URL of an SQLite database starts at the hub's working
    directory, so the URL alone may be the same for both.
    """
    url = make_url(database)
    place = str(Path(url.database or "").absolute()) if url.get_backend_name() == "sqlite" else database
    return hashlib.sha256(f"{facility}\0{place}".encode()).hexdigest()[:16]


def start_time(pid: int) -> float | None:
    """When the process started, in seconds since the epoch; ``None``: there is none, or it has ended and waits for its parent."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def is_process(pid: int, started: float | None) -> bool:
    """Whether the process that started then still runs.

    Start times are counted from the boot, whose time the clock may have corrected by a second since.
    """
    now = start_time(pid)
    return now is not None and started is not None and abs(now - started) < 2.0


def family(pid: int) -> tuple[psutil.Process, ...]:
    """A process and all that descend from it."""
    try:
        parent = psutil.Process(pid)
        return (parent, *parent.children(recursive=True))
    except psutil.Error:
        return ()


def marked(wanted: Callable[[str], bool]) -> tuple[psutil.Process, ...]:
    """All processes whose mark is ``wanted``, save this one. Other users' processes cannot be read and are left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mark = process.environ().get(MARK)
            if mark and wanted(mark) and process.pid != os.getpid():
                found.append(process)
    return tuple(found)


def end(processes: Iterable[psutil.Process], patience: float) -> int:
    """End them: SIGTERM, ``patience`` seconds for all together (0: none), then SIGKILL. Returns how many had to be ended."""
    left = [process for process in processes if process.is_running()]
    count = len(left)
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        if seconds:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)  # psutil checks that it is still the same process
            _, left = psutil.wait_procs(left, timeout=seconds)
    return count
