"""Nodes, pods, events and pools of a few words, as watches keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afkit.facility.model import Accelerator, Facility, Kubernetes, Pool
from afkit.kube.nodes import NodeUse, node_uses
from afkit.kube.project import node as kept_node, pods_of
from afkit.names import FACILITY_LABEL, POOL_LABEL

NOW = 1_800_000_000.0
GPU = "nvidia.com/gpu"
T0 = "2027-01-15T07:58:00Z"  # two minutes before NOW


def at(seconds_ago: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(NOW - seconds_ago, datetime.UTC).isoformat().replace("+00:00", "Z")


def pool(name: str = "cpu", **more: Any) -> Pool:
    more.setdefault("node_selector", {"pool": name})
    return Pool(name=name, title=name, arch=more.pop("arch", "amd64"), **more)


def gpu_pool(name: str = "gpu", **more: Any) -> Pool:
    unit = more.pop("accelerator", Accelerator(vendor="nvidia", resource=GPU, per_node=more.pop("per_node", 4)))
    return pool(name, accelerator=unit, **more)


def facility(*pools: Pool, **more: Any) -> Facility:
    kubernetes = Kubernetes(namespace="af", **more)
    return Facility(
        name="obs", title="Obs", pools={one.name: one for one in pools}, images={}, sizes={}, profiles={}, kubernetes=kubernetes
    )


def node(name: str, pool: str = "cpu", arch: str = "amd64", *, ready: str = "True", taints: Any = (), **offers: str) -> dict[str, Any]:
    raw = {
        "metadata": {"name": name, "labels": {"pool": pool, "kubernetes.io/arch": arch}, "managedFields": [{}]},
        "spec": {"taints": list(taints)},
        "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110", **{key.replace("_", "."): value for key, value in offers.items()}},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
        },
    }
    return kept_node(raw)


def gpu_node(name: str, gpus: int = 4, **more: Any) -> dict[str, Any]:
    made = node(name, more.pop("pool", "gpu"), **more)
    made["status"]["allocatable"][GPU] = str(gpus)
    return made


def pod(
    name: str = "jupyter-ada",
    *,
    node: str = "",
    cpu: str = "1",
    memory: str = "2Gi",
    gpus: int = 0,
    phase: str = "Pending",
    ours: bool = True,
    pool: str = "",
    status: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    requests = {"cpu": cpu, "memory": memory, **({GPU: str(gpus)} if gpus else {})}
    labels = {FACILITY_LABEL: "obs", POOL_LABEL: pool} if ours else {}
    raw = {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"u-{name}",
            "labels": labels,
            "creationTimestamp": at(120),
            **(metadata or {}),
        },
        "spec": {
            "containers": [{"name": "notebook", "image": "r/i:1", "resources": {"requests": requests}, "env": []}],
            **({"nodeName": node} if node else {}),
            **(spec or {}),
        },
        "status": {"phase": phase, **(status or {})},
    }
    kept = pods_of(FACILITY_LABEL, "obs")(raw)
    assert kept is not None
    return kept


def event(reason: str, message: str = "", *, ago: float = 1.0, kind: str = "Warning") -> dict[str, Any]:
    return {
        "metadata": {"name": f"e-{reason}-{ago}", "namespace": "ns"},
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": at(ago),
    }


def uses(nodes: list[dict[str, Any]], *pods: dict[str, Any]) -> tuple[NodeUse, ...]:
    return node_uses(nodes, pods)


def unscheduled(message: str, reason: str = "Unschedulable") -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": reason, "message": message, "lastTransitionTime": at(60)}]}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    container = {
        "name": "notebook",
        "image": "r/i:1",
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }
    return {"containerStatuses": [container]}
