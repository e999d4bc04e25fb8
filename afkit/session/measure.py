"""``with cluster.measure() as m:`` how fast a computation was, and what kept it from being faster.

The scheduler counts (`afkit.session.inside.afkit_measure`); here the counts become figures, and one limiter is named with the figure that
says so. `limiter` is pure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Self

from afkit.errors import IncompatibleError

__all__ = ["Measurement", "limiter"]

TAKEN = 0.75
"""Part of the workers' threads that are taken, on the mean, above which there is work enough."""

SCHEDULER = 0.8
"""Part of one core above which a scheduler is the limit."""

COMPUTES = 0.6
"""Cores that are used for each thread that is taken, below which tasks wait for something that is no CPU."""

SMALL = 0.1
"""Seconds of a task below which the scheduler's own work for it (about half a millisecond) and the way there and back count."""

MUCH = 1e6
"""Bytes a second for each thread that is taken, above which it is data that is waited for."""

MOVES = 0.3
"""Part of the tasks' time that goes into moving results between workers, above which that is the limit."""


class Measurement:
    """What `measure` gives. Its figures are there when the block has ended.

    ``seconds``; ``tasks`` that ended, ``failed``, ``recomputed`` (computed again though their result was still wanted); ``busy`` (part of
    the workers' threads that were taken, on the mean); ``cores`` that the workers used; ``bytes`` that came in and ``events``: what was
    given to `add`, else what the workers' network received; ``limiter`` and ``because``, the sentence with the figure.
    """

    def __init__(self, ask: Callable[[str | None], Any]) -> None:
        self.figures: Mapping[str, Any] = {}
        self._ask = ask
        self._id: str | None = None
        self._bytes: float | None = None
        self._events: float | None = None

    def __enter__(self) -> Self:
        self._begun(self._ask(None))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the scheduler is gone: whatever was measured failed, and says so itself
            self.figures = self._ask(self._id) or {}

    async def __aenter__(self) -> Self:
        self._begun(await self._ask(None))
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # see above
            self.figures = await self._ask(self._id) or {}

    def _begun(self, identifier: str | None) -> None:
        if identifier is None:
            raise IncompatibleError(
                "This cluster was not made by afkit: it cannot be measured from here.", "Make one with afkit.cluster()."
            )
        self._id = identifier

    def add(self, metrics: Mapping[str, Any] | None = None, *, bytes: float = 0, events: float = 0) -> None:
        """Say what was read: coffea's metrics (``bytesread``, ``entries``), or numbers. May be called again."""
        metrics = metrics or {}
        read = float(bytes) + float(metrics.get("bytesread", 0))
        seen = float(events) + float(metrics.get("entries", 0))
        self._bytes = (self._bytes or 0) + read if read else self._bytes
        self._events = (self._events or 0) + seen if seen else self._events

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(self.figures.get("seconds", 0.0))

    @property
    def tasks(self) -> int:
        """Tasks that ended well."""
        return int(self.figures.get("tasks", 0))

    @property
    def failed(self) -> int:
        """Tasks that raised."""
        return int(self.figures.get("failed", 0))

    @property
    def recomputed(self) -> int:
        """Tasks that were computed again though their result was still wanted."""
        return int(self.figures.get("recomputed", 0))

    @property
    def busy(self) -> float:
        """Part of the workers' threads that were taken by tasks, on the mean; 0 to 1."""
        threads = float(self.figures.get("threads", 0.0))
        return min(1.0, float(self.figures.get("busy", 0.0)) / threads) if threads else 0.0

    @property
    def cores(self) -> float:
        """Cores that the workers used, on the mean."""
        return float(self.figures.get("cores", 0.0))

    @property
    def bytes(self) -> float:
        """Bytes that came in: as given to `add`, else what the workers' network received."""
        return self._bytes if self._bytes is not None else float(self.figures.get("network", 0.0)) * self.seconds

    @property
    def events(self) -> float | None:
        """Events, as given to `add`."""
        return self._events

    @property
    def gbits_per_second(self) -> float:
        """Gigabits (10^9) that came in each second."""
        return self.bytes * 8e-9 / self.seconds if self.seconds else 0.0

    @property
    def tasks_per_second(self) -> float:
        """Tasks each second."""
        return self.tasks / self.seconds if self.seconds else 0.0

    @property
    def events_per_second(self) -> float | None:
        """Events each second."""
        return self._events / self.seconds if self._events is not None and self.seconds else None

    @property
    def limiter(self) -> str:
        """What kept it from being faster: see `limiter`."""
        return limiter(self.figures)[0]

    @property
    def because(self) -> str:
        """The figure that says so, in a sentence."""
        return limiter(self.figures)[1]

    def __repr__(self) -> str:
        """Lines for a person."""
        if not self.figures:
            return "still measuring"
        events = f"{self._events:,.0f} ({self.events_per_second:,.0f} a second)" if self._events is not None else ""
        lines = [
            f"seconds  {self.seconds:.2f}",
            f"tasks    {self.tasks:,} ({self.tasks_per_second:,.1f} a second), {self.failed} failed, {self.recomputed} recomputed",
            f"read     {self.bytes / 1e9:.3f} GB ({self.gbits_per_second:.3f} Gb/s)",
            *([f"events   {events}"] if events else []),
            f"workers  {self.figures.get('workers', 0):.1f}, {self.busy:.0%} of their threads taken, {self.cores:.1f} cores used",
            f"limiter  {self.limiter}: {self.because}",
        ]
        return "\n".join(lines)


