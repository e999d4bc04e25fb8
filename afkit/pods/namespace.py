"""Everything that a user's own namespace holds beside servers, homes and copies of Secrets and ConfigMaps. Pure.

`namespace_objects` gives it in the order in which it is made. With one namespace for all users, the same is rendered once
(`afkit.render`), and the rules hold for everybody in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from afkit.facility.model import Facility
from afkit.names import OWNER_LABEL, SESSIONS_ACCOUNT, USER_ANNOTATION
from afkit.pods.brought import StaticVolume, static_volumes
from afkit.pods.dasknetwork import scheduler_policy
from afkit.pods.layout import Layout, facility_labels, role_name, runs_dask, section
from afkit.pods.network import session_rules
from afkit.pods.placeholders import Names, fill_all
from afkit.policy.limits import allowance
from afkit.policy.model import Allowance, Entitlements
from afkit.quantities import format_cpu, format_memory

__all__ = [
    "CLUSTERS",
    "KEEPER",
    "LIMITS",
    "MOUNT_LABEL",
    "NETWORK",
    "POD_SECURITY_LABEL",
    "QUOTA",
    "SESSIONS",
    "Owned",
    "account",
    "brought_along",
    "copied",
    "limit_range",
    "namespace_objects",
    "network_policy",
    "owned",
    "role_binding",
    "sessions_account",
    "static_claim",
    "static_volume",
    "volume_name",
]

Object = dict[str, Any]

SESSIONS: Final = "sessions"
KEEPER: Final = "keeper"
CLUSTERS: Final = "clusters"
"""Parts of the names of the roles that are bound in each user's namespace: the hub's, the provisioner's, the Dask service's."""
QUOTA: Final = "afkit"
LIMITS: Final = "afkit"
NETWORK: Final = "afkit"
"""Names of the ResourceQuota, LimitRange and NetworkPolicy."""
MOUNT_LABEL: Final = "afkit.io/mount"
"""Label of static volumes and claims: the name of the mount in ``storage``."""
POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io/enforce"
_RBAC: Final = "rbac.authorization.k8s.io"


class Owned(Protocol):
    """What is needed of a person here: login name, digest, namespace."""

    @property
    def name(self) -> str:
        """Login name."""

    @property
    def owner(self) -> str:
        """Digest of the person."""

    @property
    def namespace(self) -> str:
        """The person's own namespace."""

    def names(self) -> Names:
        """What placeholders stand for."""


def owned(facility: Facility, person: Owned) -> Object:
    """Labels and annotations of everything that is made for a person."""
    labels = facility_labels(facility) | {OWNER_LABEL: person.owner}
    return {"labels": labels, "annotations": {USER_ANNOTATION: person.name}}


def namespace_objects(facility: Facility, person: Owned, entitlements: Entitlements, layout: Layout) -> tuple[Object, ...]:
    """The namespace itself, then the provisioner's binding, which gives it the right to make the rest, then the others', then the rest.

    Hub and Dask service ask for nothing in a namespace before all of it stands, and then their bindings are long in force.

    Static volumes (`static_volume`) and copies of Secrets and ConfigMaps (`copied`) are not among them: what these hold is in the
    cluster only.
    """
    meta = owned(facility, person)
    objects = [
        _namespace(facility, person),
        role_binding(facility, KEEPER, layout.namespaces),
        role_binding(facility, SESSIONS, layout.hub),
        *([role_binding(facility, CLUSTERS, layout.dask)] if runs_dask(facility) else []),
        sessions_account(facility),
        limit_range(),
        _quota(facility, allowance(facility, entitlements)),
        *network_policy(facility, layout),
    ]
    return tuple(_placed(one, person.namespace, meta) for one in objects)


def _placed(one: Object, namespace: str, meta: Mapping[str, Any]) -> Object:
    old = one["metadata"]
    where = {} if one["kind"] == "Namespace" else {"namespace": namespace}
    metadata = {"name": old["name"], **where, "labels": {**meta["labels"], **old.get("labels", {})}}
    metadata["annotations"] = {**meta["annotations"], **old.get("annotations", {})}
    return {**one, "metadata": metadata}


def _namespace(facility: Facility, person: Owned) -> Object:
    labels = {POD_SECURITY_LABEL: section(facility).pod_security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": person.namespace, "labels": labels}}


def account(facility: Facility) -> str:
    """The name of the service account of servers and workers."""
    return section(facility).service_account or SESSIONS_ACCOUNT


def sessions_account(facility: Facility) -> Object:
    """The service account of servers and workers: no right, and no token."""
    metadata: Object = {"name": account(facility)}
    annotations = section(facility).service_account_annotations
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}


