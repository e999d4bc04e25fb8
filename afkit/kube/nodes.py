"""Nodes with what is taken of them, and which of them belong to a pool. Pure.

Everything here reads objects as `afkit.kube.project` keeps them; each node is counted once, however many pools select it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import Pool
from afkit.kube.amounts import Amounts, amounts
from afkit.kube.project import requests_of
from afkit.pods.placement import node_labels, placement

__all__ = ["NodeUse", "node_uses", "nodes_of", "tolerates", "untolerated"]

_OVER: Final = frozenset(("Succeeded", "Failed"))
_KEEPS_AWAY: Final = frozenset(("NoSchedule", "NoExecute"))
_OF_STATE: Final = "node.kubernetes.io/"
"""Taints that Kubernetes itself sets while a node is cordoned, lost or short of something: they say what `NodeUse` says already."""


@dataclass(frozen=True, slots=True)
class NodeUse:
    """One node: labels, taints, whether it answers (``ready``) and takes pods (not ``cordoned``), what it offers and what is taken."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, Any], ...] = ()
    ready: bool = True
    cordoned: bool = False
    offers: Amounts = field(default_factory=dict)
    taken: Amounts = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether new pods may come."""
        return self.ready and not self.cordoned

    def free(self, resource: str) -> int:
        """What nobody has taken."""
        return max(0, self.offers.get(resource, 0) - self.taken.get(resource, 0))


def node_uses(nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> tuple[NodeUse, ...]:
    """Every node with what the pods that are bound to it take, by name."""
    taken: dict[str, dict[str, int]] = {}
    for pod in pods:
        name = pod["spec"].get("nodeName")
        if name and pod["status"].get("phase") not in _OVER:
            total = taken.setdefault(name, {})
            for resource, amount in requests_of(pod).items():
                total[resource] = total.get(resource, 0) + amount
    return tuple(_use(node, taken.get(node["metadata"]["name"], {})) for node in sorted(nodes, key=lambda one: one["metadata"]["name"]))


def _use(node: Mapping[str, Any], taken: Amounts) -> NodeUse:
    metadata, spec, status = node["metadata"], node["spec"], node["status"]
    ready = next((one.get("status") for one in status["conditions"]), "Unknown")
    return NodeUse(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        taints=tuple(spec.get("taints") or ()),
        ready=ready == "True",
        cordoned=bool(spec.get("unschedulable")) or "deletionTimestamp" in metadata,
        offers=amounts(status["allocatable"]),
        taken=taken,
    )


def nodes_of(pool: Pool, nodes: Iterable[NodeUse]) -> tuple[NodeUse, ...]:
    """The nodes that the pool selects by their labels, usable or not."""
    wanted = node_labels(pool).items()
    return tuple(node for node in nodes if all(node.labels.get(key) == value for key, value in wanted))


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration of a pod lets a taint of a node pass, by Kubernetes' own rules."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(node: NodeUse, tolerations: Iterable[Mapping[str, Any]] | Pool) -> tuple[str, ...]:
    """The taints of a node that keep a pod (or the pods of a pool) away, as ``key=value:effect``; those of its state not among them."""
    known = placement(tolerations).get("tolerations", ()) if isinstance(tolerations, Pool) else tuple(tolerations)
    return tuple(
        f"{taint['key']}{'=' if taint.get('value') else ''}{taint.get('value') or ''}:{taint['effect']}"
        for taint in node.taints
        if taint.get("effect") in _KEEPS_AWAY and not taint["key"].startswith(_OF_STATE) and not any(tolerates(one, taint) for one in known)
    )