def limiter(figures: Mapping[str, Any]) -> tuple[str, str]:
    """What kept a computation from being faster, in one word or two, and the sentence that says why.

    ``scheduler``, ``chunks too small``, ``CPU``, ``too few workers``, ``network``, ``waiting`` (for none of these), ``too little work``,
    or ``nothing`` where nothing ran.
    """
    tasks = int(figures.get("tasks", 0)) + int(figures.get("failed", 0))
    threads, taken, waiting = (float(figures.get(key, 0.0)) for key in ("threads", "busy", "waiting"))
    if not tasks:
        return "nothing", "no task ended."
    if not threads:
        return "too few workers", f"there was none; {waiting:.0f} tasks waited."
    compute, transfer = float(figures.get("compute", 0.0)), float(figures.get("transfer", 0.0))
    each = compute / tasks
    scheduler = float(figures.get("scheduler", 0.0))
    if scheduler > SCHEDULER:
        return _of_scheduler(each, scheduler)
    if taken / threads >= TAKEN:
        return _of_full_workers(figures, threads, taken, waiting)
    if transfer > MOVES * (compute + transfer):
        part = transfer / (compute + transfer)
        return "network", f"{part:.0%} of the tasks' time went into moving results between workers."
    if each < SMALL and tasks > threads:
        return "chunks too small", f"a task took {1000 * each:.0f} ms, and the threads were taken {taken / threads:.0%} of the time."
    return "too little work", f"the threads were taken only {taken / threads:.0%} of the time: fewer workers would do, or more tasks."


def _of_scheduler(each: float, scheduler: float) -> tuple[str, str]:
    busy = f"the scheduler was busy {min(1.0, scheduler):.0%} of the time"
    if each < SMALL:
        return "chunks too small", f"{busy}, with tasks of {1000 * each:.0f} ms each: give each task more to do."
    return "scheduler", f"{busy}, though tasks took {each:.1f} s each."


def _of_full_workers(figures: Mapping[str, Any], threads: float, taken: float, waiting: float) -> tuple[str, str]:
    used = float(figures.get("cores", 0.0)) / taken
    if used < COMPUTES:
        rate = float(figures.get("network", 0.0))
        idle = f"a thread that was taken computed only {used:.0%} of its time"
        if rate > MUCH * taken:
            return "network", f"{idle} and waited for data; {rate * 8e-9:.3f} Gb/s came in."
        return "waiting", f"{idle}, and hardly any data came in: it waits for a disk, a service, or a processor that others use."
    if waiting > threads:
        return "too few workers", f"{waiting:.0f} tasks waited for {threads:.0f} threads that were taken {taken / threads:.0%} of the time."
    return "CPU", f"the threads were taken {taken / threads:.0%} of the time and computed {min(1.0, used):.0%} of it."
