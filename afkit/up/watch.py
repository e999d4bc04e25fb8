"""Runs inside the hub: notices that the supervisor is gone, however it died, and ends everything."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from typing import Final

from afkit.up.processes import end_marked

__all__ = ["watch_supervisor"]

_PATIENCE: Final = 10.0
"""Seconds that the hub has to end by itself."""


def watch_supervisor(descriptor: int, mark: str) -> None:
    """Start a thread that waits for the other end of the pipe to be closed, which the operating system does for the dead."""
    os.set_inheritable(descriptor, False)  # no server may hold it
    gone = threading.Event()

    def last() -> None:
        """At the hub's own end: what was started meanwhile."""
        if gone.is_set():
            end_marked(mark, 1.0)

    atexit.register(last)
    threading.Thread(target=_watch, args=(descriptor, mark, gone), name="supervisor", daemon=True).start()


def _watch(descriptor: int, mark: str, gone: threading.Event) -> None:
    while os.read(descriptor, 1024):
        pass
    gone.set()
    # the others first: a hub that is still starting has no clean-up yet and ends at once
    end_marked(mark, 3.0)
    os.kill(os.getpid(), signal.SIGTERM)
    # the hub writes down that its servers are gone, and this thread ends with it; what follows is for a hub that hangs
    threading.Event().wait(_PATIENCE)
    end_marked(mark, 1.0)
    os.kill(os.getpid(), signal.SIGKILL)
