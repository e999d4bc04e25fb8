"""Ends servers whose time is over: idle for too long, or too old.

Both are counted by what the hub's database keeps (when the server started, its last activity), so a restart of the hub
changes nothing. A server's kernels count as activity: the server reports them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from afkit.hub.desk import Desk
from afkit.hub.ending import Ending
from afkit.hub.running import Running
from afkit.quantities import format_duration

__all__ = ["Keeper", "due", "overdue"]

_LEAST: Final = 0.5
"""Seconds between two looks, also where a server that is due cannot be stopped."""


def overdue(running: Running, last_activity: float | None, now: float) -> Ending | None:
    """How a server of this lifetime ends now; ``None``: not yet. Times in seconds since the epoch."""
    lived = now - running.started
    if running.age is not None and lived >= running.age:
        return Ending("age", f"The server was stopped: it had run for {format_duration(running.age)}, the longest it may.", (), now, lived)
    if running.idle is not None and now >= _idle_at(running, last_activity):
        return Ending("idle", f"The server was stopped: nothing had happened in it for {format_duration(running.idle)}.", (), now, lived)
    return None


def due(running: Running, last_activity: float | None) -> float:
    """When a server of this lifetime ends unless something happens in it, in seconds since the epoch; infinite: never."""
    age = math.inf if running.age is None else running.started + running.age
    return min(age, _idle_at(running, last_activity))


def _idle_at(running: Running, last_activity: float | None) -> float:
    return math.inf if running.idle is None else max(running.started, last_activity or 0.0) + running.idle


class Keeper:
    """Looks at all servers every ``interval`` seconds, or when the next one is due if that is sooner.

    The facility file is looked at then too, so that it is read again without a request.
    """

    def __init__(self, desk: Desk, interval: float) -> None:
        self._desk = desk
        self._interval = interval

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._wait())
            self._desk.source.current()
            now = time.time()
            for spawner in list(self._servers()):
                ending = overdue(spawner.running, _last_activity(spawner), now)
                await (self._end(spawner, ending) if ending else spawner.keep_house())

    def _wait(self) -> float:
        soonest = min((due(spawner.running, _last_activity(spawner)) for spawner in self._servers()), default=math.inf)
        return max(min(soonest - time.time(), self._interval), _LEAST)

    def _servers(self) -> Iterator[Any]:
        for user in list(self._desk.app.users.values()):
            for spawner in list(user.spawners.values()):
                if spawner.ready and getattr(spawner, "running", None) is not None:
                    yield spawner

    async def _end(self, spawner: Any, ending: Ending) -> None:
        try:
            # noted first: whoever else notices meanwhile that the server is gone keeps what is known of its end
            spawner.note_end(ending)
            await spawner.stop()
            # the hub's own callback takes the route away and closes its books
            await spawner.poll_and_notify()
        except Exception:  # one server that cannot be stopped must not keep the others running for ever
            self._desk.log.exception("Server %s could not be stopped at the end of its lifetime", spawner._log_name)


def _last_activity(spawner: Any) -> float | None:
    last = spawner.orm_spawner.last_activity
    # the hub's database has times without a zone, in UTC
    return last.replace(tzinfo=UTC).timestamp() if isinstance(last, datetime) else None
