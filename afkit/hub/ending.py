"""How a server ended when nobody had asked it to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Ending"]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why, one sentence, the last lines of its log, when, and how long it lived.

    ``idle`` and ``age``: its lifetime was over; ``exit``: it ended by itself; ``start``: it was not ready before; ``stuck``: it was
    stopped and will not go. ``at`` is seconds since the epoch, ``lived`` is seconds.
    """

    why: Literal["idle", "age", "exit", "start", "stuck"]
    message: str
    lines: tuple[str, ...]
    at: float
    lived: float

    def state(self) -> Mapping[str, Any]:
        """As plain data, for the hub's database."""
        return asdict(self) | {"lines": list(self.lines)}
