"""Keeps what takes long to make outside the checkout, keyed by the content it is made from; a lock lets one process make it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

DONE = ".complete"
USED = ".used"


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


def use(folder: Path) -> IO[str] | None:
    """Take a folder of the cache into use: as long as the file is open, here or where it was sent, the folder stays.

    None where the folder has gone meanwhile, or was never complete.
    """
    try:
        file = (folder / USED).open("a")
    except FileNotFoundError:
        return None
    fcntl.flock(file, fcntl.LOCK_SH)
    if (folder / DONE).exists():
        return file
    file.close()
    return None


def forget(kind: str, kept: int) -> None:
    """Remove the folders of a kind but for the newest ``kept``, and for those that somebody makes or uses."""
    ages: dict[Path, float] = {}
    for folder in (home() / kind).glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if folder.is_dir():
                ages[folder] = folder.stat().st_mtime
    for folder in sorted(ages, key=lambda each: ages[each], reverse=True)[kept:]:
        with (
            contextlib.suppress(BlockingIOError, FileNotFoundError),
            folder.with_suffix(".lock").open("w") as making,
            (folder / USED).open("a") as using,
        ):
            for lock in (making, using):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / DONE).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def home() -> Path:
    """Where the project's caches are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afkit"
