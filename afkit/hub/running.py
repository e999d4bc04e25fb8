"""What is kept of a choice while its server runs, and what the server is told in its environment.

`Running` is the spawner's state: it survives a restart of the hub, so that limits and lifetimes go on counting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afkit.policy.model import Use

__all__ = ["Running", "lifetime_setting"]


@dataclass(frozen=True, slots=True)
class Running:
    """A server's choice (every value filled in), what it counts for, when it started (seconds since the epoch), its lifetime.

    ``idle`` and ``age`` are seconds, ``None``: no end. ``digest`` is that of the facility file that decided.
    """

    chosen: Mapping[str, str]
    use: Use
    started: float
    idle: int | None
    age: int | None
    digest: str
    devices: tuple[str, ...] = ()
    """The accelerators of this machine that the server uses (``nvidia/0``)."""

    def state(self) -> dict[str, Any]:
        """As plain data, for the hub's database."""
        return {
            "chosen": dict(self.chosen),
            "use": {
                "cpu": self.use.cpu,
                "memory": self.use.memory,
                "pool": self.use.pool,
                "accelerators": self.use.accelerators,
            },
            "started": self.started,
            "idle": self.idle,
            "age": self.age,
            "digest": self.digest,
            "devices": list(self.devices),
        }

    @staticmethod
    def from_state(server: str, state: Mapping[str, Any]) -> Running:
        """From what `state` gave. Raises ``KeyError`` or ``TypeError`` where it is from something else."""
        use = Use("server", server, **state["use"])
        devices = tuple(state.get("devices", ()))
        return Running(state["chosen"], use, state["started"], state["idle"], state["age"], state["digest"], devices)


def lifetime_setting(running: Running) -> str:
    """``AFKIT_LIFETIME``: JSON with ``idle``, ``max``, ``started``, ``ends`` (epoch seconds; ``null``: no end)."""
    ends = None if running.age is None else running.started + running.age
    return json.dumps({"idle": running.idle, "max": running.age, "started": running.started, "ends": ends})
