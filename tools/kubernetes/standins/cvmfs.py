"""A node's CVMFS in the hand of a test: a folder with a mounted repository each, which can be killed, hung, emptied and mended.

Paths are the same inside the node's namespaces and outside.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from ctypes.util import find_library
from pathlib import Path
from typing import Protocol

from tools.kubernetes.machine import FUSE
from tools.suite import debian

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20.0


class Host(Protocol):
    """Where the programs of a node run."""

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a program inside."""

    def signal(self, name: str, number: int) -> None:
        """Send it a signal; one that has ended takes none."""

    def kill(self, name: str) -> None:
        """Kill it and wait until it has ended; one that never ran is fine."""

    def run(self, command: Sequence[str]) -> bool:
        """Run a command inside to its end; whether it went well."""


class Entered:
    """Namespaces that a command leads into (``nsenter -t PID -m -p``); by default here. The programs are children of this process."""

    def __init__(self, enter: Sequence[str] = ()) -> None:
        self._enter = list(enter)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """See `Host`."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._children[name] = subprocess.Popen([*self._enter, *command], stdin=subprocess.DEVNULL, env=environment, cwd="/")

    def signal(self, name: str, number: int) -> None:
        """See `Host`.

        The process that enters a process namespace has the program as its child, stops itself when that stops, and continues the
        child when it is itself continued: it is never continued for a stop, and a stop is waited for in both.
        """
        child = self._children.get(name)
        if child is None or child.poll() is not None:
            return
        programs = [child.pid]
        if self._enter:
            with contextlib.suppress(OSError):
                programs = [int(inner) for inner in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
        for program in programs:
            with contextlib.suppress(OSError):
                os.kill(program, number)
        if number == signal.SIGSTOP:
            _stopped(*programs, child.pid)
        elif self._enter:
            child.send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """See `Host`."""
        self.signal(name, signal.SIGKILL)
        if name in self._children:
            self._children.pop(name).wait(SECONDS)

    def run(self, command: Sequence[str]) -> bool:
        """See `Host`."""
        return subprocess.run([*self._enter, *command], stderr=subprocess.DEVNULL, check=False).returncode == 0


def _stopped(*processes: int) -> None:
    """Return when they have stopped; raises `TimeoutError`."""
    deadline = time.monotonic() + SECONDS
    for process in processes:
        while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {process} did not stop within {SECONDS:g} s")
            time.sleep(0.01)


class Repository:
    """One repository below a node's folder ``work``; it shows what lies in ``tree``."""

    def __init__(self, name: str, work: Path, host: Host) -> None:
        self.name = name
        self.path = work / "cvmfs" / name
        self.tree = work / "trees" / name
        self._control = work / f"{name}.sock"
        self._host = host
        self._program = f"cvmfs-{name}"

    def mount(self) -> None:
        """Mount it, and wait until it is; over a dead mount, that one goes first (as a node's automounter does)."""
        self.kill()
        self.unmount()
        for folder in (self.path, self.tree):
            folder.mkdir(parents=True, exist_ok=True)
        self._control.unlink(missing_ok=True)
        module = "tools.kubernetes.standins.repository"
        arguments = [self.name, *map(str, (self.tree, self.path, self._control))]
        self._host.start(self._program, [sys.executable, "-m", module, *arguments])
        deadline = time.monotonic() + SECONDS
        while not self._control.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} was not mounted within {SECONDS:g} s")
            time.sleep(0.02)
        self.say("healthy")

    def kill(self) -> None:
        """As a client that dies: whoever touches the mount is told ENOTCONN."""
        self._host.kill(self._program)

    def unmount(self) -> None:
        """Take the mount away, whether it lives or not. What looks at it now keeps it."""
        while self._host.run(["umount", "-l", str(self.path)]):
            pass

    def stop(self) -> None:
        """As a client that hangs before it takes a request: whoever waits can be killed."""
        self._host.signal(self._program, signal.SIGSTOP)

    def go(self) -> None:
        """The end of `stop`."""
        self._host.signal(self._program, signal.SIGCONT)

    def say(self, word: str) -> None:
        """``healthy``, ``empty``, ``failing``, ``secret``, or ``holding``: whoever waits cannot be killed. Holds at the return."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(SECONDS)
            folder = os.open(self._control.parent, os.O_PATH)  # the path of a socket is short
            try:
                _connect(control, f"/proc/self/fd/{folder}/{self._control.name}")
            finally:
                os.close(folder)
            control.sendall(word.encode())
            if control.recv(64).decode() != word:
                raise ValueError(f"{word!r} is nothing that a repository can do")


class Cvmfs:
    """All repositories of a node, below ``path``."""

    def __init__(self, work: Path, host: Host) -> None:
        self.path = work / "cvmfs"
        self._work = work
        self._host = host
        self._repositories: dict[str, Repository] = {}
        self.path.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, name: str) -> Repository:
        """A repository; one that somebody else has mounted can be taken in hand as well."""
        return self._repositories.setdefault(name, Repository(name, self._work, self._host))

    def __iter__(self) -> Iterator[Repository]:
        return iter(tuple(self._repositories.values()))

    def add(self, name: str, files: Mapping[str, str]) -> Repository:
        """Mount one more, with these files in it."""
        write(self[name].tree, files)
        self[name].mount()
        return self[name]

    def mend(self) -> None:
        """Have all of them well, however they were."""
        for repository in self:
            repository.go()
            try:
                repository.say("healthy")
            except OSError:
                repository.mount()

    def close(self) -> None:
        """Unmount all."""
        for repository in self:
            repository.kill()
            repository.unmount()


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Put files into a tree."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def lacking() -> Iterator[str]:
    """What this machine lacks for it, in words; libfuse is installed where that is possible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield "root on Linux"
    elif not Path("/dev/fuse").exists():
        yield "FUSE in the kernel (/dev/fuse)"
    elif not (find_library("fuse") or debian.install(FUSE)):
        yield FUSE


def _connect(control: socket.socket, path: str) -> None:
    """Connect; the socket's file exists a moment before anybody listens."""
    deadline = time.monotonic() + 1
    while True:
        try:
            return control.connect(path)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
