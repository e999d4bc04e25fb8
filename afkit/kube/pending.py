"""Why a server is not there yet, in one plain sentence, with who can mend it and what to do. Pure.

`explain_pod` reads a pod, its events and the nodes; `explain_refusal` the answer with which the API server refused an object;
`explain_stop` a pod that will not go. Places, images, volumes and containers have modules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from afkit.errors import KubernetesError
from afkit.facility.model import Pool
from afkit.kube.nodes import NodeUse
from afkit.kube.pending_container import explain_containers
from afkit.kube.pending_model import ADMIN, Facts, Pending, ago, cut
from afkit.kube.pending_place import explain_place

__all__ = ["Pending", "explain_gone", "explain_pod", "explain_refusal", "explain_stop"]

_QUOTA: Final = re.compile(r"exceeded quota: (?P<name>\S+?), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<limit>[^:]+)")
_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '(?P<name>[^']+)'.*?denied request: (?P<said>.+)", re.DOTALL)
_WEBHOOK: Final = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request: (?P<said>.+)', re.DOTALL)
_SECURITY: Final = re.compile(r'violates PodSecurity "(?P<level>[^"]+)": (?P<said>.+)', re.DOTALL)
_ABSENT: Final = (
    # of what a pod names and the cluster does not have
    (re.compile(r"no PriorityClass with name (\S+) was found"), "priority class"),
    (re.compile(r'RuntimeClass "([^"]+)" not found'), "runtime class"),
    (re.compile(r'serviceaccount "([^"]+)" not found', re.IGNORECASE), "service account"),
)
_STUCK_AFTER: Final = 15.0
_SURE_AFTER: Final = 10.0
"""Seconds after which a node that nobody lists is none that is just being taken in."""
_GONE: Final = Pending("gone", "The server's pod is gone: somebody or something has deleted it.", "Start the server again.", final=True)
_FAILED: Final[Mapping[str, tuple[str, str, str]]] = {
    # reason of a failed pod: code, sentence, hint
    "Evicted": ("evicted", "Its node ran short and ended the server", "Start it again; if this comes back, take a larger size."),
    "Preempting": ("preempted", "Something more important needed the room on its node", "Start it again."),
    "NodeLost": ("node-lost", "Its node does not answer any more", "Start it again: it goes to another node."),
    "NodeShutdown": ("node-lost", "Its node is being shut down", "Start it again: it goes to another node."),
    "Terminated": ("node-lost", "Its node is being shut down", "Start it again: it goes to another node."),
    "NodeAffinity": ("no-node", "Its node is no longer one of the pool", "Start it again."),
    "UnexpectedAdmissionError": ("no-node", "Its node could not give it the devices that it asks for", "Start it again."),
    "DeadlineExceeded": ("ended", "It reached the longest life that its pod allows", "Start it again."),
}
_REFUSED: Final = ("refused", "Its node refused the server", "Start it again.")
_DISRUPTED: Final[Mapping[str, tuple[str, str, str]]] = {
    # reason of the condition DisruptionTarget
    "PreemptionByScheduler": _FAILED["Preempting"],
    "DeletionByTaintManager": _FAILED["NodeLost"],
    "EvictionByEvictionAPI": ("evicted", "Its node is being emptied for service", "Start it again: it goes to another node."),
    "DeletionByPodGC": _FAILED["NodeLost"],
    "TerminationByKubelet": _FAILED["Evicted"],
}


def explain_pod(
    pod: Mapping[str, Any] | None,
    events: Sequence[Mapping[str, Any]] = (),
    nodes: Iterable[NodeUse] | None = None,
    pool: Pool | None = None,
    *,
    now: float,
    claims: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    contact: str = "",
) -> Pending:
    """Why the server of this pod is not ready, now.

    ``now``: seconds since the epoch. ``events``: those of the pod, in any order; ``claims``: those of its claims, by claim.
    ``nodes``: ``None`` where nodes may not be seen. ``contact``: whom to ask, as the facility file says it.
    """
    if pod is None:
        return _GONE
    facts = Facts(pod, tuple(events), None if nodes is None else tuple(nodes), pool, now, claims or {}, contact)
    disrupted = _disrupted(facts)
    if disrupted is not None:
        return disrupted
    if facts.deleting:
        return explain_stop(pod, now=now, nodes=facts.nodes, contact=contact)
    if facts.phase == "Failed":
        return _failed(facts)
    lost = _lost_node(facts)
    if lost is not None:
        return lost
    if not facts.node:
        return explain_place(facts)
    return explain_containers(facts)


def explain_gone(pod: Mapping[str, Any] | None) -> Pending:
    """Why a pod is gone, by what was last heard of it: whoever takes it away for a reason notes that before."""
    return (_disrupted(Facts(pod, (), None, None, 0.0)) if pod is not None else None) or _GONE


def _disrupted(facts: Facts) -> Pending | None:
    condition = facts.condition("DisruptionTarget")
    known = _DISRUPTED.get(condition.get("reason", "")) if condition.get("status") == "True" else None
    if known is None:
        return None
    code, sentence, hint = known
    return Pending(code, f"{sentence}.", hint, final=True)


def _failed(facts: Facts) -> Pending:
    status = facts.pod["status"]
    reason = str(status.get("reason") or "")
    if not reason:
        return explain_containers(facts)
    code, sentence, hint = _FAILED.get(reason, _REFUSED)
    if reason.startswith("OutOf"):
        code, sentence = "no-node", "Its node was full before the server came"
    said = cut(str(status.get("message") or "").rstrip("."))
    return Pending(code, f"{sentence} ({said})." if said else f"{sentence}.", hint, final=True)


def _lost_node(facts: Facts) -> Pending | None:
    if not facts.node or facts.node_answers or facts.ready:
        return None
    known = any(one.name == facts.node for one in facts.nodes or ())
    sentence = f"Node {facts.node}, on which the server starts,"
    if not known and facts.bound > _SURE_AFTER:
        return Pending("node-lost", f"{sentence} does not exist any more.", "Start it again: it goes to another node.", final=True)
    hint = f"If that lasts, stop the server and start it again: it goes to another node. {facts.ask}"
    return Pending("node-lost", f"{sentence} does not answer.", hint, who=ADMIN, progress=30)


def explain_stop(pod: Mapping[str, Any], *, now: float, nodes: Iterable[NodeUse] | None = None, contact: str = "") -> Pending:
    """Why a pod that is to go is still there."""
    facts = Facts(pod, (), None if nodes is None else tuple(nodes), None, now, {}, contact)
    over = facts.overdue
    if over < _STUCK_AFTER:
        return Pending("stopping", "The server is being stopped.", "This takes some seconds.", progress=90)
    message = f"The server should have ended {ago(over)} ago and has not: {_why_stuck(facts)}."
    return Pending("stuck", message, facts.ask, who=ADMIN, progress=90)


def _why_stuck(facts: Facts) -> str:
    if facts.node and not facts.node_answers:
        return f"its node {facts.node} does not answer, and only the node can say that the server has ended"
    finalizers = facts.pod["metadata"].get("finalizers")
    if finalizers:
        return f"something else has to let go of its pod first ({', '.join(finalizers)})"
    return "a process in it cannot be ended, which is so while a file system (CVMFS or a network storage) does not answer"


def explain_refusal(error: KubernetesError, contact: str = "") -> Pending:
    """Why the API server did not take an object of a server: quota, admission, rights, or no answer at all."""
    ask = f"Ask {contact}." if contact else "Ask the administrators of the facility."
    if error.status == 0 or error.status >= 500 or error.status == 429:
        return Pending("no-answer", error.message, f"Try again in a minute. {ask}", who=ADMIN, final=True)
    quota = _QUOTA.search(error.message)
    if quota is not None:
        message = (
            f"Your quota {quota['name']} has no room for it: it asks for {quota['asked']}, in use are {quota['used']}, "
            f"and the most is {quota['limit'].strip().rstrip('.')}."
        )
        return Pending("quota", message, f"Stop something that you do not need, or take a smaller size. {ask}", who="you", final=True)
    known = _ruled(error.message, ask) or _absent(error.message, ask)
    if known is not None:
        return known
    if "because it is being terminated" in error.message:
        return Pending(
            "namespace", "Your namespace in the cluster is being deleted.", f"Try again in a minute. {ask}", who=ADMIN, final=True
        )
    return Pending("refused", cut(error.message), ask, who=ADMIN, final=True)


def _ruled(said: str, ask: str) -> Pending | None:
    """By a rule of the cluster."""
    for code, pattern in (("security", _SECURITY), ("policy", _POLICY), ("policy", _WEBHOOK)):
        found = pattern.search(said)
        if found is not None:
            name = found.groupdict().get("name") or found.groupdict().get("level")
            return Pending(code, f"The cluster's rule {name} refuses it: {cut(found['said'].rstrip('.'))}.", ask, who=ADMIN, final=True)
    return None


def _absent(said: str, ask: str) -> Pending | None:
    """For something that it names and that does not exist."""
    for pattern, what in _ABSENT:
        found = pattern.search(said)
        if found is not None:
            message = f"The cluster has no {what} {found[1]}, which this choice asks for."
            return Pending("absent", message, f"Choose something else. {ask}", who=ADMIN, final=True)
    return None
