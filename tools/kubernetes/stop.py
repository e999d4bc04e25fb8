"""Ends a cluster, also one that hangs or whose launcher was killed, and leaves the machine as it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.kubernetes import cgroups
from tools.kubernetes.build import Say
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import Process, inside, namespaces

PATIENCE = 120.0
"""Seconds for each step of an end, on a machine that is busy with other work."""
FUSE_CONNECTIONS = Path("/sys/fs/fuse/connections")


class StopError(Exception):
    """Something of the cluster is still there; the text says what."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds a cluster: the processes outside and the first one inside, and the namespaces by their inodes."""

    guardian: Process
    unshare: Process
    holder: Process
    namespaces: tuple[int, ...]


def stop(state: Path, *, say: Say, keep_logs: bool = False) -> None:
    """End the cluster of this state folder, if any, and remove the folder (but for the logs). Raises ``StopError``."""
    layout = Layout(state.resolve())
    began = time.monotonic()
    found = held(layout)
    if found is not None:
        end(found)
        say(f"the cluster has ended after {time.monotonic() - began:.1f} s")
    else:
        say(f"no cluster runs with {layout.state}" + ("; what one left goes now" if layout.state.exists() else ""))
    deadline = time.monotonic() + PATIENCE
    while left := cgroups.remove(layout.name):
        if time.monotonic() > deadline:
            raise StopError(f"processes are still in {', '.join(map(str, left))}")
        time.sleep(0.05)
    if layout.state.exists():
        remove(layout, keep_logs=keep_logs)


def held(layout: Layout) -> Held | None:
    """Who holds the cluster; None where nobody does. Waits for a guardian that is just starting."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if layout.holder.exists():
            noted = json.loads(layout.holder.read_text())
            processes = {name: Process(**values) for name, values in noted["processes"].items()}
            if any(process.alive for process in processes.values()):
                return Held(**processes, namespaces=tuple(noted["namespaces"].values()))
        if not guarded(layout) or time.monotonic() > deadline:
            return None
        time.sleep(0.05)


def guarded(layout: Layout) -> bool:
    """Whether a guardian lives: it keeps the state folder's lock as long as it does."""
    with contextlib.suppress(FileNotFoundError), (layout.state / "guarded").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def end(found: Held) -> None:
    """Kill the holder, with which the kernel kills everything inside, and whoever else is in its namespaces."""
    files = fuse_connections(found)
    for process in (found.holder, found.unshare):
        process.send(signal.SIGKILL)
    # a process that waits for the answer of a FUSE server dies once the server does; one outside would be waited for for ever
    abort(files)
    ended = found.holder.wait(PATIENCE) and found.unshare.wait(PATIENCE) and found.guardian.wait(PATIENCE)
    found.guardian.send(signal.SIGKILL)
    outsiders = [process for process in inside(found.namespaces) if process not in (found.holder, found.unshare, found.guardian)]
    for process in outsiders:
        process.send(signal.SIGKILL)
    left = [process.pid for process in outsiders if not process.wait(PATIENCE)]
    if left or not ended:
        raise StopError(f"processes of the cluster cannot be ended: {left or found}")


def fuse_connections(found: Held) -> Sequence[str]:
    """The numbers of the FUSE connections whose mounts only the cluster sees."""
    with contextlib.suppress(OSError):
        return sorted(set(fuse_mounts(str(found.holder.pid))) - set(fuse_mounts("self")))
    return ()


def fuse_mounts(pid: str) -> list[str]:
    """The minor numbers of the FUSE file systems that a process sees; they are their connections' numbers."""
    numbers = []
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        mount, _, kind = line.partition(" - ")
        if kind.startswith("fuse") and not kind.startswith("fusectl"):
            numbers.append(mount.split()[2].partition(":")[2])
    return numbers


def abort(connections: Sequence[str]) -> None:
    """Let every request of these connections fail."""
    for number in connections:
        with contextlib.suppress(OSError):
            (FUSE_CONNECTIONS / number / "abort").write_text("1")


def remove(layout: Layout, *, keep_logs: bool) -> None:
    """Remove the state folder, or all of it but the logs. Somebody else may do the same at the same time."""
    with contextlib.suppress(FileNotFoundError):
        for entry in layout.state.iterdir():
            if keep_logs and entry == layout.logs:
                continue
            if entry.is_dir() and not entry.is_symlink():
                # volumes may hold what only its owner, or nobody, may change: attributes are not looked at
                remove_tree(entry)
            else:
                entry.unlink(missing_ok=True)
        if not keep_logs:
            layout.state.rmdir()


def remove_tree(folder: Path) -> None:
    """Remove a folder, of which parts may go meanwhile: of a cluster whose process was killed, its guardian removes them too."""
    for _ in range(100):
        try:
            return shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return None
    raise StopError(f"{folder} cannot be removed: something goes on in it")


def same(found: Held) -> bool:
    """Whether the holder is still in the namespaces that were noted."""
    return set(namespaces(found.holder.pid).values()) == set(found.namespaces)
