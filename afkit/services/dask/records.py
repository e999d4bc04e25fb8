"""What a DaskCluster object says of itself, read back into a record; and what people run, as limits count it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from afkit.facility.model import Facility, Pool
from afkit.facility.pod_rules import MAIN
from afkit.kube.amounts import amounts
from afkit.names import CLUSTER_LABEL, FACILITY_LABEL, OWNER_LABEL, PLAN_ANNOTATION, POOL_LABEL, USER_ANNOTATION, WANTED_ANNOTATION
from afkit.policy.model import Usage, Use

__all__ = ["SERVER_COMPONENT", "Group", "Record", "is_over", "is_server", "owned_by", "record_of", "server_name", "usage_of"]

Object = Mapping[str, Any]
Key = tuple[str, str]

SERVER_COMPONENT: Final = "singleuser-server"
SERVER_NAME: Final = "hub.jupyter.org/servername"
_OVER: Final = frozenset(("Succeeded", "Failed"))


@dataclass(frozen=True, slots=True)
class Group:
    """One group of workers: what each is, and how many there are to be (``wanted`` now, between ``low`` and ``high``)."""

    name: str
    pool: str
    arch: str
    cpu: int
    memory: int
    gpus: int
    threads: int
    resources: Mapping[str, float]
    low: int
    high: int
    wanted: int

    @property
    def adaptive(self) -> bool:
        """Whether the number follows the load."""
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class Record:
    """One cluster as its object says it. ``key``: namespace and name of its objects; ``name``: what its owner calls it."""

    key: Key
    uid: str
    name: str
    id: str
    owner: str
    user: str
    life: str
    server: str
    client: str
    profile: str
    image: str
    python: str | None
    made: int
    idle: int | None
    lifetime: int | None
    why: tuple[str, ...]
    scheduler: Mapping[str, Any]
    groups: Mapping[str, Group]
    pod: tuple[str, str] = ("", "")
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    phase: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def with_wanted(self, numbers: Mapping[str, tuple[int, int, int]]) -> Record:
        """The record with other numbers of workers: group → low, high, now."""
        changed = {name: replace(self.groups[name], low=low, high=high, wanted=wanted) for name, (low, high, wanted) in numbers.items()}
        return replace(self, groups={**self.groups, **changed})

    def wanted_note(self) -> str:
        """The annotation with the numbers."""
        numbers = {name: [group.low, group.high, group.wanted] for name, group in self.groups.items()}
        return json.dumps(numbers, separators=(",", ":"))


def record_of(root: Object) -> Record | None:
    """The record of a DaskCluster of the facility's; ``None``: it is none, or what it says cannot be read."""
    about = root["metadata"]
    labels, notes = about.get("labels") or {}, about.get("annotations") or {}
    try:
        plan, wanted = json.loads(notes[PLAN_ANNOTATION]), json.loads(notes[WANTED_ANNOTATION])
        return Record(
            key=(about["namespace"], about["name"]),
            uid=about.get("uid", ""),
            name=labels[CLUSTER_LABEL],
            owner=labels[OWNER_LABEL],
            user=notes[USER_ANNOTATION],
            groups={name: _group(name, one, wanted[name]) for name, one in plan["groups"].items()},
            why=tuple(plan["why"]),
            pod=_pod(about),
            deleting="deletionTimestamp" in about,
            finalizers=tuple(about.get("finalizers") or ()),
            phase=(root.get("status") or {}).get("phase", ""),
            labels=labels,
            **{key: plan[key] for key in _PLAIN},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _pod(about: Object) -> tuple[str, str]:
    """Name and uid of the server's pod that a cluster goes with; empty: it goes with none."""
    return next(((one["name"], one["uid"]) for one in about.get("ownerReferences") or () if one["kind"] == "Pod"), ("", ""))


_PLAIN: Final = ("id", "life", "server", "client", "profile", "image", "python", "made", "idle", "lifetime", "scheduler")


def _group(name: str, one: Mapping[str, Any], numbers: list[int]) -> Group:
    low, high, wanted = map(int, numbers)
    return Group(name=name, low=low, high=high, wanted=wanted, **one)


def is_over(pod: Object) -> bool:
    """Whether a pod has ended."""
    return (pod.get("status") or {}).get("phase") in _OVER


def owned_by(obj: Object, uid: str) -> bool:
    """Whether an object goes with the one of this uid."""
    return any(one.get("uid") == uid for one in obj["metadata"].get("ownerReferences") or ())


def is_server(pod: Object, facility: str) -> bool:
    """Whether a pod is a person's server of this facility."""
    labels = pod["metadata"].get("labels") or {}
    return labels.get(FACILITY_LABEL) == facility and labels.get("component") == SERVER_COMPONENT and OWNER_LABEL in labels


def server_name(pod: Object) -> str:
    """The name of a server, as its person wrote it (empty: the default server)."""
    return str((pod["metadata"].get("annotations") or {}).get(SERVER_NAME, ""))


def usage_of(facility: Facility, pods: Iterable[Object], records: Iterable[Record], owner: str) -> Usage:
    """Everything that a person runs now: their servers as pods, their clusters at the most that they may grow to."""
    servers = [
        _server_use(facility, pod)
        for pod in pods
        if is_server(pod, facility.name) and pod["metadata"]["labels"][OWNER_LABEL] == owner and not is_over(pod)
    ]
    mine = [record for record in records if record.owner == owner and not record.deleting]
    return Usage((*servers, *(use for record in mine for use in uses(record))), clusters=len(mine))


def uses(record: Record) -> list[Use]:
    """What one cluster counts for."""
    scheduler = record.scheduler
    found = [Use("scheduler", record.name, scheduler["cpu"], scheduler["memory"], scheduler["pool"])]
    for group in record.groups.values():
        number = max(group.high, group.wanted)
        found += [Use("worker", record.name, group.cpu, group.memory, group.pool, group.gpus)] * number
    return found


def _server_use(facility: Facility, pod: Object) -> Use:
    main: Object = next((one for one in pod["spec"].get("containers") or () if one["name"] == MAIN), {})
    requests = amounts((main.get("resources") or {}).get("requests") or {})
    pool = str(pod["metadata"]["labels"].get(POOL_LABEL, ""))
    return Use(
        "server", server_name(pod), requests.get("cpu", 0), requests.get("memory", 0), pool, _units(facility.pools.get(pool), requests)
    )


def _units(pool: Pool | None, requests: Mapping[str, int]) -> int:
    unit = pool.accelerator if pool is not None else None
    return requests.get(unit.resource, 0) if unit is not None and unit.resource else 0
