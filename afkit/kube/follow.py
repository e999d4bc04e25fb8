"""One watch as the API server has it: a first state, then changes, gone on with wherever it breaks off.

::

    no version ──initial (WatchList, else list)──▶ version ──watch──▶ … the server ends it, it breaks, it falls silent
        ▲                                             ▲                              │
        └── 410, or a version that is not known ──────┴──── else: go on from it ◀────┘
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol

from afkit.errors import KubernetesError
from afkit.kube.client import Kubernetes
from afkit.kube.failures import refused
from afkit.kube.kinds import kind_of, path_of
from afkit.kube.transport import Call, without_managed_fields

__all__ = ["Follower", "Sink"]

log = logging.getLogger(__name__)

SERVER_SECONDS: Final = (40.0, 55.0)
"""After how long the server ends a watch, which is then gone on with: also what a silent one costs at most (and `GRACE`)."""
GRACE: Final = 10.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_LONGEST_REFUSED: Final = 30.0
_SHORT: Final = 1.0
_LINES_AT_ONCE: Final = 50
_INITIAL_END: Final = "k8s.io/initial-events-end"
_WATCH_LIST_SINCE: Final = (1, 32)


class Sink(Protocol):
    """Who keeps what a `Follower` hears."""

    def begin(self) -> None:
        """A whole state follows; what is not in it is gone."""

    def seen(self, change: str, obj: Mapping[str, Any]) -> None:
        """``ADDED``, ``MODIFIED`` or ``DELETED``."""

    def complete(self) -> None:
        """The whole state has been told."""

    def opened(self) -> None:
        """The server listens again."""

    def failed(self, error: KubernetesError) -> None:
        """Nothing can be heard now."""


class Follower:
    """Follows one kind with one selection, for ever. ``heard`` is the moment of the last byte; ``lists`` counts whole states."""

    def __init__(self, kube: Kubernetes, kind: str, namespace: str, selectors: Mapping[str, str], sink: Sink) -> None:
        self._kube = kube
        self._kind = kind_of(kind)
        self._namespace = namespace
        self._selectors = dict(selectors)
        self._sink = sink
        self._version = ""
        self._watch_list: bool | None = None
        self._scope: asyncio.Timeout | None = None
        self._lines = 0
        self.heard = 0.0
        self.lists = 0
        self.connections = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            begun, at = self._version, time.monotonic()
            try:
                await self._round()
                if time.monotonic() - at > _SHORT:
                    failures = 0
                    continue
                failures += 1
                await asyncio.sleep(_pause(None, failures))
            except KubernetesError as error:
                failures = 1 if self._version != begun or self.heard > at else failures + 1
                lost = _lost(error)
                if lost:
                    self._version = ""
                if not lost or failures > 1:
                    self._sink.failed(error)
                    await asyncio.sleep(_pause(error, failures))

    def reconnect(self) -> None:
        """Break the connection off, and go on from the last version on a new one."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(0)

    async def _round(self) -> None:
        if not self._version and not await self._can_stream_lists():
            await self._list()
        try:
            async with asyncio.timeout(None) as self._scope:
                await self._follow()
        except TimeoutError:
            log.warning("a watch on %s had fallen silent and is gone on with on another connection", self._kind.plural)
        finally:
            self._scope = None

    async def _can_stream_lists(self) -> bool:
        if self._watch_list is None:
            self._watch_list = await self._kube.version() >= _WATCH_LIST_SINCE
        return self._watch_list

    async def _list(self) -> None:
        found = await self._kube.list(
            self._kind.name,
            self._namespace,
            labels=self._selectors.get("labelSelector", ""),
            fields=self._selectors.get("fieldSelector", ""),
        )
        self._sink.begin()
        for number, obj in enumerate(found["items"], 1):
            self._sink.seen("ADDED", obj)
            if number % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._version = str(found["metadata"]["resourceVersion"])
        self._complete()

    def _complete(self) -> None:
        self.lists += 1
        self._sink.complete()

    async def _follow(self) -> None:
        initial = not self._version
        if initial:
            self._sink.begin()
        async with aclosing(self._changes(initial)) as changes:
            await self._hear(changes, initial)

    async def _hear(self, changes: AsyncIterator[tuple[str, Mapping[str, Any]]], initial: bool) -> None:
        async for change, obj in changes:
            metadata = obj.get("metadata") or {}
            if change == "BOOKMARK":
                if initial and _ends_initial(metadata):
                    initial = False
                    self._complete()
            elif change == "ERROR":
                status = int(obj.get("code") or 500)
                raise refused("watch", self._kind.name, self._namespace, "", status, json.dumps(obj).encode())
            else:
                self._sink.seen(change, obj)
            if not initial and metadata.get("resourceVersion"):
                self._version = metadata["resourceVersion"]

    async def _changes(self, initial: bool) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        seconds = random.uniform(*SERVER_SECONDS)  # noqa: S311  # spreads the watches of many hubs over time
        query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(int(seconds)), **self._selectors}
        query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"} if initial else {"resourceVersion": self._version}
        call = Call("watch", "GET", path_of(self._kind, self._namespace), self._kind.name, self._namespace, query=query)
        self.connections += 1
        async with aclosing(self._kube.transport.stream(call, seconds + GRACE)) as lines:
            async for line in lines:
                self.heard = time.monotonic()
                if not line:
                    self._sink.opened()
                    continue
                self._lines += 1
                if self._lines % _LINES_AT_ONCE == 0:
                    # what is read already would keep the others of this loop waiting
                    await asyncio.sleep(0)
                yield self._event(line)

    def _event(self, line: bytes) -> tuple[str, Mapping[str, Any]]:
        try:
            event = json.loads(without_managed_fields(line))
            return event["type"], event["object"]
        except (ValueError, KeyError, TypeError):
            raise KubernetesError("A watch sent what is no event.", reason="Disconnected", kind=self._kind.name) from None


def _ends_initial(metadata: Mapping[str, Any]) -> bool:
    return (metadata.get("annotations") or {}).get(_INITIAL_END) == "true"


def _lost(error: KubernetesError) -> bool:
    """Whether the version cannot be gone on with: expired, unknown to this server, or not taken as it is."""
    return error.status in (400, 410, 422) or "Too large resource version" in error.message


def _pause(error: KubernetesError | None, failures: int) -> float:
    longest = _LONGEST_REFUSED if error is not None and error.status in (401, 403, 404) else _LONGEST_PAUSE
    return min(longest, _FIRST_PAUSE * 2.0 ** min(failures - 1, 12)) * random.uniform(0.7, 1.3)  # noqa: S311  # the same
