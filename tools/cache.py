"""Keeps what takes long to make outside the checkout, keyed by the content it is made from; a lock lets one process make it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

DONE = ".complete"


def cached(kind: str, content: bytes, make: Callable[[Path], None], say: Callable[[str], None] | None = None) -> Path:
    """The folder that ``make(folder)`` filled from ``content``: made once, then found; ``say`` is told of a wait for another process.

    It lies in ``$XDG_CACHE_HOME/afkit/KIND/DIGEST`` and is made where it stays (an environment cannot be moved). What was
    interrupted is made anew.
    """
    folder = home() / kind / hashlib.sha256(content).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if say is not None:
                say(f"another process is making {folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / DONE).touch()
    return folder


def home() -> Path:
    """Where the project's caches are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afkit"
