"""One child process of the supervisor: its output to a log, its end as an event."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from afkit.up.logs import Log
from afkit.up.processes import Process, process

__all__ = ["Answered", "Child", "Ended", "Event", "Signalled"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A child has ended; ``status`` as `subprocess` gives it (negative: a signal)."""

    child: Child
    status: int


@dataclass(frozen=True, slots=True)
class Signalled:
    """Somebody asked this process to stop."""

    number: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The hub answers through the proxy (``good``), or did not within its time."""

    good: bool


Event = Ended | Signalled | Answered
"""What the supervisor waits for."""


class Child:
    """A child in a session of its own, so that Ctrl-C in the terminal reaches only the supervisor."""

    def __init__(self, name: str, log: Log, events: queue.SimpleQueue[Event]) -> None:
        self.name = name
        self.log = log
        self._events = events
        self._popen: subprocess.Popen[bytes] | None = None
        self.identity: Process | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str], directory: Path, keep: Sequence[int] = ()) -> None:
        """Start it; ``keep``: descriptors that it inherits. Raises ``OSError`` where the program cannot be run."""
        reader, writer = os.pipe()
        try:
            popen = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=tuple(keep),
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._popen = popen
        self.identity = process(popen.pid)
        pump = self.log.follow(reader)
        threading.Thread(target=self._wait, args=(popen, pump), name=f"wait {self.name}", daemon=True).start()

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def ask_to_stop(self) -> None:
        """Send SIGTERM, where it runs."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, or was never started; waits for that at most ``seconds``."""
        try:
            return self._popen is None or self._popen.wait(seconds) is not None
        except subprocess.TimeoutExpired:
            return False

    def stop(self, patience: float) -> None:
        """SIGTERM, ``patience`` seconds, then SIGKILL; returns when it has ended."""
        self.ask_to_stop()
        if not self.wait(patience) and self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def _wait(self, popen: subprocess.Popen[bytes], pump: threading.Thread) -> None:
        status = popen.wait()
        pump.join(1.0)  # so that its last words are in the log when its end is reported; a grandchild may hold the pipe open
        self._events.put(Ended(self, status))


def ending(status: int) -> str:
    """How a process ended, for a sentence: ``exit status 1``, ``SIGKILL``."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
