"""One moment by which an action has to be done, passed down through all calls of that action."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

from afkit.errors import DeadlineError
from afkit.quantities import format_duration

__all__ = ["Deadline"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """``at``: the moment, by the monotonic clock in seconds; ``what``: what is waited for; ``seconds``: how long it was given."""

    at: float
    what: str
    seconds: float

    @classmethod
    def after(cls, seconds: float, what: str = "an answer") -> Deadline:
        """The moment that is so many seconds from now."""
        return cls(time.monotonic() + seconds, what, seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self.at

    def sooner(self, seconds: float, what: str = "") -> Deadline:
        """A deadline for one step: after so many seconds, but never later than this one."""
        at = time.monotonic() + seconds
        return Deadline(at, what or self.what, seconds) if at < self.at else self

    def check(self) -> None:
        """Raise `DeadlineError` if the moment has passed."""
        if self.passed:
            raise self.error()

    def error(self) -> DeadlineError:
        """What is raised when the moment passes."""
        given = format_duration(max(1, math.ceil(self.seconds)))
        return DeadlineError(f"Waiting for {self.what} took longer than {given}.", "The administrators of the facility can see why.")

    def limit(self) -> asyncio.Timeout:
        """An asynchronous context manager that raises `TimeoutError` inside it when the moment passes."""
        return asyncio.timeout(self.left)
