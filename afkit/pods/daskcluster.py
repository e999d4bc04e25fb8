"""A granted Dask cluster → every object of it, in dask-kubernetes' names, labels and ports. Pure.

The root is a ``DaskCluster`` that no operator has to look at: the facility's service makes the rest itself, owned by it. A
Deployment with 0 replicas keeps an operator that a site runs besides from making a second scheduler. Source of names, labels
and ports: dask-kubernetes 2026.3, ``operator/controller/controller.py`` (a test compares them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.names import CLUSTER_LABEL, PLAN_ANNOTATION, WANTED_ANNOTATION, digest
from afkit.pods.daskpods import Cluster, scheduler_pod, worker_template
from afkit.pods.layout import COMM_PORT, DASHBOARD_PORT, one_namespace
from afkit.pods.objects import marks
from afkit.pods.overlay import Files
from afkit.pods.person import Person
from afkit.policy.cluster import ClusterPlan, WorkerGroup

__all__ = ["COMM_PORT", "DASHBOARD_PORT", "ClusterObjects", "Material", "address", "cluster_objects", "object_name", "plan_note"]

Object = dict[str, Any]

_PORTS: Final = (("tcp-comm", COMM_PORT), ("http-dashboard", DASHBOARD_PORT))
_PLACEHOLDER: Final = "afkit.io/placeholder"


@dataclass(frozen=True, slots=True)
class Material:
    """What only the service makes: PEM texts of the cluster's own authority, its certificate and key, and the scheduler's token.

    ``programs``: name → text of what runs in the pods beside Dask.
    """

    ca: str
    certificate: str
    key: str = field(repr=False)
    token: str = field(repr=False)
    programs: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """One cluster: its root, what is made once beside it (its Secret first), its scheduler, and a Pod without a name for each group."""

    root: Object
    beside: tuple[Object, ...]
    scheduler: Object
    workers: Mapping[str, Object]

    def all(self) -> tuple[Object, ...]:
        """Every object, of workers one a group."""
        return (self.root, *self.beside, self.scheduler, *self.workers.values())


def object_name(facility: Facility, owner: str, name: str) -> str:
    """The name of a cluster's objects: its own; with one namespace for all users a digest that nobody else's has."""
    return f"dask-{digest(f'{owner}/{name}'.encode())}" if one_namespace(facility) else name


def address(name: str, namespace: str) -> str:
    """The scheduler's address, in a cluster of any domain."""
    return f"tls://{name}-scheduler.{namespace}.svc:{COMM_PORT}"


def cluster_objects(
    facility: Facility, plan: ClusterPlan, person: Person, material: Material, *, made: int, owner: Mapping[str, str] | None = None
) -> ClusterObjects:
    """Every object of a cluster. ``made``: when, in seconds since the epoch; ``owner``: name and uid of the server's Pod that it goes with.

    Raises `RequestError` where files or placeholders of this person make none of them.
    """
    name = object_name(facility, person.owner, plan.ask.name)
    about = marks(facility, person)
    about["labels"] |= {CLUSTER_LABEL: plan.ask.name, "dask.org/cluster-name": name}
    cluster = Cluster(facility, plan, person, name, about, address(name, person.namespace), tuple(sorted(material.programs)))
    files = tuple(one for one in (cluster.scheduler_files, *cluster.worker_files) if one.texts)
    scheduler = scheduler_pod(cluster)
    workers = {group.name: worker_template(cluster, group) for group in plan.groups}
    service = _service(name)
    root = _root(cluster, plan, made, scheduler, next(iter(workers.values())), service)
    if owner is not None:
        root["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", **owner}]
    others = (
        _named(cluster, "Service", "v1", f"{name}-scheduler", {"spec": service}, component="scheduler"),
        _named(cluster, "Deployment", "apps/v1", f"{name}-scheduler", {"spec": _placeholder(name, plan.scheduler.reference)}),
        *(_files(cluster, one) for one in {one.secret: one for one in files}.values()),
        *(template for group in plan.groups if (template := cluster.devices(group)) is not None),
    )
    texts = _secret(cluster, material, {"beside": others, "scheduler": scheduler, "workers": workers})
    secret = _named(cluster, "Secret", "v1", f"{name}-dask", {"type": "Opaque", "stringData": texts})
    return ClusterObjects(root, (secret, *others), scheduler, workers)


