"""A cluster of the facility: scheduler and workers in pods that the facility's Dask service makes, seen from a session.

This process has no right to make pods. It asks the service, connects to the scheduler with the cluster's certificates, and follows what
the service says of it. A cluster of a kernel's life hangs on one connection of this process (`_hold`): when that closes, however the
process ended, the service ends the cluster. Neither a busy interpreter nor a stopped process closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from distributed import Client
from distributed.core import Status, rpc
from distributed.objects import SchedulerInfo
from tornado.ioloop import PeriodicCallback

from afkit.errors import AfkitError, DaskStartError, DeadlineError, IncompatibleError, MalformedError, RequestError, UnknownChoiceError
from afkit.session import access, address, dashboard, live
from afkit.session.answers import Cause, State
from afkit.session.base import AfkitCluster
from afkit.session.inside.afkit_adaptive import Follower
from afkit.session.modules import SendingClient
from afkit.session.service import Service, aside
from afkit.session.sizing import Sized

__all__ = ["AfkitFacilityCluster", "Opening"]

LOOK = 2.0
"""Seconds between two questions to the scheduler about its workers, once it runs."""

POLL = 20.0
"""Seconds that the service may hold back an answer that says nothing new."""

CLOSE = 3.0
"""Seconds that the service may take to hear that a cluster is over; after that it finds out by itself."""

CHANGE = 30.0


@dataclass(frozen=True, slots=True)
class Opening:
    """How a cluster object comes to its cluster. ``state``: what the service says of it, soon. ``needed``: how many workers to wait for.

    ``id`` is the cluster's. ``client`` names the connection on which its life hangs; empty: it does not. ``ours``: closing ends it.
    """

    service: Service
    name: str
    id: str
    why: str
    state: Future[State]
    deadline: float
    timeout: float
    needed: Callable[[State], int] = field(default=lambda _: 0)
    client: str = ""
    ours: bool = False


@dataclass(slots=True)
class Following(Follower):
    """A group that follows its load: the facility sees to it. ``fix`` is called by ``stop``."""

    fix: Callable[[], Any] = field(default=lambda: None)

    def stop(self, reason: str = "") -> None:  # noqa: ARG002 - Dask gives one
        """Follow no more: as many workers as there are now stay."""
        if self.state == "running":
            self.state = "stopped"
            self.fix()


class AfkitFacilityCluster(AfkitCluster):
    """Made by `afkit.cluster` and `afkit.connect` in a facility that runs Dask as a service."""

    _client_class = SendingClient

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening.name, opening.why)
        self.id = opening.id
        self._opening = opening
        self._service = opening.service
        self._state: State | None = None
        self._changed = asyncio.Event()
        self._ready = 0
        self._ended = ""
        self._started = False
        self._open = True
        self._said: set[str] = set()
        self._holder: Client | None = None
        live.add(self)

    # what it is

    @property
    def state(self) -> State:
        """What the facility's service last said of the cluster."""
        if self._state is None:
            raise IncompatibleError(f"The cluster {self.name!r} has not started yet.", "Await it first.")
        return self._state

    @property
    def groups(self) -> Mapping[str, Sized]:
        """The worker groups by name."""
        return {group.name: group for group in self._state.groups} if self._state is not None else {}

    @property
    def why(self) -> str:
        """Where this cluster runs and why, and why it is smaller than its defaults where it is."""
        return " ".join(filter(None, (self._why, self._state.why if self._state is not None else "")))

    @property
    def dashboard_link(self) -> str:
        """Where the browser finds the dashboard: through the session's own server, so that the hub's login guards it."""
        if self._state is None or not self._state.dashboard:
            return ""
        return dashboard.through_server(self.id, self._state.dashboard)

    def _ended_because(self) -> str:
        return self._ended

    # start

    async def _bring_up(self) -> None:
        opening = self._opening
        self._take(await asyncio.wrap_future(opening.state))
        threading.Thread(target=self._follow, args=(asyncio.get_running_loop(),), name="afkit-follow", daemon=True).start()
        found = await asyncio.wrap_future(aside(self._service.access, self.name, opening.deadline))
        self.security = access.remember(found)
        await self._reach(found.address)
        arguments = self.security.get_connection_args("client")
        self.scheduler_comm = rpc(found.address, connection_args=arguments)
        await self._in_time(self._ask())
        if opening.client:
            # not the user's client: closing that one must not end the cluster
            holder = Client(found.address, security=self.security, asynchronous=True, name=opening.client, set_as_default=False)
            self._holder = await self._in_time(holder)
        self.periodic_callbacks["afkit"] = PeriodicCallback(self._ask_again, LOOK * 1000)
        self._begin()
        self._show_scaling()
        address.point(self, found.address)

    async def _reach(self, where: str) -> None:
        """Wait until the scheduler listens. The network is asked all the time; the service says when it is hopeless."""
        parts = urlsplit(where)
        while True:
            self._fail_early()
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, parts.port), 1.0)
                writer.close()
                return
            await asyncio.sleep(0.05)

    async def _in_time(self, work: Any) -> Any:
        try:
            return await asyncio.wait_for(work, max(0.0, self._opening.deadline - time.monotonic()))
        except TimeoutError:
            raise self._late("its scheduler did not answer") from None
        except OSError as error:
            raise DaskStartError(f"The scheduler of {self.name!r} cannot be reached: {error}", "Try again.") from error

    async def _wait_ready(self) -> None:
        """Wait for the part of the workers that was asked for, no longer than the deadline."""
        needed = self._opening.needed(self.state)
        while self._ready < needed:
            self._fail_early(needed)
            await asyncio.sleep(0.1)
            await self._in_time(self._ask())
        self._started = True
        if self._ended:
            raise DaskStartError(f"The cluster {self.name!r} is closed{self._ended}.")

    def _fail_early(self, needed: int = 1) -> None:
        """Raise when what is waited for cannot come, or is too late."""
        state = self.state
        if self._ended or state.over:
            raise DaskStartError(f"The cluster {self.name!r} did not start{self._ended or _because(state)}.", state.hint)
        cause = _hopeless(state, needed)
        if cause is not None:
            raise DaskStartError(f"The cluster {self.name!r} did not start: {cause.message}", cause.hint)
        if time.monotonic() > self._opening.deadline:
            raise self._late(f"{self._ready} of {needed} workers were ready" if self.scheduler_comm else "its scheduler was not there")

    def _late(self, what: str) -> DeadlineError:
        causes = self._state.waiting if self._state is not None else ()
        cause = next(iter(causes), Cause("", None, "", "", "Nothing is known to be wrong; the facility may be busy.", "", False))
        text = f"When {self._opening.timeout:g} seconds were over, {what}. {cause.message}"
        return DeadlineError(text, cause.hint or "Ask for fewer or smaller workers, or a longer timeout.")

    async def _ask(self) -> None:
        self.scheduler_info = SchedulerInfo(await self.scheduler_comm.identity())
        self._ready = len(self.scheduler_info["workers"])

    async def _ask_again(self) -> None:
        # a scheduler that is gone is noticed by whoever uses it, and by the service
        with contextlib.suppress(OSError):
            await self._ask()

    # while it runs

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of every change, in a thread of its own."""
        version = self.state.version
        while self._open:
            began = time.monotonic()
            try:
                state = self._service.state(self.name, began + POLL + 15, since=version, wait=POLL)
                if state.id not in ("", self.id):
                    raise UnknownChoiceError("Its name is another cluster's.")
            except UnknownChoiceError:
                _tell(loop, self._heard_end, ": the facility's Dask service knows it no more")
                return
            except AfkitError:
                # the service is away: what runs goes on
                time.sleep(min(5.0, LOOK))
                continue
            version = state.version
            _tell(loop, self._hear, state)
            if state.over:
                return
            # a service that answers at once, with nothing new, is not asked all the time
            time.sleep(max(0.0, 0.5 - (time.monotonic() - began)))

    def _hear(self, state: State) -> None:
        self._take(state)
        if state.over:
            self._heard_end(_because(state))

    def _heard_end(self, reason: str) -> None:
        if self._ended or self.status in (Status.closing, Status.closed):
            return
        self._ended = reason
        self._log(f"The cluster closes{reason}.")
        if self._started:
            threading.Thread(target=self.close, name="afkit-close", daemon=True).start()

    def _take(self, state: State) -> None:
        """Believe the service, and keep what a person may want to read later."""
        self._state = state
        for text in (*state.notes, *(cause.message for cause in state.waiting)):
            if text not in self._said:
                self._said.add(text)
                self._log(text)
        self._show_scaling()

    def _show_scaling(self) -> None:
        """What Dask's widget shows: the first group that follows its load."""
        numbers = self._state.adaptive if self._state is not None else None
        self._adaptive = None if numbers is None else Follower("", *numbers)

    # scaling

    def scale(self, n: object, group: str | None = None) -> Any:
        """Set the number of workers of a group (left out: the first); it follows its load no more. Returns at once.

        Raises `LimitExceededError` where your limits do not leave as much, `UnknownChoiceError` for a group that there is not.
        """
        self._alive()
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise MalformedError(f"{n!r} is no number of workers.", "Write a whole number.", field="n")
        return self._change(self._named(group).name, n, n)

    def adapt(self, minimum: int = 0, maximum: float | None = None, *, group: str | None = None) -> Follower:
        """Let a group (left out: the first) follow its load between two numbers of workers; the result's ``stop()`` ends that.

        ``maximum`` left out: the most that the group might have so far. Raises as `scale` does.
        """
        self._alive()
        size = self._named(group)
        if maximum is None or maximum == float("inf"):
            maximum = max(size.high, minimum)
        if not all(isinstance(end, int) and not isinstance(end, bool) and end >= 0 for end in (minimum, maximum)) or minimum > maximum:
            raise MalformedError(f"{minimum!r} to {maximum!r} is no range of workers.", "Write adapt(low, high).", field="maximum")
        self._change(size.name, minimum, int(maximum))
        return Following(size.name, minimum, int(maximum), fix=lambda: self._fix(size.name))

    def _fix(self, name: str) -> None:
        if self._state is not None and self.status == Status.running:
            number = self._state.numbers[name].wanted
            self._change(name, number, number)

    def _named(self, group: str | None) -> Sized:
        name = next(iter(self.groups)) if group is None else group
        if name not in self.groups:
            raise UnknownChoiceError(f"This cluster has no group {name!r}.", f"It has: {', '.join(self.groups)}.", field="group")
        return self.groups[name]

    def _change(self, name: str, low: int, high: int) -> Any:
        """Ask for other numbers; blocks until the service has said yes or no, but in an event loop."""
        asked = [{"name": name, "low": low, "high": high}]
        deadline = time.monotonic() + CHANGE
        if not self.asynchronous:
            state = self._service.change(self.name, asked, deadline)
            self._own.add_callback(self._take, state)
            self._state = state
            return None
        return asyncio.ensure_future(self._changes(asked, deadline))

    async def _changes(self, asked: list[dict[str, Any]], deadline: float) -> None:
        try:
            state = await asyncio.wrap_future(aside(self._service.change, self.name, asked, deadline))
        except AfkitError as error:
            self._log(str(error))
            raise
        self._own.add_callback(self._take, state)

    # end

    def shutdown(self) -> Any:
        """End the cluster, for everybody who uses it."""
        self._opening = replace(self._opening, ours=True)
        return self.close()

    async def _take_down(self) -> None:
        self._started = self._open = False
        address.unpoint(self)
        live.discard(self)
        over = aside(self._tell_end) if self._opening.ours else None
        if self._state is not None:
            access.forget(self._state.address)
        with contextlib.suppress(Exception):  # a client that cannot say goodbye must not keep the cluster
            if self._holder is not None:
                await self._holder._close(fast=True)
        if self.scheduler_comm is not None:
            await self.scheduler_comm.close_rpc()
        if over is not None:
            with contextlib.suppress(TimeoutError, AfkitError):
                await asyncio.wait_for(asyncio.wrap_future(over), CLOSE)

    def _tell_end(self) -> None:
        """Have the service end it: never a cluster of the same name that somebody else has made."""
        state, deadline = self._state, time.monotonic() + CLOSE
        if state is None:
            try:
                state = self._opening.state.result(CLOSE)
            except RequestError:
                return
            except (AfkitError, TimeoutError):
                # the answer was lost: it may exist all the same
                state = self._service.state(self.name, deadline)
        if state.id == self.id and not state.over:
            self._service.delete(self.name, self.id, deadline)


def _hopeless(state: State, needed: int) -> Cause | None:
    """Why so many workers will never be there, where that is certain."""
    # what is no group's (the scheduler) stops all of it
    stuck = sorted((cause for cause in state.waiting if cause.hopeless), key=lambda cause: cause.group is not None)
    lost = {cause.group for cause in stuck}
    possible = sum(group.low for group in state.groups if group.name not in lost)
    return stuck[0] if None in lost or (lost and possible < needed) else None


def _because(state: State) -> str:
    text = state.ended.rstrip(".")
    return f": {text[0].lower()}{text[1:]}" if text else ""


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., Any], *arguments: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(what, *arguments)
