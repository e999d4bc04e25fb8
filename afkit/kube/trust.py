"""What an API server's certificate is checked against, from files that others renew: read again when they have changed."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from afkit.errors import KubernetesError

__all__ = ["Trust"]

_LOOKS: Final = 30.0
"""Seconds between two looks at the files."""

_Stamp = tuple[tuple[int, int, int], ...]


class Trust:
    """A TLS context and the files that it is made from (a pod's own authority, a client's certificate and key).

    Connections that exist stay; new ones are made by the context of now. Files that are gone or half written change nothing.
    """

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Iterable[str | Path]) -> None:
        self._make = make
        self._files = tuple(map(Path, files))
        self._stamp = self._look()
        self._context = make()
        self._looked = time.monotonic()

    def __repr__(self) -> str:
        return f"Trust({', '.join(map(str, self._files))})"

    def context(self) -> ssl.SSLContext:
        """The context of now."""
        if self._files and time.monotonic() - self._looked > _LOOKS:
            self.renew()
        return self._context

    def renew(self) -> bool:
        """Look at the files now; whether there is another context since the last look."""
        self._looked = time.monotonic()
        stamp = self._look()
        if stamp == self._stamp or not stamp:
            return False
        try:
            self._context = self._make()
        except KubernetesError:
            return False
        self._stamp = stamp
        return True

    def _look(self) -> _Stamp:
        """What tells one version of the files from another; empty where one of them is not there."""
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return ()
        # the kubelet writes a new file and lets a link point to it, others write over the old one
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)
