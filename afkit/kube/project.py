"""What a watch keeps of an object: the few fields that somebody reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from afkit.kube.amounts import Amounts, pod_requests
from afkit.names import DEVICES_ANNOTATION

__all__ = ["CLAIMS", "Project", "events_of", "node", "plain", "pods_of", "requests_of"]

Project = Callable[[Mapping[str, Any]], dict[str, Any] | None]

CLAIMS: Final = "claims of devices"
"""Counted among a pod's requests: how many devices it claims, of others' pods how many claims (no resource has such a name)."""
_REQUESTS: Final = "requests"
_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels", "ownerReferences")
_POD_SPEC: Final = (
    "nodeName",
    "nodeSelector",
    "tolerations",
    "volumes",
    "schedulingGates",
    "schedulerName",
    "runtimeClassName",
    "affinity",
)
_POD_STATUS: Final = (
    "phase",
    "reason",
    "message",
    "podIP",
    "hostIP",
    "startTime",
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
)
_CONTAINER: Final = ("name", "image", "resources", "ports", "volumeMounts")
_EVENT: Final = (
    "involvedObject",
    "type",
    "reason",
    "message",
    "count",
    "firstTimestamp",
    "lastTimestamp",
    "eventTime",
    "series",
    "reportingComponent",
)
_OUR_ANNOTATIONS: Final = ("afkit.io/", "hub.jupyter.org/")


def plain(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but ``managedFields``."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def pods_of(label: str, value: str) -> Project:
    """Of pods with this label what spawner and explanations read; of other people's only what they take of a node.

    Both have ``requests`` beside ``metadata``, ``spec`` and ``status``: what the pod takes of its node (see `requests_of`).
    """

    def project(pod: Mapping[str, Any]) -> dict[str, Any]:
        ours = (pod["metadata"].get("labels") or {}).get(label) == value
        return _pod(pod) if ours else _others(pod)

    return project


def requests_of(pod: Mapping[str, Any]) -> Amounts:
    """What a projected pod takes of its node: resource → whole number (millicores, bytes, units)."""
    requests: Amounts = pod[_REQUESTS]
    return requests


def _pod(pod: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    kept = _only(spec, _POD_SPEC)
    for key in ("containers", "initContainers"):
        if spec.get(key):
            kept[key] = [_only(container, _CONTAINER) for container in spec[key]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(pod),
        "spec": kept,
        "status": _only(status, _POD_STATUS),
        _REQUESTS: _taken(spec, _devices(pod)),
    }


def _others(pod: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    metadata = _only(pod["metadata"], ("name", "namespace", "uid"))
    return {
        "metadata": metadata,
        "spec": _only(spec, ("nodeName",)),
        "status": _only(status, ("phase",)),
        _REQUESTS: _taken(spec, 0),
    }


def _taken(spec: Mapping[str, Any], devices: int) -> dict[str, int]:
    claims = len(spec.get("resourceClaims") or ())
    return pod_requests(spec) | ({CLAIMS: max(devices, claims)} if claims else {})


def _devices(pod: Mapping[str, Any]) -> int:
    """How many devices one of our pods says that it claims; of a pod of an older version nobody knows."""
    said = (pod["metadata"].get("annotations") or {}).get(DEVICES_ANNOTATION, "")
    return int(said) if said.isascii() and said.isdigit() else 0


def events_of(wanted: Callable[[str], bool]) -> Project:
    """Events about pods and claims in the namespaces that are wanted, and nothing of others."""

    def project(event: Mapping[str, Any]) -> dict[str, Any] | None:
        about = event.get("involvedObject") or {}
        if about.get("kind") not in ("Pod", "PersistentVolumeClaim") or not wanted(about.get("namespace", "")):
            return None
        return {"metadata": _only(event["metadata"], ("name", "namespace", "uid", "creationTimestamp")), **_only(event, _EVENT)}

    return project


def node(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Of a node what placement depends on."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "metadata": _only(obj["metadata"], ("name", "uid", "labels", "deletionTimestamp", "resourceVersion")),
        "spec": _only(spec, ("taints", "unschedulable")),
        "status": {
            "allocatable": status.get("allocatable") or {},
            "conditions": [
                _only(one, ("type", "status", "reason")) for one in status.get("conditions") or () if one.get("type") == "Ready"
            ],
        },
    }


def _metadata(obj: Mapping[str, Any]) -> dict[str, Any]:
    kept = _only(obj["metadata"], _METADATA)
    annotations = {key: value for key, value in (obj["metadata"].get("annotations") or {}).items() if key.startswith(_OUR_ANNOTATIONS)}
    return {**kept, "annotations": annotations} if annotations else kept


def _only(value: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value[key] for key in keys if key in value}