def role_binding(facility: Facility, part: str, subject: str) -> Object:
    """Binds one of the roles to the one service account that it is for."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"afkit-{part}"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role_name(facility, part)},
        "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": section(facility).namespace}],
    }


def limit_range() -> Object:
    """Small requests for containers that say none (init and side containers), without which a quota refuses their pod."""
    least = {"type": "Container", "defaultRequest": {"cpu": "10m", "memory": "32Mi"}}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": LIMITS}, "spec": {"limits": [least]}}


def _quota(facility: Facility, allowed: Allowance) -> Object:
    """The person's limits as requests; empty where they have none, so that it can be filled later."""
    hard: dict[str, str] = {}
    if allowed.cpu is not None:
        hard["requests.cpu"] = format_cpu(allowed.cpu)
    if allowed.memory is not None:
        hard["requests.memory"] = format_memory(allowed.memory)
    hard |= {name: str(units) for name, units in sorted(_units(facility, allowed).items())}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": hard}}


def _units(facility: Facility, allowed: Allowance) -> dict[str, int]:
    """Accelerators by resource: of the pools that share one the sum, and none where one of these is unlimited."""
    units: dict[str, int] = {}
    unlimited = set()
    for pool in facility.pools.values():
        if pool.accelerator is None:
            continue
        device = pool.accelerator.device_class
        name = f"{device}.deviceclass.resource.k8s.io/devices" if device else f"requests.{pool.accelerator.resource}"
        most = allowed.accelerators.get(pool.name)
        if most is None:
            unlimited.add(name)
        else:
            units[name] = units.get(name, 0) + most
    return {name: most for name, most in units.items() if name not in unlimited}


def network_policy(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """What every pod of the namespace may: closed, with its openings and the owner's own pods; none with ``network: none``."""
    if section(facility).network is None:
        return ()
    ingress, egress = session_rules(facility, layout)
    mine: Object = {"podSelector": {}}
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [*ingress, {"from": [mine]}],
        "egress": [*egress, {"to": [mine]}],
    }
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": NETWORK}, "spec": spec}
    return (made, scheduler_policy(facility, layout)) if runs_dask(facility) else (made,)


def volume_name(person: Owned, name: str) -> str:
    """The name of a person's static volume; volumes have no namespace."""
    return f"{person.namespace}-{name}"


def static_volume(facility: Facility, person: Owned, static: StaticVolume, found: Mapping[str, Any] | None = None) -> Object:
    """The PersistentVolume of a static volume; ``found`` is the volume behind the claim that it has its source from."""
    name = volume_name(person, static.name)
    if found is None:
        # the API server does not store what is false, and what is stored is compared
        filled = {kind: {key: value for key, value in one.items() if value is not False} for kind, one in static.source.items()}
        filled = fill_all(filled, person.names())
        source = {kind: {"volumeHandle": name, **one} if kind == "csi" else one for kind, one in filled.items()}
        spec = {"capacity": {"storage": format_memory(static.size or 2**30)}, "accessModes": [static.access], **source}
    else:
        left = ("claimRef", "persistentVolumeReclaimPolicy", "storageClassName")
        spec = {key: value for key, value in found["spec"].items() if key not in left}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": person.namespace, "name": static.claim_name}
    kept = {"claimRef": claim, "persistentVolumeReclaimPolicy": "Retain", "storageClassName": static.storage_class}
    metadata = {"name": name, **_mounted(facility, person, static)}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": {**spec, **kept}}


def static_claim(facility: Facility, person: Owned, static: StaticVolume, volume: Mapping[str, Any]) -> Object:
    """The claim beside the servers that is bound to a static volume."""
    spec = volume["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": static.claim_name, "namespace": person.namespace, **_mounted(facility, person, static)},
        "spec": {
            "accessModes": spec["accessModes"],
            "resources": {"requests": {"storage": spec["capacity"]["storage"]}},
            "storageClassName": spec["storageClassName"],
            "volumeName": volume["metadata"]["name"],
        },
    }


def _mounted(facility: Facility, person: Owned, static: StaticVolume) -> Object:
    meta = owned(facility, person)
    meta["labels"][MOUNT_LABEL] = static.name
    return meta


def copied(facility: Facility, person: Owned, source: Mapping[str, Any]) -> Object:
    """The copy of a Secret or ConfigMap for the person's namespace; it may be changed when its source is replaced."""
    content = {key: source[key] for key in ("type", "data", "binaryData") if key in source}
    metadata = {"name": source["metadata"]["name"], "namespace": person.namespace, **owned(facility, person)}
    return {"apiVersion": "v1", "kind": source["kind"], "metadata": metadata, **content}


def brought_along(facility: Facility, entitlements: Entitlements) -> tuple[StaticVolume, ...]:
    """The static volumes that this person may have."""
    return tuple(static for static in static_volumes(facility) if static.granted(entitlements.groups))
