"""Namespaces of mounts and processes in which everything of images is built: they end with this process, however it ends.

Whoever builds mounts file systems. Here the kernel unmounts them and ends what still runs, also where this process is killed:
a keeper holds the namespaces as long as a pipe to it is open.
"""

from __future__ import annotations

import atexit
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_NAMESPACES: Final = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
_KEEP: Final = "echo ready; read -r _"
_lock = threading.Lock()
_keepers: list[subprocess.Popen[bytes]] = []


class NamespaceError(Exception):
    """No namespaces can be made; the text says why."""


def enter(command: Sequence[str | Path]) -> list[str]:
    """The command line that runs ``command`` inside."""
    keeper = _keeper()
    inside = ["nsenter", f"--mount=/proc/{keeper}/ns/mnt", f"--pid=/proc/{keeper}/ns/pid_for_children", "--"]
    return [*inside, *map(str, command)]


def enter_mounts(command: Sequence[str | Path]) -> list[str]:
    """The command line that runs ``command`` with the mounts alone; it is the first process of that command line itself."""
    return ["nsenter", f"--mount=/proc/{_keeper()}/ns/mnt", "--", *map(str, command)]


def outside(inside: Path) -> Path:
    """Where this process finds what lies at a path inside."""
    return Path(f"/proc/{_keeper()}/root{inside}")


def inside(outside: Path) -> Path:
    """The path of something inside that this process has found by ``outside``."""
    return Path("/", *outside.parts[4:]) if outside.is_relative_to(f"/proc/{_keeper()}/root") else outside


def _keeper() -> int:
    """The number of the process whose namespaces they are."""
    with _lock:
        if not _keepers or _keepers[-1].poll() is not None:
            _keepers.append(_start())
        return _keepers[-1].pid


def _start() -> subprocess.Popen[bytes]:
    # in a session of its own: what a terminal sends to everything is to reach it last
    keeper = subprocess.Popen(
        ["unshare", *_NAMESPACES, "sh", "-c", _KEEP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    if keeper.stdout.readline() != b"ready\n":
        keeper.kill()
        raise NamespaceError(f"unshare: {keeper.stderr.read().decode(errors='replace').strip() or 'no namespaces can be made here'}")
    atexit.register(_end, keeper)
    return keeper


def _end(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
