"""The cluster's nodes as a facility's pools ask for them (pure): what the real one is labelled with, and which fake ones there are."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from afkit.facility.model import Pool
from afkit.pods.placement import ARCH_LABEL, node_labels
from afkit.quantities import format_cpu, format_memory

FAKE = "kwok.x-k8s.io/node"
"""Annotation and taint of fake nodes; a pool that tolerates the taint is one of fake nodes alone."""
POOL = "afkit.io/pool"
"""Annotation of fake nodes: the pool for which they were made."""
RESOURCE_API = "resource.k8s.io/v1"
DRIVER = "devices.example.org"
"""Of devices that are only counted."""
FAKE_TAINT = {"key": FAKE, "value": "fake", "effect": "NoSchedule"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "amd64": "amd64", "arm64": "arm64"}
SPACIOUS = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "400Gi"}
"""A fake node of a pool that does not say what its nodes have."""


@dataclass(frozen=True, slots=True)
class RealNode:
    """What the real node is given: labels, extended resources, and the pools that it serves by them."""

    labels: Mapping[str, str]
    resources: Mapping[str, str]
    pools: tuple[str, ...]


def architecture(machine: str | None = None) -> str:
    """The machine's architecture as Kubernetes names it."""
    machine = machine or platform.machine()
    return ARCHITECTURES.get(machine, machine)


def real_node(pools: Iterable[Pool], arch: str) -> RealNode:
    """The labels and resources with which one node serves as many pools as can be.

    Left out are pools of another architecture, those that tolerate the fake nodes' taint, those whose devices need a driver, and
    those that want another value of a label than a pool before them. Taints stay off: the node serves pools that do not tolerate them.
    """
    labels: dict[str, str] = {}
    resources: dict[str, str] = {}
    served = []
    for pool in pools:
        wanted = node_labels(pool)
        if pool.arch != arch or only_fake(pool) or any(labels.get(key, value) != value for key, value in wanted.items()):
            continue
        if pool.accelerator is not None and pool.accelerator.device_class is not None:
            continue
        labels |= wanted
        resources = extended(pool) | resources
        served.append(pool.name)
    return RealNode({key: value for key, value in labels.items() if key != ARCH_LABEL}, resources, tuple(served))


def only_fake(pool: Pool) -> bool:
    """Whether the pool's own tolerations let its pods run on fake nodes; then they run nowhere else."""
    return any(one.get("key") == FAKE for one in pool.tolerations)


def extended(pool: Pool) -> dict[str, str]:
    """The extended resource of a pool's nodes, as a node reports it."""
    unit = pool.accelerator
    return {unit.resource: str(unit.per_node or 1)} if unit is not None and unit.resource is not None else {}


def fake_nodes(pools: Iterable[Pool], real: RealNode, counts: Mapping[str, int]) -> tuple[Mapping[str, Any], ...]:
    """The fake nodes: of each pool as many as ``counts`` says, else, where the real node does not serve it, the fewest of the file."""
    made = []
    for pool in pools:
        fewest = pool.nodes[0] if pool.nodes else 1
        usual = 0 if pool.name in real.pools else max(1, fewest)
        made += [fake_node(pool, number) for number in range(counts.get(pool.name, usual))]
    return tuple(made)


def device_objects(pools: Iterable[Pool], nodes: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """(plural, object) of ``resource.k8s.io`` for pools whose accelerators are devices: the classes, and what each fake node has of them.

    Every device is of every class, and says its product and memory as the pool does.
    """
    made: list[tuple[str, Mapping[str, Any]]] = []
    units = {pool.name: unit for pool in pools if (unit := pool.accelerator) is not None and unit.device_class is not None}
    for name in sorted({str(unit.device_class) for unit in units.values()}):
        made.append(("deviceclasses", {"apiVersion": RESOURCE_API, "kind": "DeviceClass", "metadata": {"name": name}, "spec": {}}))
    for node in nodes:
        name = node["metadata"]["name"]
        unit = units.get(node["metadata"]["annotations"][POOL])
        if unit is None:
            continue
        told = {"product": {"string": unit.product or "unknown"}, "vendor": {"string": unit.vendor}}
        capacity = {"memory": {"value": format_memory(unit.memory)}} if unit.memory else {}
        devices = [{"name": f"device-{each}", "attributes": told, "capacity": capacity} for each in range(unit.per_node or 1)]
        pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": DRIVER, "nodeName": name, "pool": pool, "devices": devices}
        made.append(("resourceslices", {"apiVersion": RESOURCE_API, "kind": "ResourceSlice", "metadata": {"name": name}, "spec": spec}))
    return tuple(made)


def fake_node(pool: Pool, number: int) -> Mapping[str, Any]:
    """One fake node with all that the pool says of its nodes, and the taint that keeps real pods away."""
    name = f"fake-{pool.name}-{number}"
    arm = [{"key": ARCH_LABEL, "value": "arm64", "effect": "NoSchedule"}] if pool.arch == "arm64" else []
    size = {
        "cpu": format_cpu(pool.node.cpu) if pool.node.cpu else SPACIOUS["cpu"],
        "memory": format_memory(pool.node.memory) if pool.node.memory else SPACIOUS["memory"],
        "ephemeral-storage": format_memory(pool.node.ephemeral_storage) if pool.node.ephemeral_storage else SPACIOUS["ephemeral-storage"],
        "pods": "250",
        **extended(pool),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {FAKE: "fake", POOL: pool.name, "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok", **node_labels(pool)},
        },
        "spec": {"taints": [FAKE_TAINT, *arm, *(dict(taint) for taint in pool.taints)]},
        "status": {"allocatable": size, "capacity": size, "nodeInfo": {"architecture": pool.arch, "operatingSystem": "linux"}},
    }
