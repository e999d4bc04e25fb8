"""A file system in place of one mounted CVMFS repository: it answers as a CVMFS client does, and fails as one on request.

Run inside the mount namespace in which it is to be seen::

    python -m tools.kubernetes.standins.repository NAME TREE MOUNTPOINT CONTROL

It shows the folder TREE read-only, with the extended attributes of a client, to everybody. CONTROL is the path of a socket that takes
one word a connection, and gives it back as soon as it is mounted and the word holds: ``healthy``, ``empty`` (folders show nothing),
``failing`` (input/output error), ``holding`` (requests are taken and not answered until another word comes), ``secret`` (no
attributes). Killing and stopping the process does what it does to a client.
"""

# ruff: noqa: ARG002  # libfuse says what the methods take

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mfusepy

OPTIONS = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0, "fsname": "cvmfs2", "subtype": "cvmfs2"}
"""Nothing is kept by the kernel, so that a word holds at once."""
MODES = ("healthy", "empty", "failing", "holding", "secret")


class Mode:
    """How the file system behaves now. Whoever must not be answered waits here."""

    def __init__(self) -> None:
        self.word = "healthy"
        self.mounted = threading.Event()
        self._changed = threading.Condition()

    def set(self, word: str) -> None:
        """Behave so from now on, also towards those that wait."""
        with self._changed:
            self.word = word
            self._changed.notify_all()

    def pass_(self) -> None:
        """Return when an answer may be given; raises where it is an error."""
        with self._changed:
            self._changed.wait_for(lambda: self.word != "holding")
        if self.word == "failing":
            raise mfusepy.FuseOSError(errno.EIO)

    def obey(self, words: socket.socket) -> None:
        """Take words from a listening socket, for ever."""
        while True:
            caller, _ = words.accept()
            with caller:
                word = caller.recv(64).decode("ascii", "replace").strip()
                if word in MODES:
                    self.mounted.wait()
                    self.set(word)
                    caller.sendall(word.encode())


class Repository(mfusepy.Operations):  # type: ignore[misc]  # the package has no types
    """The folder ``tree``, read-only, as the repository ``name``."""

    use_ns = True

    def __init__(self, name: str, tree: Path, mode: Mode) -> None:
        self._tree = tree
        self._mode = mode
        self._attributes = {
            "fqrn": name,
            "revision": "7",
            "root_hash": "0" * 40,
            "version": "2.12.0",
            "host": "http://stratum-one.example.org/cvmfs/" + name,
            "proxy": "http://proxy.example.org:3128",
            "nioerr": "0",
            "ncleanup24": "0",
            "pid": str(os.getpid()),
        }

    def init(self, path: str) -> None:
        """The kernel has taken it."""
        self._mode.mounted.set()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """As the tree has it, but nobody may write."""
        self._mode.pass_()
        if self._mode.word == "empty" and path != "/":
            raise mfusepy.FuseOSError(errno.ENOENT)
        seen = self._real(path).lstat()
        found = {key: getattr(seen, key) for key in ("st_nlink", "st_size", "st_uid", "st_gid")}
        return (
            found | {key: getattr(seen, f"{key}_ns") for key in ("st_atime", "st_mtime", "st_ctime")} | {"st_mode": seen.st_mode & ~0o222}
        )

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        """Names of a folder."""
        self._mode.pass_()
        yield from (".", "..")
        if self._mode.word != "empty":
            yield from os.listdir(self._real(path))  # noqa: PTH208  # names are what is asked for

    def readlink(self, path: str) -> str:
        """Where a symbolic link leads."""
        self._mode.pass_()
        return str(self._real(path).readlink())

    def open(self, path: str, flags: int) -> int:
        """A file to read."""
        self._mode.pass_()
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise mfusepy.FuseOSError(errno.EROFS)
        return os.open(self._real(path), os.O_RDONLY)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """A piece of an open file."""
        self._mode.pass_()
        return os.pread(fh, size, offset)

    def release(self, path: str, fh: int) -> int:
        """Close a file."""
        os.close(fh)
        return 0

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        """What a client says of itself."""
        self._mode.pass_()
        word = name.removeprefix("user.")
        if self._mode.word == "secret" or word not in self._attributes or not name.startswith("user."):
            raise mfusepy.FuseOSError(errno.ENODATA)
        return self._attributes[word].encode()

    def listxattr(self, path: str) -> list[str]:
        """A client lists none of them, they have to be asked for by name."""
        self._mode.pass_()
        return []

    def _real(self, path: str) -> Path:
        return self._tree / path.lstrip("/")


def main(arguments: list[str]) -> None:
    """Mount, and serve until unmounted."""
    name, tree, mountpoint, control = arguments
    mode = Mode()
    with socket.socket(socket.AF_UNIX) as words, suppress(KeyboardInterrupt):
        with suppress(FileNotFoundError):
            Path(control).unlink()
        words.bind(control)
        words.listen()
        threading.Thread(target=mode.obey, args=(words,), daemon=True).start()
        mfusepy.FUSE(Repository(name, Path(tree), mode), mountpoint, foreground=True, allow_other=True, ro=True, **OPTIONS)


if __name__ == "__main__":
    main(sys.argv[1:])
