"""Why no node has taken a pod: what the pool has, what is taken of it, and what the scheduler says. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Pool
from afkit.kube.amounts import Amounts
from afkit.kube.nodes import NodeUse, nodes_of, untolerated
from afkit.kube.pending_model import ADMIN, Facts, Pending, ago, claims_of, cut
from afkit.kube.project import CLAIMS, requests_of
from afkit.pods.placement import node_labels
from afkit.quantities import format_cpu, format_memory

__all__ = ["explain_place"]

_TAINTED: Final = "has the taint"
_SLOW_SCHEDULER: Final = 10.0
_CLAIM_MISSING: Final = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_UNBOUND: Final = re.compile(r"unbound immediate PersistentVolumeClaims|didn't find available persistent volumes to bind|being deleted")
_BYTES: Final = ("memory", "ephemeral-storage")
_WORDS: Final = {"cpu": "CPU", "memory": "memory", "ephemeral-storage": "disk", "pods": "places for pods", CLAIMS: "free devices"}
_WAIT: Final = "It starts by itself as soon as there is room; or stop it and take another pool or a smaller size."


def explain_place(facts: Facts) -> Pending:
    """Why the pod has no node yet."""
    condition = facts.condition("PodScheduled")
    said = str(condition.get("message") or "")
    if condition.get("reason") == "SchedulingGated" or facts.pod["spec"].get("schedulingGates"):
        return Pending("queued", "The server waits in the cluster's queue for its turn.", "It starts by itself.", progress=5)
    if condition.get("status") != "False":
        return _unseen(facts)
    if facts.last("TriggeredScaleUp", "Nominated") is not None:
        return Pending(
            "new-node", f"A new node is being started for this server{_of(facts.pool)}.", "This takes some minutes.", progress=10
        )
    found = _claims(facts, said)
    if found is None and facts.pool is not None and facts.nodes is not None:
        found = _by_nodes(facts, facts.pool, nodes_of(facts.pool, facts.nodes))
    return found or Pending("no-node", f"No node can take this server{_of(facts.pool)} now: {_scheduler(said)}.", _WAIT, progress=5)


def _unseen(facts: Facts) -> Pending:
    if facts.silence < _SLOW_SCHEDULER:
        return Pending("placing", "A node is being looked for.", progress=5)
    message = f"The cluster's scheduler has said nothing about this server for {ago(facts.silence)}."
    return Pending("scheduler", message, facts.ask, who=ADMIN, progress=5)


def _of(pool: Pool | None) -> str:
    return f" of pool {pool.name}" if pool is not None else ""


def _scheduler(said: str) -> str:
    # what follows is about preemption, which says the same once more
    return cut(said.partition(" preemption:")[0].rstrip(". ")) or "the scheduler does not say why"


def _claims(facts: Facts, said: str) -> Pending | None:
    missing = _CLAIM_MISSING.search(said)
    if missing is not None:
        message = f"The storage claim {missing[1]} does not exist."
        return Pending("volume", message, facts.ask, who=ADMIN, progress=5)
    if not _UNBOUND.search(said):
        return None
    claims = claims_of(facts.pod)
    for claim, called in claims.items():
        bad = [event.get("message") for event in facts.claims.get(claim, ()) if event.get("type") == "Warning"]
        if bad:
            message = f"There is no storage for {called}: {cut(str(bad[-1]).rstrip('.'))}."
            return Pending("volume", message, facts.ask, who=ADMIN, progress=5)
    message = f"Its storage is not there yet (claims: {', '.join(claims)})."
    return Pending("volume", message, "New storage takes some seconds; if it takes longer, the storage class may not answer.", progress=5)


def _by_nodes(facts: Facts, pool: Pool, nodes: tuple[NodeUse, ...]) -> Pending | None:
    low, high = pool.nodes or (0, 0)
    grows = low < high
    if not nodes:
        return _no_nodes(facts, pool, grows)
    wants = requests_of(facts.pod)
    tolerations = facts.pod["spec"].get("tolerations", ())
    groups = Counter(_obstacle(node, tolerations, wants) for node in nodes)
    if "" in groups:
        # by its figures a node could take it: the scheduler knows more (affinity, ports, volumes of another zone)
        return None
    message = f"No node of pool {pool.name} can take this server ({_wants(wants)}). The pool has {_groups(groups, len(nodes))}."
    if all(why.startswith(_TAINTED) for why in groups):
        return Pending("taint", message, f"The facility file does not name this taint. {facts.ask}", who=ADMIN, progress=5)
    if grows:
        return Pending("no-node", message, "It starts when the autoscaler has added a node, or when there is room.", progress=5)
    if all(_never(node, wants) for node in nodes):
        return Pending("too-large", message, "No node of it is large enough even when empty: take a smaller size.", who="you", final=True)
    return Pending("no-node", message, _WAIT, progress=5)


def _groups(groups: Mapping[str, int], all_of_them: int) -> str:
    many = "1 node" if all_of_them == 1 else f"{all_of_them} nodes"
    return f"{many}: {'; '.join(f'{_count(some, all_of_them)} {why}' for why, some in groups.items())}"


def _no_nodes(facts: Facts, pool: Pool, grows: bool) -> Pending:
    if grows:
        return Pending(
            "no-node", f"Pool {pool.name} has no node now; the autoscaler may start one.", "This takes some minutes.", progress=5
        )
    wanted = ", ".join(f"{key}={value}" for key, value in node_labels(pool).items())
    return Pending("no-node", f"Pool {pool.name} has no nodes: none in the cluster has {wanted}.", facts.ask, who=ADMIN, progress=5)


def _count(some: int, of: int) -> str:
    return "it" if of == 1 else "each" if some == of else "one" if some == 1 else f"{some} of them each"


def _obstacle(node: NodeUse, tolerations: Iterable[Mapping[str, Any]], wants: Amounts) -> str:
    """Why this node cannot take it; empty where it seems to be able to."""
    if not node.ready:
        return "does not answer"
    if node.cordoned:
        return "is being serviced and takes nothing new"
    taints = untolerated(node, tolerations)
    if taints:
        return f"{_TAINTED} {taints[0]}"
    for resource, amount in wants.items():
        if resource != CLAIMS and amount > node.free(resource):
            return _lacks(node, resource, amount)
    return ""


def _lacks(node: NodeUse, resource: str, amount: int) -> str:
    offers = node.offers.get(resource, 0)
    word = _WORDS.get(resource, resource)
    if not offers:
        return f"has no {word}"
    if amount > offers:
        return f"has only {_amount(resource, offers)} {word} in all"
    return f"has {_amount(resource, node.free(resource))} of {_amount(resource, offers)} {word} free"


def _never(node: NodeUse, wants: Amounts) -> bool:
    return any(amount > node.offers.get(resource, 0) for resource, amount in wants.items() if resource != CLAIMS)


def _wants(wants: Amounts) -> str:
    return ", ".join(
        f"{_amount(resource, amount)} {_WORDS.get(resource, resource)}"
        for resource, amount in wants.items()
        if resource not in ("pods", CLAIMS)
    )


def _amount(resource: str, amount: int) -> str:
    if resource == "cpu":
        return format_cpu(amount)
    if resource in _BYTES:
        # a node's memory is a crooked number of KiB
        return format_memory(amount) if amount % 2**20 == 0 else f"{amount / 2**30:.1f}Gi"
    return str(amount)
