"""The clusters that the facility runs for this session's person, for the sidebar of its Jupyter server.

The service is asked in other threads, so that this server's loop goes on; a list that is a moment old is good enough for a page that
asks every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from afkit.errors import AfkitError
from afkit.session.answers import State
from afkit.session.left import Held
from afkit.session.registry import Entry
from afkit.session.service import Service, aside, here

__all__ = ["Elsewhere"]

FRESH = 1.0
"""Seconds for which a list is good."""

SECONDS = 5.0
"""How long the service may take to answer; the sidebar shows what was known before."""

CHANGE = 30.0
NOW_AND_THEN = 15.0

log = logging.getLogger(__name__)


class Elsewhere:
    """``entries`` are the clusters as they were when last asked for; none outside of a facility that runs Dask."""

    def __init__(self, service: Service | None = None) -> None:
        self.entries: list[Entry] = []
        self._service = service or here()
        self._asked = 0.0
        self._silent = False
        self._lock = asyncio.Lock()

    async def look(self, *, at_once: bool = False) -> None:
        """Ask, where that is not just done. A service that does not answer changes nothing."""
        if self._service is None:
            return
        async with self._lock:
            if not at_once and time.monotonic() - self._asked < FRESH:
                return
            try:
                states = await asyncio.wrap_future(aside(self._service.all, time.monotonic() + SECONDS))
            except AfkitError as error:
                if not self._silent:
                    log.warning("The clusters of the facility cannot be shown: %s", error)
                self._silent = True
            else:
                self.entries = [_entry(state) for state in states if not state.over]
                self._silent = False
            self._asked = time.monotonic()

    async def follow(self) -> None:
        """Look now and then, also where no page is open: whether clusters compute decides whether the session is idle. Until cancelled."""
        while self._service is not None:
            await self.look()
            await asyncio.sleep(NOW_AND_THEN)

    async def act(self, entry: Entry, action: str, *, n: int = 0, minimum: int = 0, maximum: int = 0) -> None:
        """Have the service do ``scale`` or ``adapt`` (the first group) or ``close``. Raises what it refuses."""
        if self._service is None:
            return
        deadline = time.monotonic() + CHANGE
        if action == "close":
            await asyncio.wrap_future(aside(self._service.delete, entry.name, entry.id, deadline))
        else:
            low, high = (n, n) if action == "scale" else (minimum, maximum)
            asked: list[dict[str, Any]] = [{"name": entry.groups[0], "low": low, "high": high}]
            await asyncio.wrap_future(aside(self._service.change, entry.name, asked, deadline))
        await self.look(at_once=True)


def _entry(state: State) -> Entry:
    there = [(group, state.numbers[group.name].ready) for group in state.groups]
    most = sum(group.high for group in state.groups)
    return Entry(
        id=state.id,
        name=state.name,
        pid=0,
        started="",
        host="",
        session="",
        made=state.made,
        held=Held(state.name, most, 0, 0),
        scheduler=state.address,
        dashboard=state.dashboard,
        workers=sum(number for _, number in there),
        cores=sum(number * group.millicores for group, number in there),
        memory=sum(number * group.memory for group, number in there),
        adaptive=state.adaptive,
        groups=tuple(group.name for group in state.groups),
    )
