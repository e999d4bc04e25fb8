"""What explanations are made from, and what they are. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from afkit.facility.model import Pool
from afkit.kube.nodes import NodeUse

__all__ = ["ADMIN", "Facts", "Pending", "ago", "claims_of", "cut", "moment"]

Who = Literal["nobody", "you", "administrator"]
ADMIN: Final[Who] = "administrator"
_MOST_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class Pending:
    """Why a server is not there yet.

    ``code`` is a stable word, ``sentence`` says what is the matter, ``hint`` what to do, ``who`` can mend it (``nobody``: nothing
    has to be mended). ``final``: waiting will not help. ``progress`` is the part of the way, 0 to 100.
    """

    code: str
    sentence: str
    hint: str = ""
    who: Who = "nobody"
    final: bool = False
    progress: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """A pod, its events and the nodes at one moment, and what is read off them again and again."""

    pod: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...]
    nodes: tuple[NodeUse, ...] | None
    pool: Pool | None
    now: float
    claims: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    contact: str = ""

    @property
    def ask(self) -> str:
        """Whom to ask."""
        return f"Ask {self.contact}." if self.contact else "Ask the administrators of the facility."

    @property
    def volumes(self) -> Mapping[str, Mapping[str, Any]]:
        """The pod's volumes by name."""
        return {one["name"]: one for one in self.pod["spec"].get("volumes") or ()}

    @property
    def containers(self) -> Sequence[Mapping[str, Any]]:
        """The states of the pod's containers."""
        return self.pod["status"].get("containerStatuses") or ()

    @property
    def init_containers(self) -> Sequence[Mapping[str, Any]]:
        """The states of the containers that prepare the pod."""
        return self.pod["status"].get("initContainerStatuses") or ()

    @property
    def node(self) -> str:
        """The node that the pod is bound to (empty: none yet)."""
        return str(self.pod["spec"].get("nodeName") or "")

    @property
    def node_answers(self) -> bool:
        """Whether the pod's node answers; where nodes may not be seen it is taken to."""
        return self.nodes is None or any(one.name == self.node and one.ready for one in self.nodes)

    @property
    def phase(self) -> str:
        """The pod's phase."""
        return str(self.pod["status"].get("phase") or "Pending")

    @property
    def ready(self) -> bool:
        """Whether the pod is Ready."""
        return self.condition("Ready").get("status") == "True"

    @property
    def deleting(self) -> bool:
        """Whether the pod is to go."""
        return "deletionTimestamp" in self.pod["metadata"]

    @property
    def overdue(self) -> float:
        """So many seconds ago a pod that is to go should have ended (its deletion's moment has the grace in it)."""
        return max(0.0, self.now - moment(self.pod["metadata"].get("deletionTimestamp"), self.now))

    @property
    def age(self) -> float:
        """Seconds since the pod was made."""
        return max(0.0, self.now - moment(self.pod["metadata"].get("creationTimestamp"), self.now))

    @property
    def bound(self) -> float:
        """Seconds since the pod got its node; 0 where it has none, or nobody says since when."""
        scheduled = self.condition("PodScheduled")
        return max(0.0, self.now - moment(scheduled.get("lastTransitionTime"), self.now)) if self.node else 0.0

    @property
    def silence(self) -> float:
        """Seconds since anything was said about the pod: an event, a condition, its making."""
        said = [moment(one.get("lastTransitionTime"), 0.0) for one in self.pod["status"].get("conditions") or ()]
        said += [happened(event) for event in self.events]
        said.append(moment(self.pod["metadata"].get("creationTimestamp"), self.now))
        return max(0.0, self.now - max(said))

    def condition(self, kind: str) -> Mapping[str, Any]:
        """One of the pod's conditions; empty where it has none of that kind."""
        for one in self.pod["status"].get("conditions") or ():
            if one.get("type") == kind:
                found: Mapping[str, Any] = one
                return found
        return {}

    def last(self, *reasons: str) -> Mapping[str, Any] | None:
        """The latest of the pod's events with one of these reasons (without reasons: of all)."""
        found = [event for event in self.events if not reasons or event.get("reason") in reasons]
        return max(found, key=happened) if found else None


def claims_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """The claims of a pod's volumes → what people call them: the claim, or of one that goes with the pod its mount."""
    found: dict[str, str] = {}
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            claim = str(volume["persistentVolumeClaim"]["claimName"])
            found[claim] = f"the claim {claim}"
        elif volume.get("ephemeral"):
            # Kubernetes names it so
            found[f"{pod['metadata']['name']}-{volume['name']}"] = f"the mount {volume['name']}"
    return found


def happened(event: Mapping[str, Any]) -> float:
    """When an event was last seen, in seconds since the epoch."""
    series = event.get("series") or {}
    texts = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return max(moment(text, 0.0) for text in texts)


def moment(text: object, otherwise: float) -> float:
    """Seconds since the epoch of a time as Kubernetes writes it."""
    if not isinstance(text, str):
        return otherwise
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return otherwise


def ago(seconds: float) -> str:
    """``12 s``, ``3 min``: how long something lasts already."""
    return f"{int(seconds)} s" if seconds < 120 else f"{int(seconds // 60)} min"


def cut(text: str) -> str:
    """One line of what the platform says, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT - 1]}…"
