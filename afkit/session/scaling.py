"""Makes the workers of a cluster on this machine as many as they should be: by number, or following the load.

Every change is first weighed against what the session leaves. Workers that go are chosen idle first; the scheduler moves their results
before they end, so no work is lost. All of it but `grant` runs in the cluster's own loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from afkit.errors import MalformedError, UnknownChoiceError
from afkit.session import registry
from afkit.session.inside.afkit_adaptive import Follower, demand, memory_full, target
from afkit.session.left import Held, left_of
from afkit.session.sizing import total, weigh
from afkit.session.terms import Terms
from afkit.session.workers import Crew, Member, Post

__all__ = ["Scaler"]

RETRY = 5.0
"""Seconds until a worker that could not go (its results had no place) is asked again."""

log = logging.getLogger(__name__)


class Scaler:
    """One cluster's numbers. ``crew`` has the processes, ``write`` puts what the cluster may hold into the registry."""

    def __init__(self, crew: Crew, terms: Terms, entry: registry.Entry, write: Callable[[Held], None]) -> None:
        self.crew = crew
        self.terms = terms
        self.scheduler: Any = None
        self.comm: Any = None
        self.followers: dict[str, Follower] = {}
        self._identifier = entry.id
        self._name = entry.name
        self._write = write
        self._most = {name: post.size.high for name, post in crew.posts.items()}
        self._kept: dict[str, float] = {}
        self._retiring: set[asyncio.Task[Any]] = set()

    def post(self, group: str | None) -> Post:
        """A group by name; left out, the first."""
        name = next(iter(self.crew.posts)) if group is None else group
        if name not in self.crew.posts:
            raise UnknownChoiceError(f"This cluster has no group {name!r}.", f"It has: {', '.join(self.crew.posts)}.", field="group")
        return self.crew.posts[name]

    def grant(self, name: str, most: int) -> None:
        """Let a group grow to ``most`` workers. Raises `LimitExceededError` where the session does not leave as much."""
        wanted = self._most | {name: most}
        sizes = [(post.size, wanted[group]) for group, post in self.crew.posts.items()]
        with registry.lock():
            others = [entry.held for entry in registry.entries(starting=True) if self._shares(entry)]
            left = left_of(self.terms, others)
            weigh(sizes, self.terms, left)
            held = total(self._name, sizes, left.gpus)
            self._most = wanted
            self.crew.devices(held.gpus)
            self._write(held)

    def scale(self, number: object, group: str | None) -> None:
        """Want so many workers in a group; it follows its load no more. Thread-safe."""
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise MalformedError(f"{number!r} is no number of workers.", "Write a whole number.", field="n")
        post = self.post(group)
        self.grant(post.size.name, number)
        self._unfollow(post.size.name)
        post.wanted = number
        post.failures = 0

    def adapt(self, minimum: int, maximum: float | None, group: str | None) -> Follower:
        """Let a group follow its load between two numbers; ``maximum`` left out: the most that the group might have so far. Thread-safe."""
        post = self.post(group)
        name = post.size.name
        if maximum is None or maximum == math.inf:
            maximum = max(self._most[name], minimum)
        if not all(isinstance(end, int) and not isinstance(end, bool) and end >= 0 for end in (minimum, maximum)) or minimum > maximum:
            raise MalformedError(f"{minimum!r} to {maximum!r} is no range of workers.", "Write adapt(low, high).", field="maximum")
        self.grant(name, int(maximum))
        self._unfollow(name)
        follower = Follower(name, minimum, int(maximum))
        post.failures = 0
        post.wanted = min(max(post.wanted, minimum), int(maximum))
        self.followers[name] = follower
        return follower

    def follow(self) -> None:
        """Look at the work that waits, and at workers that have none."""
        running = [follower for follower in self.followers.values() if follower.state == "running"]
        if not running or self.scheduler is None:
            return
        work = demand(self.scheduler, [post.size for post in self.crew.posts.values()])
        now = time.monotonic()
        for follower in running:
            self._follow(follower, work[follower.group], now)
        self.reconcile()

    def reconcile(self) -> None:
        """Start what is missing, retire what is too much."""
        self.crew.launch()
        for name, post in self.crew.posts.items():
            coming, over = self.crew.surplus(name)
            self.crew.dismiss((member.name for member in coming), grace=0)
            if over:
                follows = name in self.followers and self.followers[name].state == "running"
                self._retire(self._choose(name, over, idle_only=follows), post, force=not follows)

    def stop(self) -> None:
        """Follow nothing any more."""
        for follower in self.followers.values():
            follower.stop()
        for task in self._retiring:
            task.cancel()

    def _follow(self, follower: Follower, work: Any, now: float) -> None:
        post = self.crew.posts[follower.group]
        states = {member.name: state for state, member in self._there(follower.group)}
        work.full = memory_full(states.values())
        needed = target(work, post.size, len(states))
        idle = follower.idle({name: bool(state.processing) for name, state in states.items()}, now)
        follower.may_go = {name for name in idle if now - self._kept.get(name, -RETRY) >= RETRY}
        if needed > post.wanted:
            post.wanted = min(needed, follower.maximum)
        elif needed < post.wanted:
            post.wanted = max(follower.minimum, needed, post.wanted - len(follower.may_go))

    def _choose(self, group: str, number: int, *, idle_only: bool) -> list[Member]:
        """Which workers go: idle ones first, then those with the least to do and to move."""
        there = self._there(group)
        if idle_only:
            may_go = self.followers[group].may_go
            there = [(state, member) for state, member in there if member.name in may_go and not state.processing]
        there.sort(key=lambda pair: (len(pair[0].processing), pair[0].nbytes))
        chosen = there[:number]
        if idle_only and len(chosen) == len(self.scheduler.workers) and any(state.has_what for state, _ in chosen):
            # results have to stay somewhere: the worker with most of them does
            self._keep(chosen.pop()[1])
        return [member for _, member in chosen]

    def _there(self, group: str) -> list[tuple[Any, Member]]:
        """The workers of a group that the scheduler knows and that stay, each with the scheduler's record of it."""
        known = self.scheduler.workers
        members = (member for member in self.crew.members.values() if member.group == group and not member.leaving)
        return [(known[member.address], member) for member in members if member.address in known]

    def _keep(self, member: Member) -> None:
        self._kept[member.name] = time.monotonic()
        self.crew.posts[member.group].wanted += 1

    def _retire(self, members: list[Member], post: Post, *, force: bool) -> None:
        for member in members:
            member.leaving = True
        if members:
            task = asyncio.ensure_future(self._retired(members, post, force=force))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retired(self, members: list[Member], post: Post, *, force: bool) -> None:
        names = [member.name for member in members]
        try:
            gone: Mapping[str, Any] = await self.comm.retire_workers(names=names, close_workers=True, remove=True)
        except OSError as error:
            log.warning("workers could not be retired: %s", error)
            gone = {}
        stay = [member for member in members if member.address and member.address not in gone]
        if force:
            self.crew.dismiss(member.name for member in stay)
            return
        for member in stay:
            member.leaving = False
            self._kept[member.name] = time.monotonic()
            post.wanted += 1

    def _unfollow(self, name: str) -> None:
        if name in self.followers:
            self.followers.pop(name).stop()

    def _shares(self, entry: registry.Entry) -> bool:
        return entry.session == self.terms.session and entry.id != self._identifier
