"""How soon a hub notices that a pod is Ready, and that one is gone; and 100 starts at once on fake nodes; beside KubeSpawner.

Every side is a real JupyterHub in a process of its own (`benchmarks.ready_hub`) on the same real cluster, with the same database,
tokens and people; the peer's spawner is KubeSpawner as it comes, and tuned (it lists once in ten minutes and follows no events).
Pods become Ready on fake nodes (kwok), the same way for all, about two seconds after they were made (a scheduling gate is taken
away then), which is what a server takes to start. The truth is a further process that watches the pods and has nothing else to
do: "noticed" is the time between its seeing a pod Ready (gone) and the return of the spawner's ``start()`` (``stop()``). Rounds
alternate, so that whatever else the machine does falls on all sides.

The spawner's processor time is that of the hub's process from the moment in which all 100 choices are given to their spawners
to the last return of a ``start()``; the whole hub's is that of all it does for 100 starts, the database above all.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from afkit.errors import KubernetesError
from benchmarks.table import Row

SIDES = ("afkit", "default", "tuned")
ROUNDS = 3
EACH = 7
"""Starts one after the other, in each round and side."""
MANY = 100
CROWDS = 3
STARTS = 2.0
"""Seconds that a server takes to start."""

Figures = dict[str, list[float]]


def rows() -> list[Row]:
    """Measure all sides in turn."""
    with _cluster() as kubeconfig:
        alone = _rounds(kubeconfig, ROUNDS, EACH, 1)
        crowd = _rounds(kubeconfig, CROWDS, MANY, MANY)
    return [row for peer in SIDES[1:] for row in _beside(peer, alone, crowd)]


def _rounds(kubeconfig: Path, rounds: int, count: int, parallel: int) -> dict[str, Figures]:
    found: dict[str, Figures] = {side: {} for side in SIDES}
    for number in range(rounds):
        for side in SIDES[number % len(SIDES) :] + SIDES[: number % len(SIDES)]:
            for what, values in _measured(kubeconfig, side, count, parallel).items():
                found[side].setdefault(what, []).extend(values)
    return found


def _beside(peer: str, alone: dict[str, Figures], crowd: dict[str, Figures]) -> Iterator[Row]:
    name = f"KubeSpawner {peer}"

    def row(what: str, unit: str, of: dict[str, Figures], figure: str, percent: int, aim: float | None = None) -> Row:
        return Row(what, name, unit, _p(of["afkit"][figure], percent), _p(of[peer][figure], percent), aim)

    for which, figures in (("one at a time", alone), (f"{MANY} at once", crowd)):
        yield row(f"Ready noticed, {which}, p50", "ms", figures, "ready", 50, 0.1)
        yield row(f"Ready noticed, {which}, p99", "ms", figures, "ready", 99)
        yield row(f"gone noticed, {which}, p50", "ms", figures, "gone", 50, 0.1)
        yield row(f"gone noticed, {which}, p99", "ms", figures, "gone", 99)
    yield row(f"{MANY} starts at once, wall", "s", crowd, "wall", 50)
    yield row(f"{MANY} starts at once, spawner's CPU each", "ms", crowd, "spawner", 50, 0.25)
    yield row(f"{MANY} starts at once, whole hub's CPU each", "ms", crowd, "hub", 50)
    yield Row("failures in all", name, "", sum(crowd["afkit"]["failed"]), sum(crowd[peer]["failed"]))


def _p(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))] if ordered else float("nan")


@contextmanager
def _cluster() -> Iterator[Path]:
    from tools.kubernetes.api import kubeconfig_from_environment

    given = kubeconfig_from_environment()
    if given is not None:
        yield given
        return
    from afkit.facility.load import load_facility
    from tools.cache import home
    from tools.kubernetes.start import start
    from tools.kubernetes.stop import stop

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    state = home() / "clusters" / "bench"
    facility = load_facility(Path(__file__).parents[1] / "tests" / "cluster" / "facility.yaml")
    try:
        yield start(state, say=say, facility=facility, bound=True).kubeconfig
    finally:
        stop(state, say=say)


def _measured(kubeconfig: Path, side: str, count: int, parallel: int) -> Figures:
    """One side in a namespace of its own, beside the truth."""
    namespace = f"bench-{secrets.token_hex(4)}"
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(Path(__file__).parents[1])}

    def run(module: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    with run("benchmarks.ready", namespace) as truth:
        assert truth.stdout is not None and truth.stdin is not None
        truth.stdout.readline()
        with run("benchmarks.ready_hub", side, namespace, str(count), str(parallel)) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.read())
        truth.stdin.close()
        true = json.loads(truth.stdout.read())
    for failure in told["failures"][:3]:
        print(f"{side}: {failure}", file=sys.stderr)
    return {
        "ready": _late(told["returned"], true["ready"]),
        "gone": _late(told["stopped"], true["gone"]),
        "failed": [float(count - len(told["returned"]))],
        **{what: [told[what]] for what in ("wall", "spawner", "hub")},
    }


def _late(returned: dict[str, float], true: dict[str, float]) -> list[float]:
    """Milliseconds between what was true and what was noticed."""
    return [max(0.0, at - true[name]) * 1000 for name, at in returned.items() if name in true]


async def _truth(namespace: str) -> None:
    """Make the namespace, note when each of its pods is seen Ready and gone, until the input ends; then remove it."""
    from afkit.kube.client import Kubernetes
    from afkit.kube.deadline import Deadline
    from afkit.kube.watch import SharedWatch

    seen: dict[str, dict[str, float]] = {"ready": {}, "gone": {}}
    tasks: set[asyncio.Task[None]] = set()

    async def open_gate(name: str) -> None:
        await asyncio.sleep(STARTS)
        # a side under load may make a pod twice, and delete the first
        with suppress(KubernetesError):
            await kube.patch("Pod", name, namespace, {"spec": {"schedulingGates": []}})

    def note(change: str, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if change == "ADDED":
            tasks.add(asyncio.ensure_future(open_gate(name)))
        conditions = pod["status"].get("conditions") or ()
        if change == "DELETED":
            seen["gone"][name] = time.monotonic()
        elif any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            seen["ready"].setdefault(name, time.monotonic())

    async with await Kubernetes.connect() as kube:
        await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        watches = {kind: SharedWatch(kube, kind, namespace=namespace) for kind in ("Pod", "ServiceAccount")}
        for watch in watches.values():
            await watch.start()
        watches["Pod"].subscribe(note)
        deadline = Deadline.after(30, "the namespace")
        await watches["Pod"].ready(deadline)
        await watches["ServiceAccount"].until((namespace, "default"), lambda one: one is not None, deadline)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "afkit-session", "namespace": namespace}}
        await kube.create(account)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(seen))
        await kube.delete("Namespace", namespace)
        for watch in watches.values():
            await watch.close()


if __name__ == "__main__":
    asyncio.run(_truth(sys.argv[1]))
