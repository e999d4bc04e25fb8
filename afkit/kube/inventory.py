"""What exists now of every pool, for the resolver: from nodes and pods, or from the file where nodes may not be seen.

`inventory` is pure; `Stock` keeps it up to date from two shared watches.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from afkit.facility.model import Accelerator, Facility, Pool
from afkit.kube.nodes import NodeUse, node_uses, nodes_of, untolerated
from afkit.kube.project import CLAIMS, requests_of
from afkit.kube.watch import SharedWatch
from afkit.names import FACILITY_LABEL, POOL_LABEL
from afkit.policy.capacity import declared
from afkit.policy.model import Inventory, PoolState

__all__ = ["Stock", "inventory", "inventory_without_nodes", "state_of"]

_KEPT_SECONDS: Final = 0.5


def inventory(facility: Facility, nodes: Iterable[NodeUse]) -> Inventory:
    """The state of every pool by the nodes that exist."""
    known = tuple(nodes)
    return Inventory({pool.name: state_of(pool, nodes_of(pool, known)) for pool in facility.pools.values()})


def state_of(pool: Pool, nodes: tuple[NodeUse, ...]) -> PoolState:
    """The state of a pool with these nodes. An autoscaler's pool can grow up to its most; any other is what it is now."""
    usable = tuple(filter(partial(_takes, pool), nodes))
    grows, unit = _grows(pool, len(nodes)), pool.accelerator
    if not usable and not grows:
        return PoolState(False, _why_not(pool, nodes), None if unit is None else 0)
    if unit is None:
        return PoolState()
    free = _free(unit, usable)
    if grows:
        free = None if free is None or unit.per_node is None else [*free, *[unit.per_node] * grows]
    return PoolState() if free is None else PoolState(free=sum(free), most=max(free, default=0))


def _takes(pool: Pool, node: NodeUse) -> bool:
    return node.usable and not untolerated(node, pool)


def inventory_without_nodes(facility: Facility, pods: Iterable[Mapping[str, Any]]) -> Inventory:
    """The state by the numbers that the file declares, less what the facility's own pods take of a pool."""
    taken: dict[str, int] = {}
    for pod in pods:
        pool = facility.pools.get(_pool_of(pod, facility.name))
        if pool is not None and pool.accelerator is not None and not _over(pod):
            taken[pool.name] = taken.get(pool.name, 0) + requests_of(pod).get(pool.accelerator.resource or CLAIMS, 0)
    return Inventory({name: _less(state, taken.get(name, 0)) for name, state in declared(facility).pools.items()})


def _pool_of(pod: Mapping[str, Any], facility: str) -> str:
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get(POOL_LABEL, "")) if labels.get(FACILITY_LABEL) == facility else ""


def _less(state: PoolState, units: int) -> PoolState:
    return state if state.free is None else PoolState(state.available, state.why, max(0, state.free - units))


def _over(pod: Mapping[str, Any]) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def _grows(pool: Pool, now: int) -> int:
    """How many nodes an autoscaler may still add."""
    low, high = pool.nodes or (0, 0)
    return max(0, high - now) if low < high else 0


def _free(unit: Accelerator, nodes: tuple[NodeUse, ...]) -> list[int] | None:
    """The free units of each node; ``None``: nobody knows."""
    if unit.resource is not None:
        return [node.free(unit.resource) for node in nodes]
    if unit.per_node is None:
        return None
    # devices are in no node's own figures: what the file says of a node, less one for each claim of a pod there
    return [max(0, unit.per_node - node.taken.get(CLAIMS, 0)) for node in nodes]


def _why_not(pool: Pool, nodes: tuple[NodeUse, ...]) -> str:
    if not nodes:
        return f"Pool {pool.name} has no nodes now."
    one = len(nodes) == 1
    subject = f"The only node of pool {pool.name}" if one else f"All {len(nodes)} nodes of pool {pool.name}"
    if not any(node.ready for node in nodes):
        return f"{subject} {'does' if one else 'do'} not answer now."
    takes = "takes" if one else "take"
    return f"{subject} {_serviced(nodes, takes) or _tainted(pool, nodes, takes) or f'{takes} no servers now'}."


def _serviced(nodes: tuple[NodeUse, ...], takes: str) -> str:
    """The end of a sentence, as of `_tainted`; empty where not all nodes are cordoned."""
    cordoned = all(node.ready and node.cordoned for node in nodes)
    return f"{'is' if len(nodes) == 1 else 'are'} being serviced now and {takes} no new servers" if cordoned else ""


def _tainted(pool: Pool, nodes: tuple[NodeUse, ...], takes: str) -> str:
    """Which taints keep servers away, as the end of a sentence; empty where none does."""
    taints = ", ".join(sorted({taint for node in nodes if node.usable for taint in untolerated(node, pool)}))
    if not taints:
        return ""
    has = "has" if len(nodes) == 1 else "have"
    others = "" if all(node.usable for node in nodes) else f", or {takes} no servers now"
    return f"{has} a taint that the facility file does not name ({taints}){others}"


class Stock:
    """The inventory as two watches tell it; computed when asked for, at most twice a second."""

    def __init__(self, pods: SharedWatch, nodes: SharedWatch | None) -> None:
        self._pods = pods
        self._nodes = nodes
        self._changed = True
        self._at = 0.0
        self._uses: tuple[NodeUse, ...] = ()
        self._kept: tuple[str, Inventory] | None = None
        self._ends = [watch.subscribe(self._note) for watch in (pods, nodes) if watch is not None]

    def close(self) -> None:
        """Hear no more of the watches."""
        for end in self._ends:
            end()

    def _note(self, change: str, obj: dict[str, Any]) -> None:  # noqa: ARG002  # what changed does not matter
        self._changed = True

    def nodes(self) -> tuple[NodeUse, ...] | None:
        """Every node with what is taken of it now; ``None``: nodes may not be seen."""
        if self._nodes is None or not self._nodes.synced:
            return None
        now = time.monotonic()
        if self._changed and now - self._at >= _KEPT_SECONDS:
            self._uses = node_uses(self._nodes.objects.values(), self._pods.objects.values())
            self._changed, self._at, self._kept = False, now, None
        return self._uses

    def inventory(self, facility: Facility) -> Inventory:
        """What exists now of the facility's pools."""
        nodes = self.nodes()
        if nodes is None:
            return inventory_without_nodes(facility, self._pods.objects.values())
        if self._kept is None or self._kept[0] != facility.digest:
            self._kept = (facility.digest, inventory(facility, nodes))
        return self._kept[1]
