"""A cluster on this machine: the scheduler in this process, the workers in processes of their own, held by a guardian."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import dask
from distributed import Scheduler
from distributed.core import Status, rpc
from distributed.objects import SchedulerInfo
from distributed.utils import Log, NoOpAwaitable
from tornado.ioloop import PeriodicCallback

from afkit.errors import DaskStartError, DeadlineError
from afkit.quantities import format_duration
from afkit.session import address, dashboard, live, peers, quiet, registry
from afkit.session.base import AfkitCluster
from afkit.session.inside import afkit_measure
from afkit.session.inside.afkit_adaptive import Follower
from afkit.session.plan import Plan
from afkit.session.plugins import Roll
from afkit.session.presence import Presence
from afkit.session.scaling import Scaler
from afkit.session.sizing import Sized
from afkit.session.terms import Terms
from afkit.session.workers import TERMINATE, Crew

__all__ = ["AfkitLocalCluster"]

TICK = 0.5
"""Seconds between two looks at idleness, age and load."""

GRACE = 0.5
"""Seconds that workers have for an end of their own when the cluster closes."""


class AfkitLocalCluster(AfkitCluster):
    """Made by `afkit.cluster`. ``crew`` has its first workers starting already; ``entry`` is its place in the registry."""

    def __init__(self, plan: Plan, terms: Terms, crew: Crew, entry: registry.Entry, deadline: float) -> None:
        super().__init__(entry.name, plan.why)
        self.id = entry.id
        self.scheduler: Scheduler | None = None
        self._plan = plan
        self._crew = crew
        self._presence = Presence(self, entry)
        self._deadline = deadline
        self._scaler = Scaler(crew, terms, entry, self._presence.hold)
        self._changed = asyncio.Event()
        self._pages: dashboard.Pages | None = None
        self._ended = ""
        self._started = False
        self._ready_at = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        crew.note = self._log
        live.add(self)
        quiet.quieter()

    # what it is

    @property
    def groups(self) -> Mapping[str, Sized]:
        """The worker groups by name."""
        return {name: post.size for name, post in self._crew.posts.items()}

    @property
    def workers(self) -> Mapping[str, Any]:
        """The workers that there are or that are coming, by name."""
        return {name: member for name, member in self._crew.members.items() if not member.leaving}

    @property
    def dashboard_link(self) -> str:
        """Where the browser finds the dashboard: through the hub's proxy in a session of a hub."""
        port = self._dashboard_port()
        return dashboard.link("127.0.0.1", port) if port else ""

    def _look(self) -> Any:
        if self.scheduler is None or self.status != Status.running:
            return super()._look()
        for _ in range(10):
            # its loop, in another thread, may change it at this moment
            with contextlib.suppress(RuntimeError):
                return SchedulerInfo(self.scheduler.identity())
        return super()._look()

    def _dashboard_port(self) -> int:
        server = self.scheduler.services.get("dashboard") if self.scheduler is not None and self.status == Status.running else None
        return int(server.port) if server is not None else 0

    def _ended_because(self) -> str:
        return self._ended

    # start

    async def _bring_up(self) -> None:
        crew = self._crew
        crew.changed = self._changes
        asyncio.get_running_loop().add_reader(crew.guardian.fileno(), self._hear)
        await self._until(lambda: crew.guardian.ready)
        self.scheduler = await self._start_scheduler()
        afkit_measure.install(self.scheduler)
        self.scheduler_comm = rpc(self.scheduler.address, connection_args=self.security.get_connection_args("client"))
        self._scaler.scheduler, self._scaler.comm = self.scheduler, self.scheduler_comm
        crew.go(self.scheduler.address, _settings(), dask.config.get("temporary-directory", None), _terminate())
        await self._presence.open(crew.guardian.folder)
        for group in self._plan.groups:
            if group.adaptive:
                self._scaler.followers[group.name] = Follower(group.name, group.low, group.high)
        self.periodic_callbacks["afkit"] = PeriodicCallback(self._tick, TICK * 1000)
        self._begin()
        self._show_scaling()
        self._presence.show()
        address.point(self, self.scheduler.address)

    async def _start_scheduler(self) -> Any:
        pages = dashboard.installed()
        try:
            scheduler = await peers.guarded(Scheduler)(
                host="127.0.0.1",
                port=0,
                protocol="tcp://",
                security=self.security,
                # without bokeh Dask's own page says what to install
                dashboard=not pages,
                dashboard_address="127.0.0.1:0",
                plugins=[Roll(self._crew)],
                local_directory=str(self._crew.guardian.folder),
                idle_timeout=None,
            )
        except OSError as error:
            raise DaskStartError(f"The scheduler did not start: {error}.", "Is 127.0.0.1 usable on this machine?") from error
        self._pages = dashboard.Pages(scheduler) if pages else None
        return scheduler

    async def _wait_ready(self) -> None:
        """Wait for the part of the workers that was asked for, no longer than the deadline."""
        needed = self._plan.needed
        await self._until(lambda: self._crew.ready() >= needed)
        self._started = True
        self._ready_at = time.time()
        if self._pages is not None:
            self._later(self._load_pages(self._pages))

    async def _until(self, true: Callable[[], bool]) -> None:
        """Wait for something that the guardian or the scheduler brings about; raises when it cannot come, or not in time."""
        while not true():
            if self._ended:
                raise DaskStartError(f"The cluster was closed while it started{self._ended}.")
            cause = self._crew.hopeless()
            if cause:
                raise DaskStartError(
                    f"The cluster did not start: {cause}", "What the worker wrote says what to mend." if "\n" in cause else ""
                )
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, self._deadline - time.monotonic()))
            except TimeoutError:
                waited = ", ".join(name for name, member in self._crew.members.items() if not member.address)
                raise DeadlineError(
                    f"{self._crew.ready()} of {self._plan.needed} workers were ready when {self._plan.timeout:g} seconds were over; "
                    f"waited for {waited}.",
                    "Ask for fewer workers or a longer timeout; the machine may be busy.",
                ) from None

    async def _load_pages(self, pages: dashboard.Pages) -> None:
        try:
            await pages.load()
        except ImportError as error:
            self._log(f"The dashboard could not be loaded: {error}")

    async def _get_logs(self, cluster: bool = True, scheduler: bool = True, workers: Any = True) -> Any:
        """Dask's own logs, and what each worker's process has written (of tasks, their prints)."""
        found = await super()._get_logs(cluster=cluster, scheduler=scheduler, workers=workers)
        if workers:
            for name, member in self._crew.members.items():
                text = self._crew.guardian.tail(name, lines=1000)
                if text and (workers is True or member.address in workers):
                    found[f"{name}, output"] = Log(text)
        return found

    # while it runs

    def _hear(self) -> None:
        if not self._crew.lost:
            self._crew.hear()
        if self._crew.lost:
            with contextlib.suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(self._crew.guardian.fileno())
            # while it starts, `_until` says more
            if self._started:
                self.end("the process that holds its workers was killed")

    def _changes(self) -> None:
        self._changed.set()
        if self.status == Status.running:
            self._scaler.reconcile()
            self._presence.show()

    def _tick(self) -> None:
        if not self._crew.guardian.alive:
            self._hear()
        if self.scheduler is None or self.status != Status.running:
            return
        since = self.scheduler.check_idle()
        # the time that it takes to start counts for nothing
        if self._started:
            self._expire(since, time.time())
        self._scaler.follow()

    def _expire(self, idle_since: float | None, now: float) -> None:
        """Close after too long a time without work, or too long a life."""
        idle, lifetime = self._plan.idle, self._plan.lifetime
        if idle is not None and idle_since is not None and now - max(idle_since, self._ready_at) > idle:
            self.end(f"it had no work for {format_duration(int(idle))}")
        elif lifetime is not None and now - self._ready_at > lifetime:
            self.end(f"in this facility a cluster lives for {format_duration(int(lifetime))}")

    def end(self, reason: str) -> None:
        """Close from within: in a thread, because closing ends this loop. While it starts, whoever waits for it raises and closes it."""
        if self._ended:
            return
        self._ended = f": {reason}"
        self._log(f"The cluster closes: {reason}.")
        if self._started:
            threading.Thread(target=self.close, name="afkit-close", daemon=True).start()
        self._changed.set()

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # scaling

    def scale(self, n: object, group: str | None = None) -> Any:
        """Set the number of workers of a group (left out: the first); it follows its load no more. Returns at once.

        Raises `LimitExceededError` where the session does not leave as much, `UnknownChoiceError` for a group that there is not.
        """
        self._alive()
        self._scaler.scale(n, group)
        return self._rescaled()

    def adapt(self, minimum: int = 0, maximum: float | None = None, *, group: str | None = None) -> Follower:
        """Let a group (left out: the first) follow its load between two numbers of workers; the result's ``stop()`` ends that.

        Returns at once. ``maximum`` left out: the most that the group might have so far. Raises as `scale` does.
        """
        self._alive()
        follower = self._scaler.adapt(minimum, maximum, group)
        self._rescaled()
        return follower

    def _rescaled(self) -> Any:
        self._show_scaling()
        self._own.add_callback(self._changes)
        return NoOpAwaitable() if self.asynchronous else None

    def _show_scaling(self) -> None:
        """What Dask's widget and the sidebar show: the first group that follows its load."""
        self._adaptive = next(iter(self._scaler.followers.values()), None)

    # what others of the session see

    def seen(self) -> dict[str, Any]:
        """What changes of the cluster's entry in the registry."""
        port = self._dashboard_port()
        there = [self._crew.posts[member.group].size for member in self._crew.members.values() if member.address]
        followed = self._adaptive
        return {
            "scheduler": self.scheduler.address if self.scheduler else "",
            "dashboard": f"http://127.0.0.1:{port}" if port else "",
            "workers": len(there),
            "cores": sum(size.millicores for size in there),
            "memory": sum(size.memory for size in there),
            "adaptive": (followed.minimum, followed.maximum) if followed is not None else None,
        }

    def state(self) -> dict[str, Any]:
        """What is answered to an order from elsewhere."""
        return {"name": self.name, "workers": self._crew.ready(), "groups": {name: post.wanted for name, post in self._crew.posts.items()}}

    # end

    async def _take_down(self) -> None:
        self._started = False
        self._crew.stop()
        self._scaler.stop()
        address.unpoint(self)
        self._presence.close()
        for task in list(self._tasks):
            task.cancel()
        try:
            if self.scheduler is not None:
                with contextlib.suppress(OSError):
                    await self.scheduler.close(reason="the cluster closes")
            if self.scheduler_comm is not None:
                await self.scheduler_comm.close_rpc()
        finally:
            await self._end_workers()
            self._presence.remove()
            live.discard(self)
            quiet.louder()

    async def _end_workers(self) -> None:
        """End the processes, while this loop goes on: workers that say goodbye are answered."""
        guardian = self._crew.guardian
        guardian.quit(GRACE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE + 4):
                while not self._crew.lost and guardian.usable:
                    self._changed.clear()
                    await self._changed.wait()
        if not self._crew.lost:
            asyncio.get_running_loop().remove_reader(guardian.fileno())
        guardian.close(0)


def _settings() -> dict[str, Any]:
    """The Dask settings of this process for the workers, less what concerns clients."""
    return {key: value for key, value in dask.config.config.items() if key not in {"scheduler-address", "scheduler", "labextension"}}


def _terminate() -> float:
    """The part of its memory limit at which a worker is ended; 0: never."""
    written = dask.config.get("distributed.worker.memory.terminate", TERMINATE)
    return 0.0 if written is False else float(written)