def plan_note(plan: ClusterPlan, made: int) -> dict[str, Any]:
    """What the root's annotation says of what was granted: enough to count it, to show it and to end it in time."""
    scheduler = plan.scheduler
    return {
        "id": plan.ask.id,
        "life": plan.ask.life,
        "server": plan.ask.server,
        "client": plan.ask.client,
        "profile": scheduler.profile.name,
        "image": scheduler.reference,
        "python": plan.ask.python,
        "made": made,
        "idle": plan.idle,
        "lifetime": plan.lifetime,
        "why": list(plan.why),
        "scheduler": {"pool": scheduler.pool.name, "cpu": scheduler.resources.cpu, "memory": scheduler.resources.memory},
        "groups": {group.name: _group_note(group) for group in plan.groups},
    }


def _group_note(group: WorkerGroup) -> dict[str, Any]:
    selection, needs = group.selection, group.selection.resources
    return {
        "pool": selection.pool.name,
        "arch": selection.pool.arch,
        "cpu": needs.cpu,
        "memory": needs.memory,
        "gpus": needs.accelerators,
        "threads": group.threads,
        "resources": dict(group.resources),
    }


def wanted_note(plan: ClusterPlan) -> dict[str, Any]:
    """How many workers each group is to have at first: ``[low, high, now]``."""
    return {group.name: [group.low, group.high, group.low] for group in plan.groups}


def compact(value: Any) -> str:
    """JSON as annotations have it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _root(cluster: Cluster, plan: ClusterPlan, made: int, scheduler: Object, worker: Object, service: Object) -> Object:
    notes = {PLAN_ANNOTATION: compact(plan_note(plan, made)), WANTED_ANNOTATION: compact(wanted_note(plan))}
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {
            "name": cluster.name,
            "namespace": cluster.person.namespace,
            "labels": dict(cluster.about["labels"]),
            "annotations": {**cluster.about["annotations"], **notes},
        },
        "spec": {
            "idleTimeout": 0,
            "worker": {"replicas": 0, "spec": worker["spec"]},
            "scheduler": {"spec": scheduler["spec"], "service": service},
        },
        "status": {"phase": "Pending"},
    }


def _named(cluster: Cluster, kind: str, version: str, name: str, content: Object, *, component: str = "") -> Object:
    labels = {**cluster.about["labels"], **({"dask.org/component": component} if component else {})}
    metadata = {"name": name, "namespace": cluster.person.namespace, "labels": labels, "annotations": dict(cluster.about["annotations"])}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _files(cluster: Cluster, files: Files) -> Object:
    return _named(cluster, "Secret", "v1", files.secret, {"type": "Opaque", "stringData": files.data()})


def _service(name: str) -> Object:
    """Workers and client connect when the port listens, not when the kubelet next looks."""
    return {
        "type": "ClusterIP",
        "publishNotReadyAddresses": True,
        "selector": {"dask.org/cluster-name": name, "dask.org/component": "scheduler"},
        "ports": [{"name": port, "protocol": "TCP", "port": number, "targetPort": port} for port, number in _PORTS],
    }


def _placeholder(name: str, image: str) -> Object:
    """Nothing runs of it; its labels are none of the scheduler's."""
    labels = {_PLACEHOLDER: name}
    pod = {"containers": [{"name": "none", "image": image}], "automountServiceAccountToken": False}
    return {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


def _secret(cluster: Cluster, material: Material, made: Mapping[str, Any]) -> dict[str, str]:
    """``pods.json`` is for a service that is begun anew while it makes the cluster, and for workers that come later."""
    return {
        "ca.crt": material.ca,
        "tls.crt": material.certificate,
        "tls.key": material.key,
        "token": material.token,
        "cluster.json": compact(_told(cluster)),
        "pods.json": compact(made),
        **material.programs,
    }


def _told(cluster: Cluster) -> dict[str, Any]:
    """What the programs in the pods know of the cluster."""
    plan = cluster.plan
    groups = [
        {
            "name": group.name,
            "threads": group.threads,
            "gpus": group.selection.resources.accelerators,
            "resources": dict(group.resources),
            "arch": group.selection.pool.arch,
        }
        for group in plan.groups
    ]
    ask = plan.ask
    told = {"name": ask.name, "id": ask.id, "client": ask.client, "life": ask.life, "versions": dict(ask.versions)}
    repositories = cluster.choice(plan.groups[0].selection).session.cvmfs
    return {**told, "cvmfs": list(repositories), "groups": groups}
