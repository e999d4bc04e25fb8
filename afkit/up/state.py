"""The state directory: where a facility on this machine keeps everything, and that only one `afkit up` uses it at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from afkit.errors import CallError, PlatformError
from afkit.up.processes import marked

__all__ = ["State", "default_directory", "explained", "read_json", "write_private"]

_NEEDED: Final = 32 * 2**20
"""Bytes that must be free before a start: the hub's database, its journal and the logs of a first hour."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_CAUSES: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ENAMETOOLONG: "the path is too long",
    errno.ENOLCK: "the file system has no locks",
    errno.ENOTSUP: "the file system has no locks",
}


def default_directory(facility: str) -> Path:
    """``$XDG_STATE_HOME/afkit/<facility>``; a relative ``XDG_STATE_HOME`` does not count (XDG Base Directory Specification)."""
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local/state") / "afkit" / facility


@contextlib.contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turns an operating system's error below into one sentence about the state directory (`PlatformError`)."""
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0, error.strerror or str(error))
        hint = "Free some space there, or name another with --state DIR." if error.errno in _FULL else "Name another with --state DIR."
        raise PlatformError(f"The state directory {directory} cannot be used: {cause}.", hint) from error


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read, in one step: readers see the old content or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where the file is missing, damaged or holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class State:
    """An opened state directory. Made by `open`; the lock is held until `close` or the end of this process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.homes = directory / "homes"
        self.logs = directory / "logs"
        self.runtime = directory / "run"
        self.passwords = directory / "passwords.json"
        self.facility_json = directory / "facility.json"
        self.processes = self.runtime / "processes.json"
        self.settings = self.runtime / "settings.json"
        self._note = directory / "lock"
        self._identity = directory / "mark"
        self._lock: int | None = None
        self.mark = ""

    @classmethod
    def open(cls, directory: Path) -> State:
        """Make the directory where it is missing (0700), take its lock. `PlatformError` says in one sentence why it cannot be used."""
        state = cls(Path(os.path.abspath(directory)))  # noqa: PTH100  # keeps a link in the path, which resolve() would not
        with explained(state.directory):
            state._claim()
            state._take_lock()
            try:
                state._part_from_original()
                state.note("")
                state._prepare()
            except BaseException:
                state.close()
                raise
        return state

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def note(self, url: str) -> None:
        """Write beside the lock who holds it, for the sentence that a second `afkit up` prints."""
        if self._lock is not None:
            os.truncate(self._lock, 0)
            os.pwrite(self._lock, json.dumps({"pid": os.getpid(), "url": url, "place": self._place()}).encode(), 0)

    def _claim(self) -> None:
        """Only a new, an empty or an own directory: another's rights and files are left alone."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(self.directory.iterdir()) and not self._is_ours():
            raise CallError(
                f"{self.directory} is not empty and was not made by afkit up.", "Name an empty or a new directory with --state DIR."
            )
        self.directory.chmod(0o700)

    def _is_ours(self) -> bool:
        """Many a program calls a file ``lock``: ours says whose it is, or lies beside our mark, or (after a killed first start) alone."""
        if not self._note.exists() or not stat.S_ISREG(self._note.lstat().st_mode):
            return False
        alone = self._note.stat().st_size == 0 and list(self.directory.iterdir()) == [self._note]
        return alone or "pid" in read_json(self._note) or _is_mark(self._identity)

    def _place(self) -> str:
        """Which directory this is, whatever its name."""
        found = self.directory.stat()
        return f"{found.st_dev}:{found.st_ino}"

    def _take_lock(self) -> None:
        self._lock = os.open(self._note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            holder = read_json(self._note)
            where = f", at {holder['url']}" if holder.get("url") else ""
            raise PlatformError(
                f"Another afkit up (process {holder.get('pid', 'unknown')}{where}) uses the state directory {self.directory}.",
                "Use that one, stop it first, or name another directory with --state DIR.",
            ) from None

    def _part_from_original(self) -> None:
        """A copy of a state directory is a facility of its own, and what runs of the original is not the copy's to end."""
        if read_json(self._note).get("place", self._place()) == self._place() or not _is_mark(self._identity):
            return
        if marked(self._identity.read_text(encoding="ascii").strip()):
            raise PlatformError(
                f"The state directory {self.directory} is a copy of one whose facility is running.",
                "Stop that one first: servers that run would belong to both.",
            )
        self._identity.unlink()
        self.processes.unlink(missing_ok=True)

    def _prepare(self) -> None:
        room = os.statvfs(self.directory)
        free = room.f_bavail * room.f_frsize
        if free < _NEEDED:
            raise OSError(errno.ENOSPC, "")
        for folder in (self.homes, self.logs, self.runtime):
            folder.mkdir(mode=0o700, exist_ok=True)
        for part in (self.directory, self.runtime):
            for leftover in part.glob(".*.json-*"):
                leftover.unlink(missing_ok=True)  # of a write that was killed half way
        self.facility_json.unlink(missing_ok=True)  # of a run that was killed
        if not _is_mark(self._identity):
            write_private(self._identity, secrets.token_hex(16))
        self.mark = self._identity.read_text(encoding="ascii").strip()


def _is_mark(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and re.fullmatch(rb"[0-9a-f]{32}\n?", path.read_bytes()[:40]) is not None
    except OSError:
        return False
