"""Follows one session: what counts as activity is counted, and an end that comes near is said in the log, once."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from jupyter_server.serverapp import ServerApp

from afkit.session.lab.activity import active_at, computing, count
from afkit.session.lab.lifetime import WARN, Lifetime, lifetime_of, next_look, warnings

__all__ = ["Watch"]

log = logging.getLogger(__name__)


class Watch:
    """The lifetime of the session that this Jupyter server is.

    ``dashboards`` gives the base addresses of the dashboards of its Dask clusters. ``AFKIT_WARN_BEFORE`` (seconds) changes
    how early an end is warned of.
    """

    def __init__(self, server: ServerApp, dashboards: Callable[[], list[str]]) -> None:
        self.server = server
        self.dashboards = dashboards
        self.lifetime: Lifetime = lifetime_of(os.environ)
        self.before = float(os.environ.get("AFKIT_WARN_BEFORE", WARN))
        self._said: set[tuple[str, int]] = set()

    def state(self) -> dict[str, Any]:
        """For the browser: the ``warnings`` to show now, and ``next``, the seconds after which to ask again (``null``: never)."""
        now, active = time.time(), active_at(self.server)
        near = warnings(self.lifetime, now=now, active=active, before=self.before)
        return {
            "warnings": [{"kind": one.kind, "ends": one.ends, "left": one.left, "message": one.message} for one in near],
            "next": next_look(self.lifetime, now=now, active=active, before=self.before),
        }

    def keep(self) -> None:
        """A person says that they are there."""
        count(self.server)

    async def run(self) -> None:
        """Look again and again until cancelled; ends at once where nobody ends this session."""
        if self.lifetime.idle is None and self.lifetime.ends is None:
            return
        pause = 15.0 if self.lifetime.idle is None else min(15.0, max(0.5, self.lifetime.idle / 10))
        while True:
            if self.lifetime.idle is not None and await computing(self.server, self.dashboards()):
                count(self.server)
            self._say()
            await asyncio.sleep(pause)

    def _say(self) -> None:
        for one in warnings(self.lifetime, now=time.time(), active=active_at(self.server), before=self.before):
            key = (one.kind, int(one.ends))
            if key not in self._said:
                self._said = {said for said in self._said if said[0] != one.kind} | {key}
                self.server.log.warning("%s", one.message)
