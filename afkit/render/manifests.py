"""``--target manifests``: everything that a facility needs in a cluster, as objects that ``kubectl apply --server-side`` takes. Pure.

No object holds a secret: the three that hub and proxy need are in a Secret that the installation makes (`afkit.render.pods.SECRETS`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afkit.facility.model import Facility
from afkit.names import OWNER_LABEL
from afkit.pods.brought import static_volumes
from afkit.pods.dasknetwork import policies_together, scheduler_egress
from afkit.pods.layout import (
    COMPONENT_LABEL,
    DASK_PORT,
    HUB_PORT,
    MANIFESTS,
    NAMESPACES_PORT,
    PROXY_API_PORT,
    PROXY_PORT,
    SERVER_PORT,
    Layout,
    facility_labels,
    one_namespace,
    runs_dask,
    section,
)
from afkit.pods.namespace import (
    NETWORK,
    POD_SECURITY_LABEL,
    limit_range,
    sessions_account,
    static_claim,
    static_volume,
)
from afkit.pods.network import dask_peer, dns, peer, ports, session_rules, sessions_peer
from afkit.pods.placeholders import Names
from afkit.render.pods import CONFIGURATION, FACILITY_MAP, dask_pod, file_items, hub_configuration, hub_pod, namespaces_pod, proxy_pod
from afkit.render.policies import policies
from afkit.render.rights import Object, provisioned, rights
from afkit.render.settings import Files, Settings

__all__ = ["dask_service", "manifests", "sessions_objects"]


def manifests(facility: Facility, files: Files, settings: Settings) -> Mapping[str, tuple[Object, ...]]:
    """File name → objects, in the order in which they are applied."""
    layout = MANIFESTS
    made = {
        "namespace": _namespaces(facility),
        "policies": policies(facility, layout),
        "rights": (*accounts(facility, layout), *rights(facility, layout)),
        "facility": (facility_map(facility, files), _configuration(facility, layout, files)),
        "network": network_policies(facility, layout),
        "sessions": sessions_objects(facility, layout),
        "hub": (_hub_claim(facility, layout, settings), *_hub(facility, layout, files, settings)),
        "proxy": _proxy(facility, layout, settings),
        "namespaces": provisioner(facility, layout, files, settings),
        "dask": dask_service(facility, layout, files, settings),
    }
    return {name: objects for name, objects in made.items() if objects}


def _meta(facility: Facility, name: str, component: str = "", namespace: str | None = None) -> Object:
    labels = facility_labels(facility) | ({COMPONENT_LABEL: component} if component else {})
    return {"name": name, "namespace": namespace or section(facility).namespace, "labels": labels}


def _namespace(facility: Facility, name: str, level: str) -> Object:
    labels = {**facility_labels(facility), POD_SECURITY_LABEL: level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _namespaces(facility: Facility) -> tuple[Object, ...]:
    """That of hub and services, and the one of all servers where there is one."""
    kubernetes, shared = section(facility), one_namespace(facility)
    own = _namespace(facility, kubernetes.namespace, kubernetes.pod_security if shared == kubernetes.namespace else "restricted")
    return (own, _namespace(facility, shared, kubernetes.pod_security)) if shared not in ("", kubernetes.namespace) else (own,)


def accounts(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """The service accounts of what has its own Pod; only hub and services get a token of the API server."""
    names = [(layout.hub, "hub"), ("afkit-proxy", "proxy")] if layout is MANIFESTS else []
    names += [(layout.namespaces, "namespaces")] if provisioned(facility) else []
    names += [(layout.dask, "dask")] if runs_dask(facility) else []
    return tuple(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(facility, name, part), "automountServiceAccountToken": False}
        for name, part in names
    )


def facility_map(facility: Facility, files: Files) -> Object:
    """The facility's files."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(facility, FACILITY_MAP), "data": file_items(files)[0]}


def _configuration(facility: Facility, layout: Layout, files: Files) -> Object:
    text = hub_configuration(facility, layout, files)
    data = {"jupyterhub_config.py": text}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(facility, CONFIGURATION, "hub"), "data": data}


