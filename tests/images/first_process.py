"""Run below the first process of a container: what loses its parent is taken in by that process, and signals to it arrive here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

PATIENCE = 20.0


def main() -> int:
    """Print what was found as one line of JSON; killed by the signal that arrives."""
    facts = {"first": first(), "orphan": orphan(), "signal": forwarded()}
    print(json.dumps(facts), flush=True)
    return 0


def first() -> list[str]:
    """The command line of the first process."""
    return Path("/proc/1/cmdline").read_text().rstrip("\0").split("\0")


def orphan() -> str:
    """What becomes of a process whose parent is gone, when it ends: ``reaped`` or ``zombie``."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            while os.getppid() != 1:
                time.sleep(0.01)
            os.write(write, f"{os.getpid()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    number = int(os.read(read, 20))
    end = time.monotonic() + PATIENCE
    state = ""
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return "reaped"
        if state == "Z" and os.getpid() == 1:
            break  # nobody else will
        time.sleep(0.05)
    return "zombie" if state == "Z" else state


def forwarded() -> str:
    """Whether a signal to the first process comes here; where this is the first, it would come anyway."""
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    if os.getpid() == 1:
        return "is the first"
    os.kill(1, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while not heard and time.monotonic() < end:
        with contextlib.suppress(InterruptedError):
            time.sleep(0.05)
    return "heard" if heard else "lost"


if __name__ == "__main__":
    sys.exit(main())
