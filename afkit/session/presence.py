"""A cluster as others of its session see it: its entry in the registry, and the orders that come by its control."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from afkit.errors import PlatformError
from afkit.session import registry
from afkit.session.control import Control
from afkit.session.left import Held

__all__ = ["Obeying", "Presence"]


class Obeying(Protocol):
    """What a cluster does for others."""

    def scale(self, n: object, group: str | None = None) -> Any:
        """Set a number of workers."""

    def adapt(self, minimum: int = 0, maximum: float | None = None, *, group: str | None = None) -> Any:
        """Follow the load."""

    def end(self, reason: str) -> None:
        """Close from within."""

    def seen(self) -> Mapping[str, Any]:
        """The fields of the entry that change."""

    def state(self) -> dict[str, Any]:
        """What is answered to an order."""


class Presence:
    """Writes the entry (thread-safe: numbers change in the user's thread, workers in the cluster's loop) and carries out orders."""

    def __init__(self, cluster: Obeying, entry: registry.Entry) -> None:
        self.entry = entry
        self._cluster = cluster
        self._lock = threading.Lock()
        self._gone = False
        self._control = Control({"scale": self._scale, "adapt": self._adapt, "close": self._close, "state": self._state})

    async def open(self, folder: Path) -> None:
        """Take orders from now on, at a socket in ``folder``."""
        await self._control.start(folder)

    def hold(self, held: Held) -> None:
        """Write down how much the cluster may grow to."""
        self._write({"held": held})

    def show(self) -> None:
        """Write down what the cluster is now."""
        self._write({**self._cluster.seen(), "control": self._control.address, "token": self._control.token})

    def close(self) -> None:
        """Take no more orders. The entry stays until `remove`: what is held is held until the processes are gone."""
        self._control.stop()

    def remove(self) -> None:
        """Take the entry out."""
        with self._lock:
            self._gone = True
            registry.remove(self.entry.id)

    def _write(self, changes: Mapping[str, Any]) -> None:
        with self._lock:
            entry = replace(self.entry, **changes)
            if entry == self.entry or self._gone:
                return
            self.entry = entry
            with contextlib.suppress(OSError, PlatformError):  # a full disk hides the cluster from the sidebar, no more
                registry.write(entry)

    async def _scale(self, order: Mapping[str, Any]) -> dict[str, Any]:
        self._cluster.scale(order.get("n"), order.get("group"))
        return await self._state(order)

    async def _adapt(self, order: Mapping[str, Any]) -> dict[str, Any]:
        self._cluster.adapt(order.get("minimum", 0), order.get("maximum"), group=order.get("group"))
        return await self._state(order)

    async def _close(self, order: Mapping[str, Any]) -> dict[str, Any]:
        self._cluster.end("it was closed from outside its kernel")
        return await self._state(order)

    async def _state(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.show()
        return self._cluster.state()
