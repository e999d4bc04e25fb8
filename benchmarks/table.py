"""What a benchmark returns: a table of rows, each with afkit's figure, its peer's, and the aim that their ratio has."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: ``afkit`` and ``peer`` in ``unit``; ``aim`` is the highest ratio that is wanted (None: none is)."""

    what: str
    peer_name: str
    unit: str
    afkit: float
    peer: float
    aim: float | None = None

    @property
    def ratio(self) -> float:
        """Afkit's figure over its peer's."""
        return self.afkit / self.peer if self.peer else float("inf")

    @property
    def met(self) -> bool:
        """Whether the ratio is within its aim."""
        return self.aim is None or self.ratio <= self.aim


def show(rows: list[Row]) -> str:
    """The rows as a table, aligned, for a terminal."""
    lines = [f"{'what':<44} {'afkit':>10} {'peer':>10}  {'unit':<5} {'ratio':>7} {'aim':>7}  peer"]
    for row in rows:
        aim = "" if row.aim is None else f"≤ {row.aim:g}"
        flag = "" if row.met else "  MISSED"
        lines.append(
            f"{row.what:<44} {row.afkit:>10.3g} {row.peer:>10.3g}  {row.unit:<5} {row.ratio:>7.3g} {aim:>7}  {row.peer_name}{flag}"
        )
    return "\n".join(lines)


def alternate(first: Callable[[], float], second: Callable[[], float], rounds: int = 7) -> tuple[float, float]:
    """The medians of two measurements, taken in turn, so that whatever else the machine does falls on both."""
    pairs = [(first(), second()) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(two for _, two in pairs)