def sessions_objects(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """What the one namespace of all servers holds; nothing where every user has their own, which the provisioner fills."""
    shared = one_namespace(facility)
    if not shared:
        return ()
    everybody = _Everybody(shared)
    objects = [sessions_account(facility), limit_range()]
    for static in static_volumes(facility):
        volume = static_volume(facility, everybody, static)
        objects += [volume, static_claim(facility, everybody, static, volume)]
    return tuple(_placed(facility, one, shared) for one in (*objects, *_sessions_network(facility, layout)))


@dataclass(frozen=True, slots=True)
class _Everybody:
    """Stands for the owner of volumes that all users of one namespace share."""

    namespace: str
    name: str = ""
    owner: str = ""

    def names(self) -> Names:
        """Nobody's: the source of a volume for everybody has no placeholder."""
        return Names("")


def _placed(facility: Facility, one: Object, namespace: str) -> Object:
    metadata = {key: value for key, value in one["metadata"].items() if key not in ("labels", "annotations")}
    labels = {**facility_labels(facility), **{key: value for key, value in one["metadata"].get("labels", {}).items() if value}}
    where = {} if one["kind"] == "PersistentVolume" else {"namespace": namespace}
    annotations = {key: value for key, value in one["metadata"].get("annotations", {}).items() if value}
    return {**one, "metadata": {**metadata, **where, "labels": labels, **({"annotations": annotations} if annotations else {})}}


def _policy(metadata: Object, selector: Object, ingress: list[Object] | None, egress: list[Object] | None) -> Object:
    spec: Object = {
        "podSelector": selector,
        "policyTypes": [kind for kind, rules in (("Ingress", ingress), ("Egress", egress)) if rules is not None],
    }
    spec |= ({} if ingress is None else {"ingress": ingress}) | ({} if egress is None else {"egress": egress})
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _sessions_network(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """Servers in one namespace reach hub, proxy and what is of Dask, and not each other."""
    if section(facility).network is None:
        return ()
    ingress, egress = session_rules(facility, layout)
    owned: dict[str, Any] = {"matchExpressions": [{"key": OWNER_LABEL, "operator": "Exists"}]}
    if not runs_dask(facility):
        return (_policy({"name": NETWORK}, owned, ingress, egress),)
    return (_policy({"name": NETWORK}, owned, ingress, [*egress, scheduler_egress()]), *policies_together(facility, layout))


def network_policies(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """Who may connect to hub, proxy and services, and where the proxy may connect to.

    Hub and services call the API server and the identity providers, whose addresses no file knows: their egress is open.
    """
    if section(facility).network is None:
        return ()
    here = section(facility).namespace
    hub, proxy, sessions = peer(here, layout.hub_labels), peer(here, layout.proxy_labels), sessions_peer(facility)
    dask = [dask_peer(facility, layout)] if runs_dask(facility) else []
    made = []
    if layout is MANIFESTS:
        into = [{"from": [proxy, sessions, *dask], "ports": ports(HUB_PORT)}]
        public = [{"ports": ports(PROXY_PORT)}, {"from": [hub], "ports": ports(PROXY_API_PORT)}]
        onwards = [{"to": [hub], "ports": ports(HUB_PORT)}, {"to": [sessions], "ports": ports(SERVER_PORT)}]
        onwards += [*({"to": [one], "ports": ports(DASK_PORT)} for one in dask), dns()]
        made.append(_policy(_meta(facility, layout.hub, "hub"), {"matchLabels": dict(layout.hub_labels)}, into, None))
        made.append(_policy(_meta(facility, "afkit-proxy", "proxy"), {"matchLabels": dict(layout.proxy_labels)}, public, onwards))
    if provisioned(facility):
        into = [{"from": [hub], "ports": ports(NAMESPACES_PORT)}]
        selector = {"matchLabels": {COMPONENT_LABEL: "namespaces"}}
        made.append(_policy(_meta(facility, layout.namespaces, "namespaces"), selector, into, None))
    if dask:
        into = [{"from": [hub, proxy, sessions], "ports": ports(DASK_PORT)}]
        made.append(_policy(_meta(facility, layout.dask, "dask"), {"matchLabels": dict(layout.dask_labels)}, into, None))
    return tuple(made)


def _deployment(facility: Facility, name: str, component: str, pod: Object, *, told: str = "", recreate: bool = True) -> Object:
    """One replica. ``told``: what must start the Pod anew when it changes."""
    labels = {**facility_labels(facility), COMPONENT_LABEL: component}
    annotations = {"annotations": {"afkit.io/configuration": hashlib.sha256(told.encode()).hexdigest()[:16]}} if told else {}
    spec: Object = {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "strategy": {"type": "Recreate"} if recreate else {"type": "RollingUpdate"},
        "selector": {"matchLabels": {key: labels[key] for key in labels}},
        "template": {"metadata": {"labels": labels, **annotations}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta(facility, name, component), "spec": spec}


def _service(facility: Facility, name: str, component: str, *numbers: tuple[str, int, int]) -> Object:
    """``numbers``: (name, port of the service, port of the Pod)."""
    listed = [{"name": port, "port": outside, "targetPort": inside} for port, outside, inside in numbers]
    spec = {"selector": {**facility_labels(facility), COMPONENT_LABEL: component}, "ports": listed}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(facility, name, component), "spec": spec}


def _hub_claim(facility: Facility, layout: Layout, settings: Settings) -> Object:
    spec: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if settings.hub_storage_class:
        spec["storageClassName"] = settings.hub_storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _meta(facility, layout.hub, "hub"), "spec": spec}


def _hub(facility: Facility, layout: Layout, files: Files, settings: Settings) -> tuple[Object, ...]:
    pod = hub_pod(facility, layout, files, settings)
    told = hub_configuration(facility, layout, files)
    return (
        _deployment(facility, layout.hub, "hub", pod, told=told),
        _service(facility, layout.hub, "hub", ("http", HUB_PORT, HUB_PORT)),
    )


def _proxy(facility: Facility, layout: Layout, settings: Settings) -> tuple[Object, ...]:
    return (
        _deployment(facility, "afkit-proxy", "proxy", proxy_pod(facility, layout, settings)),
        _service(facility, "afkit-proxy", "proxy", ("api", PROXY_API_PORT, PROXY_API_PORT)),
        _service(facility, "proxy-public", "proxy", ("http", 80, PROXY_PORT)),
    )


def provisioner(facility: Facility, layout: Layout, files: Files, settings: Settings) -> tuple[Object, ...]:
    """The namespace provisioner, where every user has a namespace."""
    if not provisioned(facility):
        return ()
    pod = namespaces_pod(facility, layout, files, settings)
    return (
        _deployment(facility, layout.namespaces, "namespaces", pod, recreate=False),
        _service(facility, layout.namespaces, "namespaces", ("http", NAMESPACES_PORT, NAMESPACES_PORT)),
    )


def dask_service(facility: Facility, layout: Layout, files: Files, settings: Settings) -> tuple[Object, ...]:
    """The Dask service, where some profile gives clusters; never two at once, which would both make what is missing."""
    if not runs_dask(facility):
        return ()
    return (
        _deployment(facility, layout.dask, "dask", dask_pod(facility, layout, files, settings)),
        _service(facility, layout.dask, "dask", ("http", DASK_PORT, DASK_PORT)),
    )
