"""Processes that are surely the ones that were meant: their numbers are used again, so that a number alone names nobody."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = ("mnt", "net", "pid")


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number and the moment it was started (in ticks since the machine's start)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this number now; None where there is none."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # the name, in parentheses, may hold anything; the start is the 22nd field, the 20th after it
        fields = stat.rpartition(")")[2].split()
        return cls(pid, int(fields[19])) if fields[0] not in "ZX" else None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return Process.of(self.pid) == self

    def send(self, number: int) -> None:
        """Send it a signal, and nobody else; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                # after the handle was opened the number cannot change hands: what is alive now is what the handle names
                if self.alive:
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, at most so long; returns whether it has."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.alive:
                    select.select([handle], [], [], seconds)
            finally:
                os.close(handle)
        return not self.alive


def namespaces(pid: int | str) -> dict[str, int]:
    """The inode numbers of a process's namespaces; fewer where it has ended."""
    found = {}
    for kind in NAMESPACES:
        with contextlib.suppress(OSError):
            found[kind] = Path(f"/proc/{pid}/ns/{kind}").stat().st_ino
    return found


def inside(wanted: Sequence[int]) -> Iterator[Process]:
    """Every process that is in one of these namespaces."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and set(namespaces(entry.name).values()) & set(wanted):
            process = Process.of(int(entry.name))
            if process is not None:
                yield process
