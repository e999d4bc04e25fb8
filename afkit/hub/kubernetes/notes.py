"""Writes what finds a server again into the hub's database, for many servers in one transaction.

The hub itself does it only when a start is over. A commit costs the hub more than all else of a start, and holds everybody up
while the disk turns; starts that come together share one.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

__all__ = ["Notes"]

_TOGETHER: Final = 0.01
"""Seconds for which a state waits for others."""


class Notes:
    """One a hub; everything in here is for its one thread."""

    def __init__(self) -> None:
        self._spawners: list[Any] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, spawner: Any) -> None:
        """Return when the spawner's state, as it is by then, stands in the database. A caller that is cancelled changes nothing."""
        self._spawners.append(spawner)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(self._writing)

    async def _write(self) -> None:
        await asyncio.sleep(_TOGETHER)
        spawners, self._spawners, self._writing = self._spawners, [], None
        for spawner in spawners:
            spawner.orm_spawner.state = spawner.get_state()
        spawners[0].user.db.commit()
