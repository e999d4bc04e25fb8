"""A cluster that somebody else has made: another kernel of this session, or whoever gave the address."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from typing import Any

import dask
from distributed import Security
from distributed.core import rpc
from distributed.objects import SchedulerInfo
from distributed.utils import NoOpAwaitable
from tornado.ioloop import PeriodicCallback

from afkit.errors import DaskStartError, DeadlineError, IncompatibleError, PlatformError
from afkit.session import address, dashboard, live, registry
from afkit.session.base import AfkitCluster
from afkit.session.inside.afkit_adaptive import Follower

__all__ = ["AfkitConnectedCluster"]

LOOK = 0.5
"""Seconds between two questions to the scheduler about its workers."""


class AfkitConnectedCluster(AfkitCluster):
    """Made by `afkit.connect`, or by `afkit.cluster` with an address. Closing it leaves the cluster itself as it is."""

    def __init__(self, scheduler: str, name: str, why: str, deadline: float, entry: registry.Entry | None = None) -> None:
        super().__init__(name, why)
        self._address = scheduler
        self._entry = entry
        self._deadline = deadline
        self.security = _security(scheduler)
        live.add(self)

    @property
    def dashboard_link(self) -> str:
        """Where the browser finds the dashboard of a cluster of this session; of others, what Dask makes of it."""
        if self._entry is not None and self._entry.dashboard:
            return dashboard.link("127.0.0.1", int(self._entry.dashboard.rpartition(":")[2]))
        return str(super().dashboard_link)

    async def _bring_up(self) -> None:
        self.scheduler_comm = rpc(self._address, connection_args=self.security.get_connection_args("client"))
        try:
            await asyncio.wait_for(self._ask(), max(0.0, self._deadline - time.monotonic()))
        except TimeoutError as error:
            raise DeadlineError(
                f"The scheduler at {self._address} did not answer in time.", "Is the address right, and is it running?"
            ) from error
        except (OSError, TypeError, ValueError) as error:
            # TypeError and ValueError are how Dask says that an address needs certificates, or is none
            raise DaskStartError(
                f"The scheduler at {self._address} cannot be reached: {error}", "Is the address right, and is it running?"
            ) from error
        self.periodic_callbacks["afkit"] = PeriodicCallback(self._ask_again, LOOK * 1000)
        self._begin()
        address.point(self, self._address)

    async def _ask(self) -> None:
        self.scheduler_info = SchedulerInfo(await self.scheduler_comm.identity())

    async def _ask_again(self) -> None:
        # a scheduler that is gone is noticed by whoever uses it
        with contextlib.suppress(OSError):
            await self._ask()

    async def _take_down(self) -> None:
        address.unpoint(self)
        live.discard(self)
        if self.scheduler_comm is not None:
            await self.scheduler_comm.close_rpc()

    def scale(self, n: int, group: str | None = None) -> Any:
        """Set the number of workers of a group, where the cluster is one of this session."""
        self._order("scale", n=n, group=group)
        return NoOpAwaitable() if self.asynchronous else None

    def adapt(self, minimum: int = 0, maximum: float | None = None, *, group: str | None = None) -> Follower:
        """Let a group follow its load between two numbers of workers, where the cluster is one of this session."""
        self._order("adapt", minimum=minimum, maximum=maximum, group=group)
        return Follower(group or "", minimum, minimum if maximum is None else int(maximum))

    def shutdown(self) -> None:
        """End the cluster itself, for everybody who uses it; then close this connection."""
        self._order("close")
        self.close()

    def _order(self, verb: str, **arguments: Any) -> None:
        self._alive()
        if self._entry is None:
            raise IncompatibleError(
                f"The cluster at {self._address} was not made by afkit: it cannot be scaled or ended from here.",
                "Ask who made it.",
                field="where",
            )
        registry.call(self._entry, verb, **arguments)


def _security(scheduler: str) -> Security:
    """Certificates for an address, by the loader that the facility has configured (``distributed.client.security-loader``)."""
    loader = dask.config.get("distributed.client.security-loader", None)
    if not loader:
        return Security()
    module, _, function = str(loader).rpartition(".")
    try:
        return getattr(importlib.import_module(module), function)({"address": scheduler}) or Security()
    except (ImportError, AttributeError) as error:
        raise PlatformError(f"Dask's setting distributed.client.security-loader names {loader}, which cannot be loaded.", "") from error
