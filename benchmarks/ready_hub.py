"""One side of `benchmarks.ready`: a real JupyterHub in this process, whose people's servers it starts and stops.

``python -m benchmarks.ready_hub SIDE NAMESPACE COUNT PARALLEL`` prints as JSON when each start and stop returned. Every start is
the hub's own `User.spawn` with its database, tokens and users; only the wait for the server's own answer is left out, for pods
on fake nodes answer nobody. Where all start at once, they wait for each other twice: before the spawners are given the choices,
and after the last start has returned; so they do at their stops. What the process uses between the two is the spawner's processor
time; what it uses from the first to the last moment is the whole hub's. ``BENCH_PROFILE=FILE`` writes a profile of the former to
FILE.SIDE.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afkit.kube.client import Kubernetes

GATE = {"name": "bench.example.org/starts"}
"""Holds a pod back until the truth opens it: as long as a server takes to start."""

COMMON = """
c = get_config()
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {people!r}
c.KubeSpawner.extra_pod_config = {{"schedulingGates": [{gate!r}]}}
c.KubeSpawner.start_timeout = 60
"""

OURS = """
from afkit.hub import configure
configure(c, "facility.yaml", mode="kubernetes")
c.AfkitKubeSpawner.kubeconfig = {kubeconfig!r}
"""

FACILITY = """
version: 1
facility: {{name: bench, url: "https://bench.example.org/"}}
identity: {{allow: everyone, issuers: {{hub: {{dialect: hub}}}}}}
pools:
  fake:
    arch: {arch}
    node_selector: {selector}
    tolerations: [{{key: kwok.x-k8s.io/node, operator: Exists}}]
images: {{one: {{image: "example.org/one:1@sha256:{digest}", arch: [{arch}]}}}}
sizes: {{one: {{cpu: 100m, memory: 256Mi}}}}
profiles: {{one: {{allow: everyone, pools: [fake], images: [one], sizes: [one]}}}}
storage: {{home: none}}
kubernetes: {{namespace: {namespace}, user_namespaces: {namespace}, network: none}}
"""

THEIRS = """
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.image = "example.org/one:1"
c.KubeSpawner.node_selector = {selector!r}
c.KubeSpawner.tolerations = [{{"operator": "Exists"}}]
c.KubeSpawner.cpu_guarantee, c.KubeSpawner.mem_guarantee = 0.1, "256M"
c.KubeSpawner.k8s_api_threadpool_workers = {count}
"""
"""KubeSpawner as it comes, but that it may send as many requests at once as there are starts."""

TUNED = """
from kubespawner.reflector import ResourceReflector
c.KubeSpawner.events_enabled = False
ResourceReflector.timeout_seconds.default_value = ResourceReflector.restart_seconds.default_value = 600
ResourceReflector.request_timeout.default_value = 660
"""
"""Lists once in ten minutes, and follows no events."""


def _nothing() -> None:
    pass


class Meeting:
    """Where so many wait for each other; ``cpu`` and ``at`` are the moment in which the last one came."""

    def __init__(self, count: int, met: Callable[[], None]) -> None:
        self._missing = count
        self._met = met
        self._all = asyncio.Event()
        self.cpu = self.at = 0.0

    async def wait(self) -> None:
        """Come, and wait for the others."""
        self._missing -= 1
        if not self._missing:
            self.cpu, self.at = time.process_time(), time.monotonic()
            self._met()
            self._all.set()
        await self._all.wait()


class Starts:
    """The starts of one hub: its spawner's methods, watched."""

    def __init__(self, app: Any, count: int, parallel: int) -> None:
        self._app = app
        self._parallel = parallel
        self._names = [f"bench-{number}" for number in range(count)]
        self.profile = cProfile.Profile(time.process_time)
        profiled = os.environ.get("BENCH_PROFILE")
        self._begun = Meeting(parallel, self.profile.enable if profiled else _nothing)
        self._done = Meeting(parallel, self.profile.disable if profiled else _nothing)
        self._ending, self._ended = Meeting(parallel, _nothing), Meeting(parallel, _nothing)
        self.returned: dict[str, float] = {}
        self.stopped: dict[str, float] = {}
        self.failures: list[str] = []
        self._watch(app.spawner_class)

    def _watch(self, spawner: Any) -> None:
        apply, start, stop = spawner._run_apply_user_options, spawner.start, spawner.stop

        async def applied(one: Any, options: Any) -> None:
            if self._parallel > 1:
                await self._begun.wait()
            await apply(one, options)

        async def returned(one: Any, started: Any) -> Any:
            try:
                url = await started
                self.returned[one.pod_name] = time.monotonic()
            finally:
                if self._parallel > 1:
                    await self._done.wait()
            return url

        async def stopped(one: Any, now: bool = False) -> None:
            if self._parallel > 1:
                await self._ending.wait()
            await stop(one, now)
            self.stopped[one.pod_name] = time.monotonic()
            if self._parallel > 1:
                await self._ended.wait()

        async def unasked(*_: Any) -> None:
            pass

        spawner._run_apply_user_options, spawner.stop, spawner.answered = applied, stopped, unasked
        spawner.start = lambda one: asyncio.ensure_future(returned(one, start(one)))

    async def run(self) -> dict[str, Any]:
        """Start everybody's server and stop it again; what came of it."""
        gate = asyncio.Semaphore(self._parallel)
        cpu = time.process_time()
        await asyncio.gather(*(self._one(gate, self._start, name) for name in self._names))
        cpu = time.process_time() - cpu
        await asyncio.gather(*(self._one(gate, self._stop, name) for name in self._names))
        count = len(self._names)
        return {
            "returned": self.returned,
            "stopped": self.stopped,
            "failures": self.failures,
            "wall": self._done.at - self._begun.at,
            "spawner": (self._done.cpu - self._begun.cpu) / count * 1000,
            "hub": cpu / count * 1000,
        }

    async def _one(self, gate: asyncio.Semaphore, work: Any, name: str) -> None:
        async with gate:
            try:
                async with asyncio.timeout(60):
                    await work(self._app.users[name])
            except Exception as error:  # noqa: BLE001  # a failure is a figure here
                self.failures.append(f"{name}: {error!r}"[:300])

    async def _start(self, user: Any) -> None:
        await user.spawn(options={})

    async def _stop(self, user: Any) -> None:
        await user.stop()


