"""A Dask service on this machine, for sessions under test: real HTTP, real schedulers and workers in processes of their own, TLS, and the
files that run in a facility's pods. What the facility's service decides (people, limits, pods) is not here; it is tested where it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Security
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

import afkit.session.inside

INSIDE = Path(afkit.session.inside.__file__).parent
HUB_TOKEN = "a-hub-token-" + secrets.token_hex(8)
WORKER = {"cores": 1000, "memory": 1 << 30, "gpus": 0, "threads": 1, "pool": "here", "arch": ""}


@dataclass
class Made:
    """One cluster: its folder (what a pod mounts), its processes, its groups."""

    raw: dict[str, Any]
    folder: Path
    groups: list[dict[str, Any]]
    port: int
    http: int
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    scheduler: subprocess.Popen[bytes] | None = None
    workers: dict[str, tuple[str, subprocess.Popen[bytes]]] = field(default_factory=dict)
    ended: dict[str, str] | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    shown: str = ""
    busy: bool = False

    def state(self) -> dict[str, Any]:
        """As the wire has it."""
        there = {group["name"]: [name for name, (home, _) in self.workers.items() if home == group["name"]] for group in self.groups}
        ready = {name: found.get("ready", 0) for name, found in self.seen.get("groups", {}).items()}
        numbers = {name: {"pods": len(names), "ready": ready.get(name, 0)} for name, names in there.items()}
        kept_out = [(name, said) for name, said in self.seen.get("refused", {}).items() if name in self.workers]
        refused = [{"what": "worker", "group": self.workers[name][0], "name": name, "hopeless": True, **said} for name, said in kept_out]
        state = {
            "name": self.raw["name"],
            "id": self.raw["id"],
            "phase": "ended" if self.ended else "running" if self.seen else "starting",
            "ended": self.ended,
            "why": "A process stands for each pod.",
            "address": f"tls://127.0.0.1:{self.port}",
            "dashboard": f"http://127.0.0.1:{self.http}",
            "image": self.raw.get("image") or "here",
            "life": self.raw["life"],
            "made": 1.0,
            "groups": [group | numbers[group["name"]] for group in self.groups],
            "waiting": refused,
            "notes": ["A worker stays: it holds results."] if self.seen.get("kept") else [],
        }
        text = json.dumps(state)
        self.version += text != self.shown
        self.shown = text
        return state | {"version": self.version}


class Facility:
    """``url`` is what ``AFKIT_SERVICES`` says. ``failures``: statuses to answer next with (0: the line is cut), first to last."""

    def __init__(self, folder: Path, grace: float = 2.0) -> None:
        self.folder = folder
        self.grace = grace
        self.failures: list[int] = []
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.clusters: dict[str, Made] = {}
        self.security = Security.temporary()
        self.python: str | None = None
        self.environ: dict[str, str] = {}
        self.tick = 0.2
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        routes: list[Any] = [
            (r"/services/dask/clusters(?:/([^/]+)(/access)?)?", Route, {"facility": self}),
            (r"/services/dask/capacity", Capacity, {"facility": self}),
        ]
        server = HTTPServer(Application(routes))
        server.listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/services/"
        self._ticking = asyncio.ensure_future(self._tick())
        self._up.set()

    def stop(self) -> None:
        """End everything."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _stop(self) -> None:
        self._ticking.cancel()
        for made in self.clusters.values():
            self.end(made, "the facility stops", 0)

    # what routes do

    def make(self, raw: dict[str, Any]) -> Made:
        found = self.clusters.get(raw["name"])
        if found is not None and not found.ended:
            if found.raw["id"] == raw["id"]:
                return found
            raise Refused(409, "incompatible", f"There is a cluster {raw['name']!r} already.", "name")
        groups = [self._group(group) for group in raw["groups"]]
        if sum(group["high"] for group in groups) > 20:
            raise Refused(409, "limit-exceeded", "30 workers cannot be had: your limits leave 20.", "workers")
        made = Made(raw, self.folder / raw["id"], groups, _free(), _free())
        if raw.get("dry_run"):
            return made
        self._write(made)
        words = ["dask_scheduler", "--host", "tls://127.0.0.1", "--port", str(made.port), "--dashboard-address", f"127.0.0.1:{made.http}"]
        made.scheduler = self._start(made, "scheduler", [*words, "--no-show", "--preload", str(made.folder / "afkit_scheduler.py")], {})
        self.clusters[raw["name"]] = made
        self._level(made)
        return made

    def _group(self, group: dict[str, Any]) -> dict[str, Any]:
        chosen = {key: value for key, value in group.items() if value is not None}
        high = chosen.get("high", 2)
        resources = dict(chosen.pop("tags", {})) | ({"GPU": float(group["gpus"])} if group.get("gpus") else {})
        made = WORKER | {"low": high, "high": high} | chosen | {"resources": resources}
        return made | {"wanted": made["low"]}

    def _write(self, made: Made) -> None:
        made.folder.mkdir()
        for path in INSIDE.glob("afkit_*.py"):
            shutil.copy(path, made.folder)
        pem = self.security
        pems = {"ca.crt": pem.tls_ca_file, "tls.crt": pem.tls_client_cert, "tls.key": pem.tls_client_key, "token": made.token}
        client = made.raw.get("client") or {}
        described = {key: made.raw.get(key) for key in ("name", "id", "life", "cvmfs")}
        described |= {"client": client.get("name"), "versions": client.get("versions"), "groups": made.groups}
        for name, text in (pems | {"cluster.json": json.dumps(described)}).items():
            (made.folder / name).write_text(text)

    def _start(self, made: Made, name: str, command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
        folder = made.folder
        tls = ["--tls-ca-file", f"{folder}/ca.crt", "--tls-cert", f"{folder}/tls.crt", "--tls-key", f"{folder}/tls.key"]
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        environ = kept | {"HOME": str(folder), "TMPDIR": str(folder), "AFKIT_CLUSTER_FOLDER": str(folder)} | self.environ | environ
        with (folder / f"{name}.log").open("wb") as log:
            module = f"distributed.cli.{command[0]}"
            words = [self.python or sys.executable, "-m", module, *command[1:], *tls]
            return subprocess.Popen(words, env=environ, stdout=log, stderr=log, cwd=folder, start_new_session=True)

    def _level(self, made: Made) -> None:
        if made.ended:
            # while its scheduler was asked
            return
        for group in made.groups:
            there = sum(home == group["name"] for home, _ in made.workers.values())
            for _ in range(group["wanted"] - there):
                self._worker(made, group)

    def _worker(self, made: Made, group: dict[str, Any]) -> None:
        name = f"{made.raw['name']}-{group['name']}-worker-{secrets.token_hex(5)}"
        tags = " ".join(f"{key}={value:g}" for key, value in group["resources"].items())
        words = ["dask_worker", f"tls://127.0.0.1:{made.port}", "--name", name, "--nthreads", str(group["threads"]), "--no-nanny",
                 "--no-dashboard", "--memory-limit", str(group["memory"]), "--preload", str(made.folder / "afkit_worker.py")]  # fmt: skip
        words += ["--resources", tags] if tags else []
        environ = {"AFKIT_WORKER_GROUP": group["name"]} | dict(made.raw.get("env") or {})
        made.workers[name] = (group["name"], self._start(made, name, words, environ))

    def change(self, made: Made, changes: list[dict[str, Any]]) -> None:
        for change in changes:
            if change["high"] > 20:
                raise Refused(409, "limit-exceeded", "So many workers cannot be had: your limits leave 20.", "workers")
            group = next(group for group in made.groups if group["name"] == change["name"])
            group |= {"low": change["low"], "high": change["high"], "wanted": min(max(group["wanted"], change["low"]), change["high"])}

    def end(self, made: Made, why: str, grace: float = 0.2) -> None:
        made.ended = {"reason": "ended", "message": f"{why}.", "hint": ""}
        for process in [made.scheduler, *(process for _, process in made.workers.values())]:
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()
        made.workers.clear()

    # what it sees to

    async def _tick(self) -> None:
        while True:
            for made in list(self.clusters.values()):
                if not made.ended and not made.busy:
                    made.busy = True
                    task = asyncio.ensure_future(self._look(made))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(self.tick)

    async def _look(self, made: Made) -> None:
        try:
            with contextlib.suppress(OSError, HTTPClientError):
                made.seen = await self.inside(made, "state")
                await self._follow(made)
            assert made.scheduler is not None
            if made.scheduler.poll() is not None and not made.ended:
                self.end(made, "Its scheduler ended, and with it all that it knew")
        finally:
            made.busy = False

    async def _follow(self, made: Made) -> None:
        gone = made.seen["client"]["gone_s"]
        if made.raw["life"] == "kernel" and gone is not None and gone > self.grace:
            self.end(made, "The process that made it is gone")
            return
        for name, (_, process) in list(made.workers.items()):
            if process.poll() is not None:
                del made.workers[name]
        for group in made.groups:
            await self._group_follows(made, group, made.seen["groups"][group["name"]])

    async def _group_follows(self, made: Made, group: dict[str, Any], seen: dict[str, Any]) -> None:
        follows = group["low"] != group["high"]
        there = [name for name, (home, _) in made.workers.items() if home == group["name"]]
        if follows:
            needed = min(max(seen["needed"], group["low"]), group["high"])
            group["wanted"] = max(needed, len(there) - len(seen["idle"]))
        over = len(there) - group["wanted"]
        if over <= 0:
            self._level(made)
            return
        idle = [name for name in seen["idle"] if name in there]
        # of a fixed number also those go that work
        going = (idle if follows else idle + [name for name in there if name not in idle])[:over]
        answer = await self.inside(made, "retire", {"workers": going, "busy": "leave" if follows else "drain"})
        for name in [*answer["retired"], *(name for name, why in answer["kept"].items() if why == "unknown")]:
            _, process = made.workers.pop(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            await asyncio.get_running_loop().run_in_executor(None, process.wait)

    async def inside(self, made: Made, route: str, body: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
        answer = await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{made.http}/afkit/v1/{route}",
            method="GET" if body is None else "POST",
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {made.token if token is None else token}"},
            request_timeout=90,
        )
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def ask_inside(self, name: str, route: str, body: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
        """`inside`, for a test."""
        return asyncio.run_coroutine_threadsafe(self.inside(self.clusters[name], route, body, token), self._loop).result(100)


class Refused(Exception):
    """A 4xx."""

    def __init__(self, status: int, reason: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.what = {"reason": reason, "message": message, "hint": "Ask for less.", "field": field}


class Route(RequestHandler):
    """``clusters``, ``clusters/NAME``, ``clusters/NAME/access``."""

    def initialize(self, facility: Facility) -> None:
        self.facility = facility

    def prepare(self) -> None:
        self.facility.asked.append(f"{self.request.method} {self.request.uri}")
        if self.facility.failures:
            status = self.facility.failures.pop(0)
            if not status:
                self.request.connection.stream.close()
                raise ConnectionError
            self.set_status(status)
            self.finish({"reason": "platform", "message": "Not now.", "hint": "Later."})
        elif self.request.headers.get("Authorization") != f"token {HUB_TOKEN}":
            self.set_status(401)
            self.finish({"reason": "token", "message": "Who are you?", "hint": ""})

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, ConnectionError):
            super().log_exception(kind, error, trace)

    async def get(self, name: str | None = None, access: str | None = None) -> None:
        if name is None:
            self.finish({"clusters": [made.state() for made in self.facility.clusters.values() if not made.ended]})
            return
        made = self.facility.clusters.get(name)
        if made is None:
            self._refuse(Refused(404, "unknown-choice", f"There is no cluster {name!r}."))
        elif access:
            pem = self.facility.security
            material = {"ca": pem.tls_ca_file, "certificate": pem.tls_client_cert, "key": pem.tls_client_key}
            state = made.state()
            self.finish({key: state[key] for key in ("name", "id", "address", "dashboard")} | material)
        else:
            await self._poll(made)

    async def _poll(self, made: Made) -> None:
        since, until = self.get_argument("since", None), time.monotonic() + float(self.get_argument("wait", "0"))
        while since == str(made.state()["version"]) and time.monotonic() < until:  # noqa: ASYNC110 - a test's service
            await asyncio.sleep(0.05)
        self.finish(made.state())

    def post(self, *_: str) -> None:
        raw = json.loads(self.request.body)
        self.facility.bodies.append(raw)
        try:
            made = self.facility.make(raw)
        except Refused as refused:
            self._refuse(refused)
            return
        extra = {"objects": [{"kind": "DaskCluster"}], "expected_s": 3.0} if raw.get("dry_run") else {}
        self.set_status(201)
        self.finish(made.state() | extra)

    def patch(self, name: str, *_: str) -> None:
        try:
            self.facility.change(self.facility.clusters[name], json.loads(self.request.body)["groups"])
        except Refused as refused:
            self._refuse(refused)
            return
        self.finish(self.facility.clusters[name].state())

    def delete(self, name: str, *_: str) -> None:
        made = self.facility.clusters.get(name)
        if made is None or self.get_argument("id") != made.raw["id"]:
            self._refuse(Refused(404, "unknown-choice", f"There is no cluster {name!r}."))
            return
        if not made.ended:
            self.facility.end(made, "It was closed")
        self.set_status(202)
        self.finish({})

    def _refuse(self, refused: Refused) -> None:
        self.set_status(refused.status)
        self.finish(refused.what)


class Capacity(Route):
    """``capacity``."""

    async def get(self, *_: str | None) -> None:
        free = {"cpu": 4000, "memory": 8 << 30}
        self.finish({"pools": {"here": {"free": free}, "away": {"free": None}}, "left": {"clusters": 2, "workers": None}})


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
