"""Dask's preload for the scheduler of a facility's cluster (``--preload /etc/afkit/afkit_scheduler.py``).

It opens two routes beside the dashboard, for the facility's Dask service: ``GET /afkit/v1/state`` (who is connected, how much work waits
for which group, who is idle) and ``POST /afkit/v1/retire`` (workers by name: their results move first). Both want the cluster's token.
Workers ask it, by ``afkit_join``, whether they may work, and tell it, by ``afkit_leave``, when they are told to stop.

This is the analyst's own process: whoever reads its answers believes none of them.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.http.utils import RequestHandler

FOLDER = "AFKIT_CLUSTER_FOLDER"
PLACE = "/etc/afkit"

PACE = 5.0
"""Seconds of work for each thread that are worth a worker: a pod takes some to start."""

MOST_NAMES = 2_000
MOST_BODY = 256 << 10

DRAIN = 30.0
"""Seconds that running tasks have, at most, when their worker is told to stop."""

KEEP = 10.0
"""Seconds until a worker whose results had no other place is asked again."""

SETTLE = 5.0
"""Seconds that the news of a task that has ended may take from a worker to here."""


def beside(name: str) -> ModuleType:
    """A module of this folder; by its path, for here is no package."""
    if name not in sys.modules:
        place = Path(__file__).resolve().parent / f"{name}.py"
        if not place.exists():
            place = Path(os.environ.get(FOLDER, PLACE)) / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, place)
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


adaptive: Any = beside("afkit_adaptive")
same: Any = beside("afkit_versions")
measure: Any = beside("afkit_measure")
edited: Any = beside("afkit_modules")


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """A group of equal workers, as ``cluster.json`` describes it."""

    name: str
    threads: int = 1
    gpus: int = 0
    arch: str = ""
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Description:
    """What ``cluster.json`` says. ``client``: what the name of the connection contains that holds the cluster's life."""

    name: str
    client: str
    token: str = field(repr=False)
    versions: Mapping[str, str]
    groups: tuple[WorkerGroup, ...]


def read(folder: Path) -> Description:
    """Read the folder that the pod mounts."""
    raw = json.loads((folder / "cluster.json").read_text())
    keys = ("name", "threads", "gpus", "arch", "resources")
    groups = tuple(WorkerGroup(**{key: group[key] for key in keys if group.get(key) is not None}) for group in raw["groups"])
    token = (folder / "token").read_text().strip()
    return Description(str(raw["name"]), str(raw.get("client") or ""), token, raw.get("versions") or {}, groups)


async def dask_setup(scheduler: Any) -> None:
    """Called by Dask when the scheduler starts."""
    keeper = Keeper(scheduler, read(Path(os.environ.get(FOLDER, PLACE))))
    scheduler.add_plugin(keeper, name="afkit")
    scheduler.handlers |= {"afkit_join": keeper.join, "afkit_leave": keeper.leave, "afkit_modules": keeper.modules}
    measure.install(scheduler)
    routes = [(r"/afkit/v1/state", State, {"keeper": keeper}), (r"/afkit/v1/retire", Retire, {"keeper": keeper})]
    scheduler.http_application.add_handlers(".*", routes)


