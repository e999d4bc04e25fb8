"""The workers of one cluster on this machine: which there should be, which there are, and what happens when one ends.

All of it runs in the cluster's own loop, except `Crew.launch`, which starts the first workers before Dask is even imported.
A worker that ends unasked is replaced, as Dask's nanny would; after three in a row that never became ready their group is given up,
until it is scaled again.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afkit.session.groups import MAIN
from afkit.session.guardian import Ended, Guardian
from afkit.session.plan import Plan
from afkit.session.sizing import Sized

__all__ = ["Crew", "Member"]

TERMINATE = 0.95
"""Part of its memory limit at which a worker is ended (Dask's ``distributed.worker.memory.terminate``, where that says nothing else)."""

PATIENCE = 3
"""Workers in a row that may end before they are ready."""

LINGER = 5.0
"""Seconds that a worker's process may outlive its leaving the scheduler."""

_PROGRAM = Path(__file__).with_name("worker_main.py")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Member:
    """One worker. ``address`` is empty until the scheduler knows it; ``leaving``: its end is wanted; ``lost``: it left unasked."""

    name: str
    group: str
    gpus: tuple[str, ...] = ()
    address: str = ""
    leaving: bool = False
    lost: bool = False


@dataclass(slots=True)
class Post:
    """A group: its size, how many workers it should have now, and how many failed in a row."""

    size: Sized
    wanted: int
    failures: int = 0
    last: str = field(default="")


class Crew:
    """The workers of one cluster. ``devices`` are the GPUs that they may be given; ``hide_gpus``: workers without one see none.

    ``changed`` is called after every change, ``note`` with what a person may want to read.
    """

    def __init__(self, plan: Plan, entry: Path, devices: Iterable[str], *, hide_gpus: bool) -> None:
        self.plan = plan
        self.members: dict[str, Member] = {}
        self.posts = {group.name: Post(group, group.low) for group in plan.groups}
        self.changed: Callable[[], None] = lambda: None
        self.note: Callable[[str], None] = log.info
        self.lost = False
        self._terminate = TERMINATE
        self._devices = tuple(devices)
        self._hide = hide_gpus
        self._count = 0
        self._open = True
        self.guardian = Guardian(environ=plan.environ, directory=str(Path.cwd()), entry=entry)
        path = None
        if plan.python == sys.executable:
            # modules beside the notebook or script are found, as with Dask's own LocalCluster
            path = [entry or str(Path.cwd()) for entry in sys.path]
        self.guardian.write("launch.json", {"path": path})

    def launch(self) -> None:
        """Start the workers that are wanted and not there."""
        if not self._open:
            return
        for name, post in self.posts.items():
            present = sum(member.group == name and not member.leaving for member in self.members.values())
            for _ in range(present, post.wanted if post.failures < PATIENCE else 0):
                # a GPU of a worker that is still ending comes free when it has ended
                if post.size.gpus <= len(self._free()):
                    self._start(post.size)

    def devices(self, gpus: Iterable[str]) -> None:
        """The GPUs that the cluster may use from now on; workers keep theirs."""
        self._devices = tuple(gpus)

    def _free(self) -> list[str]:
        taken = {gpu for member in self.members.values() for gpu in member.gpus}
        return [gpu for gpu in self._devices if gpu not in taken]

    def go(self, address: str, settings: dict[str, Any], local_directory: str | None, terminate: float) -> None:
        """Tell the workers where their scheduler is, and with which Dask settings they work; ``terminate``: see `TERMINATE`."""
        if terminate != self._terminate:
            self._terminate = terminate
            for member in self.members.values():
                self.guardian.limit(member.name, int(self.posts[member.group].size.memory * terminate))
        common = {"address": address, "settings": settings, "local_directory": local_directory or str(self.guardian.folder)}
        self.guardian.write("common.json", common)
        self.guardian.go()

    def hear(self) -> None:
        """Take the guardian's news (call it when the guardian's descriptor is readable)."""
        news = self.guardian.heard()
        if news is None:
            self.lost = True
            self._open = False
        for ended in news or ():
            self._ended(ended)
        self.changed()

    def added(self, name: str, address: str) -> None:
        """The scheduler has met a worker."""
        member = self.members.get(name)
        if member is not None:
            member.address = address
            self.posts[member.group].failures = 0
            self.changed()

    def removed(self, address: str) -> None:
        """The scheduler has lost a worker: its process ends by itself, or is ended."""
        for member in self.members.values():
            if member.address == address:
                member.address = ""
                member.lost = not member.leaving
                member.leaving = True
                asyncio.get_running_loop().call_later(LINGER, self.guardian.end, member.name, 1.0)
        self.launch()
        self.changed()

    def ready(self, group: str | None = None) -> int:
        """How many workers the scheduler knows."""
        return sum(bool(member.address) and group in (None, member.group) for member in self.members.values())

    def surplus(self, group: str) -> tuple[list[Member], int]:
        """Workers of a group that are wanted no more: those that have not arrived (taken away at once), and how many others."""
        there = [member for member in self.members.values() if member.group == group and not member.leaving]
        over = max(0, len(there) - self.posts[group].wanted)
        coming = [member for member in there if not member.address][:over]
        return coming, over - len(coming)

    def dismiss(self, names: Iterable[str], grace: float = 1.0) -> None:
        """End workers without asking the scheduler."""
        for name in names:
            self.members[name].leaving = True
            self.guardian.end(name, grace)

    def hopeless(self) -> str:
        """Why no further worker can come, or empty: every group has failed, or the guardian is gone."""
        if self.lost:
            return f"the process that holds its workers has ended{f' ({self.guardian.failure})' if self.guardian.failure else ''}."
        failed = [post for post in self.posts.values() if post.failures]
        waiting = [member for member in self.members.values() if not member.leaving and not member.address]
        return failed[0].last if failed and not waiting else ""

    def stop(self) -> None:
        """Replace nothing any more."""
        self._open = False

    def _start(self, size: Sized) -> None:
        name = f"{'worker' if size.name == MAIN else size.name}-{self._count}"
        self._count += 1
        gpus = tuple(self._free()[: size.gpus])
        own = {"name": name, "nthreads": size.threads, "memory_limit": size.memory, "resources": dict(size.resources)}
        self.guardian.write(f"{name}.json", own)
        environ = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus or self._hide else {}
        arguments = [self.plan.python, str(_PROGRAM), str(self.guardian.folder), name]
        self.members[name] = Member(name, size.name, gpus)
        self.guardian.start(name, arguments, memory=int(size.memory * self._terminate), environ=environ)

    def _ended(self, ended: Ended) -> None:
        member = self.members.pop(ended.name, None)
        if member is None:
            return
        post = self.posts[member.group]
        if not member.leaving or member.lost or ended.why:
            tail = self.guardian.tail(ended.name)
            self.note(f"{ended.name}: {ended.cause()}" + (f"\n{tail}" if tail else ""))
        if not member.leaving and not member.address:
            post.failures += 1
            tail = self.guardian.tail(ended.name)
            post.last = f"a worker did not start: {ended.cause()}" + (f". It wrote:\n{tail}" if tail else "")
            if post.failures == PATIENCE:
                self.note(f"{PATIENCE} workers of the group {member.group!r} in a row did not start; no more are tried until it is scaled.")
        self.launch()
