"""Enforces NetworkPolicies for real packets: watches what they depend on, and loads one nftables table whenever it changes.

Run inside the cluster's network: ``python -m tools.kubernetes.standins.policies KUBECONFIG NETWORK``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.kube.watch import SharedWatch
from tools.kubernetes.standins.rules import TABLE, World, endpoint_of, pod_of, table

log = logging.getLogger("policies")
DNS = {"k8s-app": "kube-dns"}
START = 60.0


async def main(kubeconfig: str, network: str) -> None:
    """Keep the table up to date, for ever."""
    if await nft(f"list table inet {TABLE}"):
        await load(table(World(network, (), {}, {})))  # until more is known, nothing passes
    changed = asyncio.Event()
    async with await Kubernetes.connect(kubeconfig) as kube:
        watches = {
            "pods": SharedWatch(kube, "Pod", project=partial(_reachable, network=network)),
            "namespaces": SharedWatch(kube, "Namespace", project=_labels),
            "policies": SharedWatch(kube, "NetworkPolicy"),
            "dns": SharedWatch(kube, "EndpointSlice", namespace="kube-system", labels="kubernetes.io/service-name=kube-dns"),
        }
        for watch in watches.values():
            watch.subscribe(lambda _change, _obj: changed.set())
            await watch.start()
        for watch in watches.values():
            await watch.ready(Deadline.after(START))
        loaded = ""
        while True:
            changed.clear()
            wanted = table(seen(watches, network))
            if wanted != loaded:
                began = time.perf_counter()
                await load(wanted)
                loaded = wanted
                log.info("loaded %d lines in %.0f ms", wanted.count("\n"), 1000 * (time.perf_counter() - began))
            await changed.wait()


def seen(watches: Mapping[str, SharedWatch], network: str) -> World:
    """The world as the watches have it now."""
    pods = [pod for obj in watches["pods"].objects.values() if (pod := pod_of(obj, network))]
    pods += [pod for piece in watches["dns"].objects.values() for pod in endpoint_of(piece, DNS)]
    namespaces = {name: obj["metadata"].get("labels", {}) for (_, name), obj in watches["namespaces"].objects.items()}
    policies: dict[str, list[Mapping[str, Any]]] = {}
    for (namespace, _), policy in sorted(watches["policies"].objects.items()):
        policies.setdefault(namespace, []).append(policy)
    return World(network, sorted(pods, key=lambda pod: pod.address), namespaces, policies)


def _reachable(obj: Mapping[str, Any], network: str) -> dict[str, Any] | None:
    """Only what has an address here: a cluster may have many pods on nodes that do not exist."""
    if pod_of(obj, network) is None:
        return None
    containers = {key: obj["spec"].get(key) or [] for key in ("initContainers", "containers")}
    status = {"podIP": obj["status"]["podIP"], "phase": obj["status"].get("phase")}
    return {"metadata": _meta(obj), "spec": containers, "status": status}


def _labels(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": _meta(obj)}


def _meta(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {key: obj["metadata"][key] for key in ("namespace", "name", "labels") if key in obj["metadata"]}


async def load(text: str) -> None:
    """Replace the table; raises with what nft says of it."""
    if said := await nft("-f -", text):
        raise RuntimeError(f"{said}\n{text}")


async def nft(arguments: str, text: str = "") -> str:
    """Run nft; what it says where it fails, else nothing."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("nft", *arguments.split(), stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
    _, said = await process.communicate(text.encode())
    return said.decode() or f"nft ended with {process.returncode}" if process.returncode else ""


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(main(*sys.argv[1:]))