class Keeper(SchedulerPlugin):  # type: ignore[misc]  # Dask's classes have no types here
    """What the routes say and do."""

    def __init__(self, scheduler: Any, cluster: Description) -> None:
        self.scheduler = scheduler
        self.cluster = cluster
        self.refused: dict[str, dict[str, str]] = {}
        self.kept: dict[str, float] = {}
        self._homes: dict[str, str] = {}
        self._followers = {group.name: adaptive.Follower(group.name, 0, 0) for group in cluster.groups}
        self._connected: set[str] = set()
        self._seen = False
        self._gone: float | None = None
        self._retiring: set[str] = set()
        self._modules = edited.Modules(Path(tempfile.mkdtemp(prefix="afkit-modules-")))

    # who is connected

    def add_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002 - Dask gives it
        """Notice the connection that holds the cluster's life."""
        if self.cluster.client and self.cluster.client in client:
            self._connected.add(client)
            self._seen, self._gone = True, None

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002 - Dask gives it
        """It has closed, however that came."""
        if client in self._connected:
            self._connected.discard(client)
            if not self._connected:
                self._gone = time.monotonic()

    # who may work

    def join(self, name: str, group: str, versions: dict[str, str], arch: str, problems: list[str]) -> dict[str, str]:
        """Whether a worker may work: an empty answer, or what is wrong (``message``) and what to do (``hint``)."""
        wrong, hint = self._wrong(group, versions, arch)
        if not wrong and not problems:
            self.refused.pop(str(name), None)
            self._settle(str(name), group)
            return {}
        text = f"it has {wrong}" if wrong else "; ".join(problems)
        said = {"message": f"The worker {name} is kept out: {text}.", "hint": hint}
        self.refused[str(name)] = said
        return said

    def _wrong(self, group: str, versions: dict[str, str], arch: str) -> tuple[str, str]:
        """What a worker has that the session has not, and what to do; empty: nothing."""
        wanted = next((one.arch for one in self.cluster.groups if one.name == group), "")
        if wanted and arch != wanted:
            return f"the architecture {arch} instead of {wanted}", "Tell the facility's support: its pool is described wrongly."
        found = same.differences(self.cluster.versions, versions) if self.cluster.versions else []
        hint = "Use the session's own image (leave image and python out), or install the same versions in both."
        return ", ".join(found), hint if found else ""

    def _settle(self, name: str, group: str) -> None:
        """Remember the group of a worker; those that are gone are forgotten when they become many."""
        if len(self._homes) > 5 * MOST_NAMES:
            here = {str(state.name) for state in self.scheduler.workers.values()}
            self._homes = {known: home for known, home in self._homes.items() if known in here}
        self._homes[name] = group

    async def modules(self, files: dict[str, str] | None = None) -> dict[str, str]:
        """Take modules that the session has imported from beside its notebook, and give them to all workers; returns all that there are.

        Graphs are unpacked here too, so the scheduler itself needs them first.
        """
        if files and self._modules.put(files):
            await self.scheduler.broadcast(msg={"op": "afkit_modules", "files": files}, on_error="return")
        return dict(self._modules.files) if files is None else {}

    # what the service is told

    def state(self) -> dict[str, Any]:
        """All that the service decides by."""
        since = self.scheduler.check_idle()
        gone = None if self._gone is None else round(time.monotonic() - self._gone, 3)
        there = self._there()
        self._forget_kept()
        return {
            "now": time.time(),
            "client": {"seen": self._seen, "connected": len(self._connected), "gone_s": gone},
            "clients": sum("worker" not in name for name in self.scheduler.clients if name != "fire-and-forget"),
            "idle_s": 0.0 if since is None else round(time.time() - since, 3),
            "results": sum(len(state.has_what) for state in self.scheduler.workers.values()),
            "groups": {group.name: self._group(group, there[group.name], work) for group, work in self._work()},
            "refused": dict(list(self.refused.items())[:100]),
            "kept": list(self.kept)[:MOST_NAMES],
        }

    def _forget_kept(self) -> None:
        """Those that hold nothing now may be asked again; the others too after a while, for there may be place elsewhere."""
        holders = {str(state.name) for state in self.scheduler.workers.values() if state.has_what}
        before = time.monotonic() - KEEP
        self.kept = {name: since for name, since in self.kept.items() if name in holders and since > before}

    def _work(self) -> list[tuple[WorkerGroup, Any]]:
        found = adaptive.demand(self.scheduler, self.cluster.groups)
        return [(group, found[group.name]) for group in self.cluster.groups]

    def _there(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {group.name: [] for group in self.cluster.groups}
        for state in self.scheduler.workers.values():
            home = self._homes.get(str(state.name)) or self._named(str(state.name))
            if home in found:
                found[home].append(state)
        return found

    def _named(self, name: str) -> str:
        """The group of a worker that has not asked to join; its pod's name says it."""
        homes = (group.name for group in self.cluster.groups if name.startswith(f"{self.cluster.name}-{group.name}-worker-"))
        return max(homes, key=len, default="")

    def _group(self, group: WorkerGroup, states: list[Any], work: Any) -> dict[str, Any]:
        work.full = adaptive.memory_full(states)
        busy = {str(state.name): bool(state.processing) for state in states if str(state.name) not in self._retiring}
        idle = self._followers[group.name].idle(busy, time.monotonic())
        least = {str(state.name): state.nbytes for state in states}
        return {
            "ready": len(states),
            "tasks": work.tasks,
            "seconds": round(work.seconds, 3),
            "needed": adaptive.target(work, group, len(states), PACE),
            # those with the least to move go first
            "idle": sorted(idle, key=lambda name: least[name])[: MOST_NAMES // 2],
            "present": [str(state.name) for state in states[:MOST_NAMES]],
        }

    # who goes

    async def leave(self, name: str, seconds: float = DRAIN) -> bool:
        """A worker has been told to stop (its pod ends): its results move. Whether they could."""
        done = await self.retire([str(name)], drain=True, seconds=seconds)
        return str(name) in done["retired"]

    async def retire(self, names: Iterable[str], *, drain: bool, seconds: float = DRAIN) -> dict[str, Any]:
        """Let workers go, by their names; their results are elsewhere when this returns.

        A worker with work stays (``busy``), unless ``drain``: then nothing new goes there, what runs may end (for ``seconds`` at most), and
        what waits there runs elsewhere. A worker whose results have no other place stays (``results``).
        """
        going, kept = self._sorted(names, drain)
        self._last(going, kept)
        retired = await self._retired(going, seconds) if going else []
        for state in going:
            if str(state.name) not in retired:
                kept[str(state.name)] = "results" if state.address in self.scheduler.workers else "unknown"
        now = time.monotonic()
        self.kept |= {name: now for name, why in kept.items() if why == "results"}
        return {"retired": retired, "kept": kept}

    def _sorted(self, names: Iterable[str], drain: bool) -> tuple[list[Any], dict[str, str]]:
        """Who may go, and why the others stay."""
        going, kept = [], {}
        known = {str(state.name): state for state in self.scheduler.workers.values()}
        for name in dict.fromkeys(names):
            state = known.get(name)
            if state is None:
                kept[name] = "unknown"
            elif name in self._retiring or (state.processing and not drain):
                kept[name] = "busy"
            else:
                going.append(state)
        return going, kept

    def _last(self, going: list[Any], kept: dict[str, str]) -> None:
        """Where nobody else stays, the worker that holds most does: Dask would keep them all."""
        stay = [state for state in self.scheduler.running if state not in going]
        if going and not stay and any(state.has_what for state in self.scheduler.workers.values()):
            most = max(going, key=lambda state: (state.nbytes, len(state.has_what)))
            going.remove(most)
            kept[str(most.name)] = "results"

    async def _retired(self, going: list[Any], seconds: float) -> list[str]:
        names = {str(state.name) for state in going}
        self._retiring |= names
        try:
            # from this moment on they are given nothing new
            for state in going:
                self._turn(state, Status.closing_gracefully)
            await asyncio.gather(*(self._drain(state, seconds) for state in going if state.processing))
            gone = await self.scheduler.retire_workers(workers=[state.address for state in going], close_workers=True, remove=True)
            done = [str(state.name) for state in going if state.address in gone]
        finally:
            self._retiring -= names
            for state in going:
                if self.scheduler.workers.get(state.address) is state:
                    self._turn(state, Status.running)
        return done

    def _turn(self, state: Any, status: Any) -> None:
        """Set a worker's status here and there, as Dask's own retiring does."""
        stimulus = f"afkit-{status.name}-{time.time()}"
        self.scheduler.handle_worker_status_change(status, state, stimulus)
        stream = self.scheduler.stream_comms.get(state.address)
        if stream is not None:
            stream.send({"op": "worker-status-change", "status": status.name, "stimulus_id": stimulus})

    async def _drain(self, state: Any, seconds: float) -> None:
        """Wait until nothing runs there, and until the scheduler knows what has run."""
        with suppress(OSError, ValueError, TimeoutError, AttributeError):  # it is gone, or has not this file: then as Dask does it
            async with asyncio.timeout(seconds + SETTLE):
                done = set(await self.scheduler.rpc(state.address).afkit_drain(seconds=seconds))
                while any(task.key in done for task in state.processing):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)


class Route(RequestHandler):  # type: ignore[misc]  # Dask's classes have no types here
    """What both routes have in common: the token, JSON in and out, no traceback."""

    def initialize(self, keeper: Keeper) -> None:
        """Take what this route works on."""
        self.keeper = keeper

    def prepare(self) -> None:
        """Let in whoever has the token."""
        given = self.request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, self.keeper.cluster.token.encode()):
            self._say(401, {"message": "This is not the cluster's token."})
        elif len(self.request.body) > MOST_BODY:
            self._say(413, {"message": "This is too much."})

    def _say(self, status: int, what: Mapping[str, Any]) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(what))

    def write_error(self, status_code: int, **_: Any) -> None:
        """A status and a word, whatever failed."""
        self._say(status_code, {"message": "This failed."})


class State(Route):
    """``GET /afkit/v1/state``."""

    def get(self) -> None:
        """See `Keeper.state`."""
        self._say(200, self.keeper.state())


class Retire(Route):
    """``POST /afkit/v1/retire``: ``{"workers": [NAME…], "busy": "leave" | "drain", "seconds": 30}``."""

    async def post(self) -> None:
        """See `Keeper.retire`."""
        try:
            asked = json.loads(self.request.body)
            names, busy, seconds = asked["workers"], asked.get("busy", "leave"), float(asked.get("seconds", DRAIN))
            good = isinstance(names, list) and all(isinstance(name, str) for name in names) and busy in ("leave", "drain")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            good = False
        if not good or not 0 <= seconds <= 600:
            self._say(400, {"message": 'Send {"workers": ["NAME"], "busy": "leave"}.'})
            return
        self._say(200, await self.keeper.retire(names, drain=busy == "drain", seconds=seconds))
