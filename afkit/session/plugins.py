"""What the scheduler tells the cluster: which workers have come and gone."""

from __future__ import annotations

from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.scheduler import Scheduler

from afkit.session.workers import Crew

__all__ = ["Roll"]


class Roll(SchedulerPlugin):  # type: ignore[misc]  # Dask's classes have no types here
    """Keeps the crew's record of who is there. Runs in the scheduler's loop, which is the cluster's."""

    name = "afkit-roll"

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """A worker has come."""
        self._crew.added(str(scheduler.workers[worker].name), worker)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:  # noqa: ARG002 - Dask gives it
        """A worker has gone."""
        self._crew.removed(worker)
