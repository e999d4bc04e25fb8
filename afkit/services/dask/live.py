"""One cluster while it lives: what is known of it, who waits for news of it, and how it looks to its owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.kube.pending import Pending, explain_pod
from afkit.pods.daskcluster import DASHBOARD_PORT, address
from afkit.services.dask.decisions import WARNS, End
from afkit.services.dask.maker import Made
from afkit.services.dask.records import Group, Record, is_over, owned_by
from afkit.services.dask.scheduler import GroupSeen, Seen
from afkit.services.dask.view import View

__all__ = ["Live", "Refusal"]

Object = Mapping[str, Any]
GROUP_LABEL: Final = "dask.org/workergroup-name"
COMPONENT: Final = "dask.org/component"
_ARRIVES: Final = 30.0
"""Seconds within which the watch tells of a pod that was made."""
_SERVER: Final = re.compile(r"(?<!API )\b([Ss])erver(?=\b|'s)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Pods of a group could not be made: why, since when, and when it is tried again."""

    why: Pending
    since: float
    again: float
    times: int = 1


@dataclass
class Live:
    """One cluster. ``making``: names of pods that were made and that the watch does not tell of yet.

    ``asked_to_end``: why its owner's call has its root removed; it has not ended before that is done.
    """

    record: Record
    made: Made | None = None
    seen: Seen | None = None
    answered: float | None = None
    asked: float = 0.0
    had_scheduler: bool = False
    ended: End | None = None
    asked_to_end: End | None = None
    ended_at: float = 0.0
    gone: bool = False
    making: dict[str, float] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    retiring: set[str] = field(default_factory=set)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    stay: dict[str, str] = field(default_factory=dict)
    ends: list[float] = field(default_factory=list)
    version: int = 1
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    noting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _text: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # pods

    def pods(self, view: View) -> list[Object]:
        """All its pods; an earlier cluster of the same name may have some left."""
        return [pod for pod in view.pods_of(self.record.key).values() if owned_by(pod, self.record.uid)]

    def workers(self, view: View, group: str) -> list[Object]:
        """The pods of a group that are not on their way out, oldest first."""
        return [pod for pod in self.all_workers(view, group) if not self._leaves(pod)]

    def all_workers(self, view: View, group: str) -> list[Object]:
        """All pods of a group, oldest first."""
        label = f"{self.record.key[1]}-{group}"
        found = [pod for pod in self.pods(view) if pod["metadata"]["labels"].get(GROUP_LABEL) == label]
        return sorted(found, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]))

    def scheduler(self, view: View) -> Object | None:
        """The scheduler's pod."""
        name = f"{self.record.key[1]}-scheduler"
        return next((pod for pod in self.pods(view) if pod["metadata"]["name"] == name), None)

    def names(self, view: View, group: str) -> list[str]:
        """Names of the workers that are there or on their way in, oldest first."""
        now = time.monotonic()
        known = {pod["metadata"]["name"] for pod in self.pods(view)}
        self.making = {name: at for name, at in self.making.items() if name not in known and now - at < _ARRIVES}
        start = f"{self.record.key[1]}-{group}-worker-"
        coming = [name for name in self.making if name.startswith(start)]
        return [pod["metadata"]["name"] for pod in self.workers(view, group)] + coming

    def _leaves(self, pod: Object) -> bool:
        about = pod["metadata"]
        return "deletionTimestamp" in about or about["name"] in self.leaving or is_over(pod)

    # news

    def refresh(self, view: View, facility: Facility) -> None:
        """Tell whoever waits, where something of how it looks has changed."""
        text = json.dumps(self._look(view, facility), sort_keys=True)
        if text != self._text:
            self._text = text
            self.version += 1
            self._changed.set()
            self._changed = asyncio.Event()

    async def news(self, since: int, seconds: float) -> None:
        """Return when there is another version than ``since``, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.version == since:
                    await self._changed.wait()

    def state(self, view: View, facility: Facility) -> dict[str, Any]:
        """How it looks to its owner."""
        return {**self._look(view, facility), "version": self.version}

    def _look(self, view: View, facility: Facility) -> dict[str, Any]:
        record = self.record
        namespace, name = record.key
        return {
            "name": record.name,
            "id": record.id,
            "phase": self._phase(),
            "ended": None if self.ended is None else {key: getattr(self.ended, key) for key in ("reason", "message", "hint")},
            "why": " ".join(record.why),
            "address": address(name, namespace),
            "dashboard": f"http://{name}-scheduler.{namespace}.svc:{DASHBOARD_PORT}",
            "image": record.image,
            "python": record.python,
            "life": record.life,
            "server": record.server,
            "idle": record.idle,
            "made": record.made,
            "ends": None if record.lifetime is None else record.made + record.lifetime,
            "groups": [self._group(view, group) for group in record.groups.values()],
            "waiting": [] if self.ended else list(self._waiting(view, facility)),
            "notes": list(self._notes()),
        }

    def _phase(self) -> str:
        if self.ended is not None:
            if not self.gone:
                return "ending"
            return "failed" if self.ended.failed else "ended"
        return "starting" if self.answered is None else "running"

    def _group(self, view: View, group: Group) -> dict[str, Any]:
        seen = self._of(group.name)
        return {
            "name": group.name,
            "low": group.low,
            "high": group.high,
            "wanted": group.wanted,
            "pods": len(self.names(view, group.name)),
            "ready": min(seen.ready, len(self.all_workers(view, group.name))) if seen else 0,
            "cores": group.cpu,
            "memory": group.memory,
            "gpus": group.gpus,
            "threads": group.threads,
            "resources": dict(group.resources),
            "pool": group.pool,
            "arch": group.arch,
        }

    def _of(self, group: str) -> GroupSeen | None:
        return self.seen.groups.get(group) if self.seen is not None else None

    # causes

    def _waiting(self, view: View, facility: Facility) -> Iterable[dict[str, Any]]:
        """What is waited for, and why: of each group one entry for each cause."""
        for name, refusal in self.refusals.items():
            yield _entry("worker", name, "", refusal.why, refusal.since)
        scheduler = self.scheduler(view)
        if self.answered is None and scheduler is not None:
            yield self._explained(view, facility, scheduler, "scheduler", None, str(self.record.scheduler["pool"]))
        for group in self.record.groups.values():
            found = (self._explained(view, facility, pod, "worker", group.name, group.pool) for pod in self._absent(view, group.name))
            yield from {entry["state"]: entry for entry in found}.values()
        for name, (message, hint) in (self.seen.refused if self.seen else {}).items():
            yield _entry("worker", None, name, Pending("refused", message, hint), None)

    def _absent(self, view: View, group: str) -> list[Object]:
        """The workers of a group that have not joined yet."""
        seen = self._of(group)
        return [pod for pod in self.workers(view, group) if seen is None or pod["metadata"]["name"] not in seen.present]

    def _explained(self, view: View, facility: Facility, pod: Object, what: str, group: str | None, pool: str) -> dict[str, Any]:
        found = explain_pod(
            pod,
            view.events_of(pod),
            view.stock.nodes(),
            facility.pools.get(pool),
            now=time.time(),
            contact=facility.contact,
        )
        return _entry(what, group, pod["metadata"]["name"], found, None)

    def _notes(self) -> Iterable[str]:
        kept = [name for name, why in self.stay.items() if why == "results"]
        if kept:
            yield f"{len(kept)} worker{'' if len(kept) == 1 else 's'} stay: results are held there and have no other place."
        record = self.record
        if record.lifetime is not None and time.time() > record.made + record.lifetime - WARNS and self.ended is None:
            yield "It reaches the longest life of a cluster in this facility in some minutes; save what you need."


def _entry(what: str, group: str | None, name: str, why: Pending, since: float | None) -> dict[str, Any]:
    return {
        "what": what,
        "group": group,
        "name": name,
        "state": why.code,
        "message": _SERVER.sub(lambda found: _word(found[1], what), why.sentence),
        "hint": _SERVER.sub(lambda found: _word(found[1], what), why.hint),
        "since": since,
        "hopeless": why.final,
    }


def _word(first: str, what: str) -> str:
    return what.capitalize() if first == "S" else what
