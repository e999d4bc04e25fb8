"""What the facility file says of its pools beside the nodes that exist. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility, Pool
from afkit.kube.findings import Found
from afkit.kube.nodes import NodeUse, nodes_of, untolerated
from afkit.pods.placement import ARCH_LABEL, node_labels
from afkit.quantities import format_cpu, format_memory

__all__ = ["pools_beside"]

_MOST_NAMED: Final = 5


def pools_beside(facility: Facility, nodes: Iterable[NodeUse]) -> tuple[Found, ...]:
    """One line a pool: labels, taints, sizes and accelerators as the file says them, or what differs and how to mend it."""
    known = tuple(nodes)
    return tuple(_pool(pool, nodes_of(pool, known), known) for pool in facility.pools.values())


def _pool(pool: Pool, own: tuple[NodeUse, ...], nodes: tuple[NodeUse, ...]) -> Found:
    name = f"pool {pool.name}"
    if not own:
        return _empty(name, pool, nodes)
    kept_away = _taints(pool, own)
    # those of another pool that this one's labels happen to select are none of its own
    reached = tuple(node for node in own if not untolerated(node, pool))
    bad = [] if reached else kept_away
    own = reached or own
    bad = [*bad, *_sizes(pool, own), *_accelerators(pool, own), *_idle(own)]
    if bad:
        return Found(name, "bad", bad[0], "Change the pool in the facility file, or the nodes.", tuple(bad[1:]))
    return _good(name, pool, reached, kept_away)


def _good(name: str, pool: Pool, reached: tuple[NodeUse, ...], kept_away: list[str]) -> Found:
    usable = [node.name for node in reached if node.usable]
    idle = [f"{node.name}: no new servers now." for node in reached if not node.usable]
    text = f"{len(usable)} node{'' if len(usable) == 1 else 's'} ({_named(usable)})"
    return Found(name, "ok", f"{text}{_units(pool, reached)}.", "", (*kept_away, *_unguarded(pool, reached), *idle))


def _idle(own: tuple[NodeUse, ...]) -> list[str]:
    if any(node.usable for node in own):
        return []
    return [f"None of its nodes takes servers now: {_named([node.name for node in own])} do not answer or are cordoned."]


def _empty(name: str, pool: Pool, nodes: tuple[NodeUse, ...]) -> Found:
    low, high = pool.nodes or (1, 1)
    if high == 0:
        return Found(name, "ok", "It has no nodes, as the file says.")
    if low == 0:
        return Found(name, "unknown", "It has no node now; whether the autoscaler can start one shows only when somebody asks for it.")
    others = _of_another_arch(pool, nodes)
    if others:
        return Found(name, "bad", others, "Correct arch or node_selector in the facility file.")
    return _unlabelled(name, _written(node_labels(pool)), nodes)


def _unlabelled(name: str, labels: list[str], nodes: tuple[NodeUse, ...]) -> Found:
    present = {label for node in nodes for label in _written(node.labels)}
    missing = [label for label in labels if label not in present]
    if missing:
        further = tuple(f"No node has {one} either." for one in missing[1:])
        return Found(name, "bad", f"No node has the label {missing[0]}.", f"kubectl label node NODE {missing[0]}", further)
    message = f"No node has all of its labels together: {', '.join(labels)}."
    return Found(name, "bad", message, "Label the nodes, or correct node_selector and arch.")


def _of_another_arch(pool: Pool, nodes: tuple[NodeUse, ...]) -> str:
    """What contradicts the pool's architecture: nodes that its own labels select and that are of another."""
    wanted = {key: value for key, value in node_labels(pool).items() if key != ARCH_LABEL}
    others = [one for one in nodes if wanted.items() <= one.labels.items()]
    if not others or not wanted:
        return ""
    found = sorted({one.labels.get(ARCH_LABEL) or "of no known architecture" for one in others})
    return f"The file says that its nodes are {pool.arch}; {_named([one.name for one in others])}: {', '.join(found)}."


def _unguarded(pool: Pool, own: tuple[NodeUse, ...]) -> list[str]:
    """Taints that the file says its nodes have, and some have not: servers of other pools may take their room."""
    missing = []
    for taint in pool.taints:
        without = [one.name for one in own if not any(_same(taint, found) for found in one.taints)]
        if without:
            written = f"{taint['key']}={taint.get('value') or ''}:{taint['effect']}"
            missing.append(f"{_named(without)}: without the taint {written} that the file names; servers of other pools may come there.")
    return missing


def _same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all((wanted.get(key) or "") == (found.get(key) or "") for key in ("key", "value", "effect"))


def _written(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in labels.items()]


def _taints(pool: Pool, own: tuple[NodeUse, ...]) -> list[str]:
    by_taint: dict[str, list[str]] = {}
    for node in own:
        for taint in untolerated(node, pool):
            by_taint.setdefault(taint, []).append(node.name)
    return [f"The taint {taint} keeps servers away from {_named(names)}: name it under taints." for taint, names in by_taint.items()]


def _sizes(pool: Pool, own: tuple[NodeUse, ...]) -> list[str]:
    bad = []
    for resource, declared, written in (
        ("cpu", pool.node.cpu, format_cpu),
        ("memory", pool.node.memory, format_memory),
        ("ephemeral-storage", pool.node.ephemeral_storage, format_memory),
    ):
        small = [node for node in own if declared is not None and node.offers.get(resource, 0) < declared]
        if small and declared is not None:
            least = min(node.offers.get(resource, 0) for node in small)
            names = _named([node.name for node in small])
            text = f"The file says that a node offers {written(declared)} {resource}; {names} offers {written(least)}"
            bad.append(f"{text}: servers of that size never start there.")
    return bad


def _accelerators(pool: Pool, own: tuple[NodeUse, ...]) -> list[str]:
    unit = pool.accelerator
    if unit is None or unit.resource is None:
        return []
    without = [node.name for node in own if not node.offers.get(unit.resource)]
    if without:
        return [
            f"{_named(without)} does not offer {unit.resource}: the device plugin does not run there, or the resource has another name."
        ]
    other = sorted({node.offers[unit.resource] for node in own} - {unit.per_node})
    if unit.per_node is not None and other:
        return [f"The file says {unit.per_node} {unit.resource} a node; there are nodes with {', '.join(str(one) for one in other)}."]
    return []


def _units(pool: Pool, own: tuple[NodeUse, ...]) -> str:
    unit = pool.accelerator
    if unit is None or unit.resource is None:
        return ""
    all_of_it = sum(node.offers.get(unit.resource, 0) for node in own)
    return f", {sum(node.free(unit.resource) for node in own)} of {all_of_it} {unit.resource} free"


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"
