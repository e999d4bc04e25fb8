"""How many workers each group should have for the work that waits: adaptive scaling that knows what tasks ask for.

Dask's own ``adaptive_target`` counts all tasks for all workers, whatever resources they ask for: tasks for a GPU then make CPU workers
that cannot run them. Here each task counts for the group that can run it, the scheduler's state is read where it is (no message), growth
is one step, and all workers that have been idle for a while go in one step, after their results have moved.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

__all__ = ["Demand", "Follower", "Group", "demand", "memory_full", "target"]

UNKNOWN = 2.0
"""Seconds that a task is taken to last while nothing is known of its kind."""

PACE = 2.0
"""Seconds of work for each thread that are worth a worker: starting one here takes about one."""

LINGER = 10.0
"""Seconds that a worker is idle before it may go."""

MOST_LOOKED_AT = 2_000
"""Waiting tasks that are looked at one by one; the rest is taken to be like them."""

FULL = 0.6
"""Part of a group's memory in use above which it is doubled (as Dask has it)."""


class Group(Protocol):
    """What has to be known of a worker group: how many threads each worker has, its GPUs, its Dask resources."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def threads(self) -> int:
        """Threads of each worker."""

    @property
    def gpus(self) -> int:
        """GPUs of each worker."""

    @property
    def resources(self) -> Mapping[str, float]:
        """What a worker offers to tasks that ask for it."""


@dataclass(slots=True)
class Demand:
    """Work of one group: tasks that run or wait, and the seconds that they are expected to take."""

    tasks: float = 0
    seconds: float = 0.0
    full: bool = False


@dataclass(slots=True)
class Follower:
    """A group that follows its load between two numbers of workers. Returned by ``adapt``; ``stop`` ends it.

    ``idle_since``: since when each worker has had nothing to do (monotonic seconds); ``may_go``: those for whom that is long enough.
    """

    group: str
    minimum: int
    maximum: int
    state: str = "running"
    idle_since: dict[str, float] = field(default_factory=dict)
    may_go: set[str] = field(default_factory=set)

    @property
    def periodic_callback(self) -> bool:
        """Whether it is at work (Dask's widget asks by this name)."""
        return self.state == "running"

    def stop(self, reason: str = "") -> None:  # noqa: ARG002 - Dask gives one
        """Follow no more."""
        self.state = "stopped"

    def idle(self, busy: Mapping[str, bool], now: float) -> list[str]:
        """Workers that have been idle for long enough; ``busy`` says of each worker whether it has tasks."""
        self.idle_since = {name: self.idle_since.get(name, now) for name, works in busy.items() if not works}
        return [name for name, since in self.idle_since.items() if now - since >= LINGER]


def demand(scheduler: Any, groups: Sequence[Group]) -> dict[str, Demand]:
    """The work of each group, from a scheduler in this process; call it in the scheduler's own loop."""
    found = {group.name: Demand() for group in groups}
    homes: dict[Hashable, str | None] = {}
    lengths = _lengths(scheduler)

    def count(task: Any, weight: float) -> None:
        asked = frozenset((task.resource_restrictions or {}).items())
        if asked not in homes:
            homes[asked] = _home(dict(asked), groups)
        home = homes[asked]
        if home is not None:
            found[home].tasks += weight
            found[home].seconds += weight * lengths(task)

    for worker in scheduler.workers.values():
        for task in worker.processing:
            count(task, 1)
    for waiting in (scheduler.queued, scheduler.unrunnable):
        number = len(waiting)
        looked_at = list(islice(waiting, MOST_LOOKED_AT))
        for task in looked_at:
            count(task, number / len(looked_at))
    return found


def target(work: Demand, group: Group, present: int, pace: float = PACE) -> int:
    """How many workers a group needs for its work, limits aside; ``pace``: seconds of work for each thread that are worth a worker."""
    if not work.tasks:
        return present * 2 if work.full else 0
    by_tasks = math.ceil(work.tasks / group.threads)
    by_time = math.ceil(work.seconds / (group.threads * pace))
    number = max(1, min(by_tasks, by_time))
    return max(number, present * 2) if work.full else number


def memory_full(workers: Iterable[Any]) -> bool:
    """Whether the results that these workers hold fill most of their memory."""
    there = list(workers)
    limit = sum(worker.memory_limit or 0 for worker in there)
    return bool(limit) and sum(worker.nbytes for worker in there) > FULL * limit


def _home(asked: Mapping[str, float], groups: Sequence[Group]) -> str | None:
    """The plainest group that has what a task asks for: without GPUs if it may be, with the fewest further tags."""
    able = [group for group in groups if all(group.resources.get(name, 0) >= amount for name, amount in asked.items())]
    return min(able, key=lambda group: (group.gpus, len(group.resources))).name if able else None


def _lengths(scheduler: Any) -> Any:
    """How long a task will take: its kind's average so far, else twice what the longest running one has taken."""
    running: dict[Any, float] = {}
    for worker in scheduler.workers.values():
        for task, seconds in worker.executing.items():
            running[task.prefix.name] = max(running.get(task.prefix.name, 0.0), seconds)

    def length(task: Any) -> float:
        known = task.prefix.duration_average
        so_far = 2 * running.get(task.prefix.name, 0.0)
        return max(so_far, known if known >= 0 else UNKNOWN)

    return length