async def pool() -> tuple[str, dict[str, str]]:
    """Architecture and labels of fake nodes."""
    async with await Kubernetes.connect() as kube:
        nodes = (await kube.list("Node", labels="type=kwok"))["items"]
    labels = nodes[0]["metadata"]["labels"]
    return labels["kubernetes.io/arch"], {key: value for key, value in labels.items() if key.startswith("pool.")}


def configure(side: str, namespace: str, count: int, arch: str, selector: dict[str, str]) -> Path:
    """Write the hub's configuration into the working directory."""
    people = {f"bench-{number}" for number in range(count)}
    text = COMMON.format(people=people, gate=GATE)
    if side == "afkit":
        file = FACILITY.format(arch=arch, selector=json.dumps(selector), namespace=namespace, digest="0" * 64)
        Path("facility.yaml").write_text(file)
        text += OURS.format(kubeconfig=os.environ["KUBECONFIG"])
    else:
        text += THEIRS.format(namespace=namespace, selector={**selector, "kubernetes.io/arch": arch}, count=count)
        text += TUNED if side == "tuned" else ""
    config = Path("config.py").absolute()
    config.write_text(text)
    return config


async def hub(config: Path) -> Any:
    """A hub that has begun, in the working directory; without a proxy and without a port."""
    from jupyterhub.app import JupyterHub
    from jupyterhub.user import User

    async def answered(*_: Any) -> None:
        pass

    User._wait_up = answered
    app = JupyterHub.instance(config_file=str(config))
    await app.initialize([])
    return app


async def _main(side: str, namespace: str, count: int, parallel: int) -> None:
    app = await hub(configure(side, namespace, count, *await pool()))
    await asyncio.sleep(5)  # whatever the hub begins with
    starts = Starts(app, count, parallel)
    found = await starts.run()
    profile = os.environ.get("BENCH_PROFILE")
    if profile:
        starts.profile.dump_stats(f"{profile}.{side}")
    for text in starts.failures[:3]:
        print(f"{side}: {text}", file=sys.stderr)
    print(json.dumps(found), flush=True)
    os._exit(0)  # the hub's own tasks have nothing to end properly for


def main(arguments: list[str]) -> None:
    """``SIDE NAMESPACE COUNT PARALLEL``."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        asyncio.run(_main(arguments[0], arguments[1], int(arguments[2]), int(arguments[3])))


if __name__ == "__main__":
    main(sys.argv[1:])
