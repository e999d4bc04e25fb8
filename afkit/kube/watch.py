"""One watch of a kind, shared by all who want to know: what exists now, and everything that changes, as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from afkit.errors import DeadlineError, KubernetesError
from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.kube.follow import Follower
from afkit.kube.project import Project, plain

__all__ = ["Key", "SharedWatch"]

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace (empty for what lies in none) and name."""
Callback = Callable[[str, dict[str, Any]], None]
Condition = Callable[[dict[str, Any] | None], bool]

SILENCE: Final = 5.0
"""So long nothing may be heard while somebody waits, before one question to the server tells whether the watch has gone deaf."""
_ARRIVES: Final = 1.0


@dataclass(eq=False, slots=True)
class _Waiter:
    condition: Condition
    future: asyncio.Future[dict[str, Any] | None]

    def look(self, obj: dict[str, Any] | None) -> None:
        if self.future.done():
            return
        try:
            if self.condition(obj):
                self.future.set_result(obj)
        except Exception as error:  # noqa: BLE001  # whatever the waiter's own condition raises belongs to the waiter
            self.future.set_exception(error)


class SharedWatch:
    """Everything of one kind (in one namespace, with one selection), projected, kept up to date until `close`.

    ``project`` turns an object into what is kept of it (default: all but ``managedFields``), or into ``None``: not kept at all.
    Survives everything that a connection may do; ``problem`` says why nothing can be heard now, and is ``None`` when all is well.
    """

    def __init__(
        self, kube: Kubernetes, kind: str, *, namespace: str = "", labels: str = "", fields: str = "", project: Project | None = None
    ) -> None:
        selectors = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        self._kube = kube
        self.kind = kind
        self._project = project or plain
        self._follower = Follower(kube, kind, namespace, selectors, self)
        self._objects: dict[Key, dict[str, Any]] = {}
        self._versions: dict[Key, str] = {}
        self._listed: set[Key] | None = None
        self._callbacks: list[Callback] = []
        self._waiters: dict[Key, list[_Waiter]] = {}
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._probing = False
        self.problem: KubernetesError | None = None
        self.objects: Mapping[Key, dict[str, Any]] = MappingProxyType(self._objects)

    @property
    def lists(self) -> int:
        """How many whole states were read: 1 while the watch could always be gone on with."""
        return self._follower.lists

    @property
    def connections(self) -> int:
        """How many watch requests were made."""
        return self._follower.connections

    @property
    def synced(self) -> bool:
        """Whether a whole state has been read."""
        return self._synced.is_set()

    async def start(self) -> None:
        """Begin to watch; a second call does nothing. Does not wait: see `ready`."""
        if self._task is None:
            self._task = asyncio.create_task(self._follower.run(), name=f"watch {self.kind}")
            self._task.add_done_callback(_ended)

    async def ready(self, deadline: Deadline) -> None:
        """Wait until a whole state has been read; the watch's own problem is raised where the deadline passes first."""
        try:
            async with deadline.limit():
                await self._synced.wait()
        except TimeoutError:
            raise self.problem or deadline.error() from None

    async def close(self) -> None:
        """Stop watching; whoever waits is told with a `KubernetesError`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.future.done():
                    waiter.future.set_exception(KubernetesError("The watch was closed.", reason="Closed", kind=self.kind))

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call back with every change from now on; returns what ends that."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    async def until(self, key: Key, condition: Condition, deadline: Deadline) -> dict[str, Any] | None:
        """The object (``None``: there is none) as soon as the condition holds for it; `DeadlineError` when that takes too long.

        The condition is asked at once, and then with each change, in the very moment in which it arrives.
        """
        waiter = _Waiter(condition, asyncio.get_running_loop().create_future())
        waiter.look(self._objects.get(key))
        self._waiters.setdefault(key, []).append(waiter)
        try:
            while not waiter.future.done():
                await asyncio.wait((waiter.future,), timeout=min(SILENCE, deadline.left))
                if not waiter.future.done():
                    deadline.check()
                    await self._probe(key)
            return waiter.future.result()
        finally:
            waiter.future.cancel()
            waiters = self._waiters[key]
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[key]

    async def _probe(self, key: Key) -> None:
        """Ask once whether something happened that the watch did not tell; if so it is deaf, and is gone on with anew."""
        if self._probing or not self._task or time.monotonic() - self._follower.heard < SILENCE:
            return
        self._probing = True
        try:
            known, heard = self._versions.get(key), self._follower.heard
            found = await self._kube.find(self.kind, key[1], key[0], deadline=Deadline.after(SILENCE))
            if (found["metadata"]["resourceVersion"] if found else None) == known:
                return
            await asyncio.sleep(_ARRIVES)
            if self._follower.heard == heard:
                self._follower.reconnect()
        except (KubernetesError, DeadlineError):
            # the server does not answer at all: the follower finds that out by itself
            pass
        finally:
            self._probing = False

    # what the follower tells

    def begin(self) -> None:
        """A whole state follows."""
        self._listed = set()

    def seen(self, change: str, obj: Mapping[str, Any]) -> None:
        """One object of a whole state, or one change."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if self._listed is not None:
            self._listed.add(key)
        version = metadata.get("resourceVersion", "")
        if change != "DELETED" and self._versions.get(key) == version:
            return
        kept = self._project(obj)
        if change == "DELETED" or kept is None:
            self._forget(key, kept)
            return
        self._versions[key] = version
        known = key in self._objects
        self._objects[key] = kept
        self._tell("MODIFIED" if known else "ADDED", key, kept)

    def complete(self) -> None:
        """The whole state has been told: what it did not have is gone."""
        listed, self._listed = self._listed or set(), None
        for key in [key for key in self._objects if key not in listed]:
            self._forget(key, None)
        self.problem = None
        self._synced.set()

    def opened(self) -> None:
        """The server listens again."""
        self.problem = None

    def failed(self, error: KubernetesError) -> None:
        """Nothing can be heard now."""
        if self.problem is None:
            log.warning("watching %s: %s", self.kind, error.message)
        self.problem = error

    def _forget(self, key: Key, last: dict[str, Any] | None) -> None:
        known = self._objects.pop(key, None)
        self._versions.pop(key, None)
        if known is not None:
            self._tell("DELETED", key, last or known)

    def _tell(self, change: str, key: Key, obj: dict[str, Any]) -> None:
        for waiter in tuple(self._waiters.get(key, ())):
            waiter.look(None if change == "DELETED" else obj)
        for callback in tuple(self._callbacks):
            try:
                callback(change, obj)
            except Exception:
                # one listener's fault must not end what all the others hear
                log.exception("a listener of the watch on %s failed", self.kind)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a watch ended by a fault of afkit", exc_info=task.exception())
