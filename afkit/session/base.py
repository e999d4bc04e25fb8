"""What every cluster of afkit has, wherever its workers run: its loop, its client, `with` and `async with`, `why`, the link.

A cluster lives in an event loop of its own, in a thread of its own: neither a busy notebook cell nor somebody else's event loop holds
up its scheduler. From ordinary code all methods block. Code that awaits the cluster (``await cluster``, ``async with cluster``) uses it
from its own event loop: then `close` and the client are awaited too, as in Dask.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from distributed import Client, Security
from distributed.core import Status
from distributed.deploy import Cluster
from distributed.utils import NoOpAwaitable, sync
from tornado.ioloop import IOLoop

from afkit.errors import PlatformError
from afkit.session.measure import Measurement

if TYPE_CHECKING:
    from afkit.session.sizing import Sized

__all__ = ["AfkitCluster"]


class AfkitCluster(Cluster):  # type: ignore[misc]  # Dask's classes have no types here
    """A Dask cluster made by `afkit.cluster`: a `distributed.deploy.Cluster` that also has `client`, `executor`, `groups` and `why`."""

    _name = "AfkitCluster"
    _client_class: Any = Client

    def __init__(self, name: str, why: str) -> None:
        super().__init__(asynchronous=False, quiet=True, name=name)
        self.status: Any
        self.security = Security()
        self._why = why
        self._owner = os.getpid()
        self._outer: Any = None
        self._client: Client | None = None
        self._own_client: Client | None = None
        self._closing = threading.Lock()
        self._loop_runner.start()
        self._own: Any = self._loop_runner.loop

    # what subclasses do

    @abstractmethod
    async def _bring_up(self) -> None:
        """Start, in the cluster's own loop."""

    @abstractmethod
    async def _take_down(self) -> None:
        """End what `_bring_up` started, in the cluster's own loop; called once."""

    async def _wait_ready(self) -> None:
        """Wait, in the cluster's own loop, for the workers that were asked for; raises when they cannot come, or not in time."""

    @property
    def groups(self) -> Mapping[str, Sized]:
        """The worker groups by name."""
        return {}

    @property
    def why(self) -> str:
        """Where this cluster runs and why, and why it is smaller than its defaults where it is."""
        return self._why

    # loops

    @property
    def loop(self) -> Any:
        """The loop that a client of this cluster uses: the one in which the cluster was awaited, else the cluster's own."""
        return self._outer if self._outer is not None else self._own

    @property
    def asynchronous(self) -> bool:
        """Whether this call comes from an event loop that the cluster may not block: its own, or the one that awaited it."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return False
        return running in {self._own.asyncio_loop, getattr(self._outer, "asyncio_loop", None)}

    def sync(
        self, func: Callable[..., Awaitable[Any]], *args: Any, asynchronous: bool | None = None, callback_timeout: Any = None, **kwargs: Any
    ) -> Any:
        """Run a coroutine function in the cluster's own loop: blocks, or returns an awaitable where blocking is not possible."""
        if asynchronous or (asynchronous is None and self.asynchronous):
            if asyncio.get_running_loop() is self._own.asyncio_loop:
                return func(*args, **kwargs)
            return asyncio.wrap_future(self._submit(func(*args, **kwargs)))
        return sync(self._own, func, *args, callback_timeout=callback_timeout, **kwargs)

    def _submit(self, work: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Future[Any]:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._own.asyncio_loop)

    # client

    @property
    def client(self) -> Client:
        """The cluster's client. Made on first use; it closes before the cluster does.

        Where the cluster was awaited it is an asynchronous client of that event loop.
        """
        self._alive()
        if self._outer is not None:
            if self._client is None or self._client.status == "closed":
                self._client = self._client_class(self, asynchronous=True)
            return self._client
        if self._own_client is None or self._own_client.status == "closed":
            self._own_client = self._client_class(self)
        return self._own_client

    def get_client(self) -> Client:
        """The same as `client`, as Dask spells it."""
        return self.client

    def executor(self, **options: Any) -> Any:
        """A coffea ``DaskExecutor`` on this cluster; ``options`` are its own (``status=False``, ``retries=0`` …)."""
        from coffea.processor import DaskExecutor

        return DaskExecutor(client=self.client, **options)

    def measure(self) -> Measurement:
        """``with cluster.measure() as m:`` counts what is computed meanwhile; then ``m`` has the figures, and names what limits it."""
        self._alive()
        return Measurement(lambda identifier: self.sync(self._measured, identifier))

    async def _measured(self, identifier: str | None) -> Any:
        return await self.scheduler_comm.afkit_measure(id=identifier)

    def _alive(self) -> None:
        if os.getpid() != self._owner:
            raise PlatformError(
                f"The cluster {self.name!r} was made by another process, of which this one is a fork.", "Use it there, or make one here."
            )
        if self.status in (Status.closed, Status.closing):
            raise PlatformError(f"The cluster {self.name!r} is closed{self._ended_because()}.", "Make a new one with afkit.cluster().")

    def _ended_because(self) -> str:
        return ""

    # start and end

    def start(self) -> None:
        """Start and wait, from ordinary code; whatever goes wrong, and Ctrl-C, leaves nothing behind."""
        try:
            self.sync(self._start)
            # while the workers come: dask collections find the cluster by its client
            _ = self.client
            self.sync(self._wait_ready)
        except BaseException:
            self.close()
            raise

    async def _start(self) -> None:
        if self.status == Status.created:
            self.status = Status.starting
            await self._bring_up()

    def _begin(self) -> None:
        """Count as running.

        Dask's own start is not used: it subscribes to the scheduler as its only cluster, and a second one would make the first deaf.
        """
        for callback in self.periodic_callbacks.values():
            callback.start()
        self.status = Status.running

    @property
    def scheduler_info(self) -> Any:
        """What the scheduler says of itself and its workers."""
        return self._look()

    @scheduler_info.setter
    def scheduler_info(self, info: Any) -> None:
        """Dask's own methods write it too."""
        self._info = info

    def _look(self) -> Any:
        return self._info

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._awaited().__await__()

    async def _awaited(self) -> Self:
        if asyncio.get_running_loop() is not self._own.asyncio_loop:
            self._outer = IOLoop.current()
            if self.status == Status.created:
                await self._start_from_outside()
        return self

    async def _start_from_outside(self) -> None:
        try:
            await asyncio.wrap_future(self._submit(self._start()))
            await asyncio.wrap_future(self._submit(self._wait_ready()))
        except BaseException:
            await asyncio.shield(self._close_from_outside())
            raise

    def close(self, timeout: float | None = None) -> Any:
        """Close the client, then the cluster. Closing twice is fine. Awaitable where the cluster was awaited."""
        if os.getpid() != self._owner:
            return None
        if self.asynchronous:
            if self.status == Status.closed:
                return NoOpAwaitable()
            if asyncio.get_running_loop() is self._own.asyncio_loop:
                return self._close()
            return self._close_from_outside()
        with self._closing:
            if self.status != Status.closed:
                with contextlib.suppress(Exception):  # a client that cannot say goodbye must not keep its cluster alive
                    if self._own_client is not None:
                        self._own_client.close(timeout=2)
                with contextlib.suppress(RuntimeError):  # the loop ended first: the interpreter is going down
                    sync(self._own, self._close, callback_timeout=timeout)
            self._loop_runner.stop()
        return None

    def shutdown(self) -> Any:
        """End the cluster, for everybody who uses it. Of a cluster that this process made, the same as `close`."""
        return self.close()

    async def _close_from_outside(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):  # see close
                await self._client.close(timeout=2)
        if self._own_client is not None:
            with contextlib.suppress(Exception):  # see close
                await asyncio.wrap_future(self._submit(self._own_client._close(fast=True)))
        if self.status != Status.closed:
            await asyncio.wrap_future(self._submit(self._close()))
        await asyncio.get_running_loop().run_in_executor(None, self._loop_runner.stop)

    async def _close(self) -> None:
        while self.status == Status.closing:  # noqa: ASYNC110 - whoever closes it may do so in another thread
            await asyncio.sleep(0.01)
        if self.status == Status.closed:
            return
        self.status = Status.closing
        try:
            await self._take_down()
        finally:
            await super()._close()

    def __enter__(self) -> Self:
        self._alive()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await self
        self._alive()
        await self.client
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close_from_outside()

    def logs(self, cluster: bool = True, scheduler: bool = True, workers: bool | list[str] = True) -> Any:
        """What the cluster, its scheduler and its workers have logged: a mapping of name → text that a notebook shows folded."""
        return self.get_logs(cluster=cluster, scheduler=scheduler, workers=workers)
