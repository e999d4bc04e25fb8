"""What the pods of Dask clusters take of their owner's limits, as `afkit.kube.project` keeps pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.kube.amounts import amounts
from afkit.names import CLUSTER_LABEL, FACILITY_LABEL, POOL_LABEL
from afkit.policy.model import Usage, Use

__all__ = ["COMPONENT", "dask_usage", "is_dask"]

COMPONENT: Final = "dask.org/component"
_OVER: Final = frozenset(("Succeeded", "Failed"))


def is_dask(pod: Mapping[str, Any], facility: str) -> bool:
    """Whether a pod is a scheduler or worker of this facility's."""
    labels = pod["metadata"].get("labels") or {}
    return labels.get(FACILITY_LABEL) == facility and labels.get(COMPONENT) in ("scheduler", "worker")


def dask_usage(facility: Facility, pods: Iterable[Mapping[str, Any]]) -> Usage:
    """What these schedulers and workers take; a cluster is counted by its scheduler."""
    uses = tuple(_use(facility, pod) for pod in pods if (pod.get("status") or {}).get("phase") not in _OVER)
    return Usage(uses, clusters=sum(use.kind == "scheduler" for use in uses))


def _use(facility: Facility, pod: Mapping[str, Any]) -> Use:
    labels = pod["metadata"]["labels"]
    requests: dict[str, int] = {}
    for container in pod["spec"].get("containers") or ():
        for resource, amount in amounts((container.get("resources") or {}).get("requests")).items():
            requests[resource] = requests.get(resource, 0) + amount
    pool = facility.pools.get(str(labels.get(POOL_LABEL, "")))
    unit = pool.accelerator.resource if pool is not None and pool.accelerator is not None else None
    kind: Any = labels[COMPONENT]
    name, where = str(labels.get(CLUSTER_LABEL, "")), pool.name if pool is not None else ""
    return Use(kind, name, requests.get("cpu", 0), requests.get("memory", 0), where, requests.get(unit, 0) if unit else 0)
