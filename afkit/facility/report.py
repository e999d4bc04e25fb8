"""Collects the problems of a file, all of them, and puts them in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from afkit.errors import Problem
from afkit.facility.codes import CODES
from afkit.facility.tree import Place
from afkit.names import near

MOST_PROBLEMS: Final = 1000
"""Most problems that are listed; nobody reads more, and a hostile file must not fill the memory."""


class StopReading(Exception):
    """Nothing more can be learnt from this file; its problem is in the report already."""


@dataclass(slots=True)
class Report:
    """The problems found so far. ``strict`` makes errors of the warnings that say so in `afkit.facility.codes`."""

    strict: bool = False
    problems: dict[tuple[object, ...], Problem] = field(default_factory=dict)
    comparisons: int = 20_000
    """How many names may still be compared for near matches: a file with thousands of errors must not take minutes."""

    def add(self, code: str, place: Place, message: str, hint: str = "") -> None:
        """Add one problem; the same problem at the same place counts once. Raises `StopReading` where there are too many."""
        kind = CODES[code]
        severity = "error" if self.strict and kind.strict else kind.severity
        if len(self.problems) >= MOST_PROBLEMS:
            raise self.too_many(place[0])
        problem = Problem(code, severity, *place, message, hint)
        self.problems.setdefault((code, *place, message), problem)

    def too_many(self, file: str) -> StopReading:
        """Add AF116; the caller raises what this returns."""
        message = f"The file has more problems than the {MOST_PROBLEMS} that can be listed."
        problem = Problem("AF116", "error", file, 0, 0, message, "Mend those that are listed, and check again.")
        self.problems["AF116",] = problem
        return StopReading(message)

    def stop(self, code: str, place: Place, message: str, hint: str = "") -> StopReading:
        """Add a problem after which reading ends; the caller raises what this returns."""
        self.add(code, place, message, hint)
        return StopReading(message)

    def near(self, name: str, known: Iterable[str]) -> str | None:
        """The known name that looks most like ``name``, or ``None``."""
        names = list(known)
        if name.lower() in names:
            return name.lower()
        if self.comparisons < len(names):
            return None
        self.comparisons -= len(names)
        return next(iter(near(name, names, 1)), None)

    @property
    def failed(self) -> bool:
        """Whether there is an error among the problems."""
        return any(problem.severity == "error" for problem in self.problems.values())

    def ordered(self, files: tuple[str, ...] = ()) -> tuple[Problem, ...]:
        """All problems: those of the first of ``files`` first, each file's by line and column."""
        rank = {file: index for index, file in enumerate(files)}
        return tuple(sorted(self.problems.values(), key=lambda p: (rank.get(p.file, len(rank)), p.line, p.column, p.code)))
