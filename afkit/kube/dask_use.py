"""What the pods of Dask clusters take of their owner's limits, as `afkit.kube.project` keeps pods."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.kube.project import CLAIMS, requests_of
from afkit.kube.watch import Key, SharedWatch
from afkit.names import CLUSTER_LABEL, FACILITY_LABEL, OWNER_LABEL, POOL_LABEL
from afkit.policy.model import Usage, Use

__all__ = ["COMPONENT", "DaskPods", "dask_usage", "is_dask"]

COMPONENT: Final = "dask.org/component"
_OVER: Final = frozenset(("Succeeded", "Failed"))


def is_dask(pod: Mapping[str, Any], facility: str) -> bool:
    """Whether a pod is a scheduler or worker of this facility's."""
    labels = pod["metadata"].get("labels") or {}
    return labels.get(FACILITY_LABEL) == facility and labels.get(COMPONENT) in ("scheduler", "worker")


class DaskPods:
    """The schedulers and workers of a facility by owner, as a watch tells of them: each decision looks at one person's alone."""

    def __init__(self, pods: SharedWatch, facility: str) -> None:
        self._facility = facility
        self._by_owner: dict[str, dict[Key, Mapping[str, Any]]] = {}
        self.close = pods.subscribe(self._note)

    def of(self, owner: str) -> Collection[Mapping[str, Any]]:
        """Those of the person with this digest."""
        return self._by_owner.get(owner, {}).values()

    def _note(self, change: str, pod: dict[str, Any]) -> None:
        if not is_dask(pod, self._facility):
            return
        about = pod["metadata"]
        owner, key = str(about["labels"].get(OWNER_LABEL, "")), (about.get("namespace", ""), about["name"])
        theirs = self._by_owner.setdefault(owner, {})
        theirs.pop(key, None)
        if change != "DELETED":
            theirs[key] = pod
        elif not theirs:
            del self._by_owner[owner]


def dask_usage(facility: Facility, pods: Iterable[Mapping[str, Any]]) -> Usage:
    """What these schedulers and workers take; a cluster is counted by its scheduler."""
    uses = tuple(_use(facility, pod) for pod in pods if (pod.get("status") or {}).get("phase") not in _OVER)
    return Usage(uses, clusters=sum(use.kind == "scheduler" for use in uses))


def _use(facility: Facility, pod: Mapping[str, Any]) -> Use:
    labels, requests = pod["metadata"]["labels"], requests_of(pod)
    pool = facility.pools.get(str(labels.get(POOL_LABEL, "")))
    unit = pool.accelerator if pool is not None else None
    units = requests.get(unit.resource or CLAIMS, 0) if unit is not None else 0
    name, where = str(labels.get(CLUSTER_LABEL, "")), pool.name if pool is not None else ""
    kind: Any = labels[COMPONENT]
    return Use(kind, name, requests.get("cpu", 0), requests.get("memory", 0), where, units)
