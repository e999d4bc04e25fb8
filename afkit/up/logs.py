"""What children print: into files of bounded size, and the last lines in memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from pathlib import Path
from typing import Final

__all__ = ["Log"]

_MOST: Final = 8 * 2**20
"""Bytes of one log file; one older file is kept beside it."""


class Log:
    """Takes what comes out of a pipe to a file, in a thread of its own, until the pipe's other end is closed everywhere.

    A full disk loses lines, but never stops the child: the pipe is emptied in any case.
    """

    def __init__(self, path: Path, most: int = _MOST) -> None:
        self.path = path
        self._most = most
        self._lines: deque[bytes] = deque(maxlen=60)
        self._part = b""
        self._lock = threading.Lock()

    def follow(self, descriptor: int) -> threading.Thread:
        """Start to read from ``descriptor``, which is closed at the end; returns the thread."""
        thread = threading.Thread(target=self._pump, args=(descriptor,), name=f"log {self.path.name}", daemon=True)
        thread.start()
        return thread

    def tail(self, count: int = 20) -> list[str]:
        """The last lines, oldest first."""
        with self._lock:
            lines = [*self._lines, self._part] if self._part else list(self._lines)
        return [line.decode(errors="replace").rstrip() for line in lines[-count:]]

    def _pump(self, descriptor: int) -> None:
        try:
            while chunk := os.read(descriptor, 65536):
                self._remember(chunk)
                with contextlib.suppress(OSError):  # a full disk: the lines are lost, the child goes on
                    self._write(chunk)
        finally:
            os.close(descriptor)

    def _remember(self, chunk: bytes) -> None:
        with self._lock:
            *whole, self._part = (self._part + chunk).split(b"\n")
            self._part = self._part[-4096:]
            self._lines.extend(line[-4096:] for line in whole)

    def _write(self, chunk: bytes) -> None:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size and size + len(chunk) > self._most:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, chunk)
        finally:
            os.close(descriptor)
