"""Claims, static volumes and pods of a strict namespace, for tests of volumes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from tools.kubernetes.api import Api, ApiError, Object
from tools.kubernetes.cluster import Cluster

WATCHING = ["sh", "-c", "sleep 3600"]
STRICT = {
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 100,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "automountServiceAccountToken": False,
}


@contextlib.contextmanager
def strict_namespace(api: Api, name: str, level: str = "restricted") -> Iterator[str]:
    """A namespace with a Pod Security level."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda account: account is not None)
    try:
        yield name
    finally:
        api.delete(f"/api/v1/namespaces/{name}")


def strict_pod(
    name: str, image: str, *mounts: Mapping[str, Any], volumes: Mapping[str, Any], command: list[str] | None = None, **spec: Any
) -> Object:
    """A pod that ``restricted`` lets in, with these mounts; ``volumes``: name → source."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": command or WATCHING,
        "volumeMounts": list(mounts),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    listed = [{"name": volume, **source} for volume, source in volumes.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": listed,
            **STRICT,
            **spec,
        },
    }


def claim(api: Api, namespace: str, name: str, **spec: Any) -> Mapping[str, Any]:
    """Make a claim (1 GiB, one writer, of the default class, but for what is said); returns the source for a pod."""
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}} | spec
    api.request("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": wanted})
    return {"persistentVolumeClaim": {"claimName": name}}


def static(api: Api, namespace: str, name: str, source: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a volume with this source and the claim that it is reserved for, read-only for many; returns the source for a pod."""
    spec = {
        "capacity": {"storage": "1"},
        "accessModes": ["ReadOnlyMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "cvmfs",
        "claimRef": {"namespace": namespace, "name": name},
    }
    volume = f"{namespace}-{name}"
    api.request("POST", "/api/v1/persistentvolumes", {"metadata": {"name": volume}, "spec": spec | source})
    wanted = {
        "accessModes": ["ReadOnlyMany"],
        "storageClassName": "cvmfs",
        "volumeName": volume,
        "resources": {"requests": {"storage": "1"}},
    }
    made = claim(api, namespace, name, **wanted)
    api.until(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}", lambda one: bool(one) and one["status"]["phase"] == "Bound")
    return {"persistentVolumeClaim": {**made["persistentVolumeClaim"], "readOnly": True}}


def by_driver(name: str, **attributes: str) -> Mapping[str, Any]:
    """The source of a static volume of CVMFS' driver."""
    return {"csi": {"driver": "cvmfs.csi.cern.ch", "volumeHandle": name, "readOnly": True, "volumeAttributes": attributes}}


def run(cluster: Cluster, namespace: str, pod: str, *command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command in a pod, as its user, to its end."""
    words = [cluster.kubectl, "-n", namespace, "exec", pod, "--", *command]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=seconds)


def said(api: Api, namespace: str, pod: str, reason: str, seconds: float = 60) -> str:
    """What the first event of a pod with this reason says; waits for it."""
    for event in api.watch(f"/api/v1/namespaces/{namespace}/events?watch=1&fieldSelector=involvedObject.name%3D{pod}", seconds):
        if event["object"].get("reason") == reason:
            return str(event["object"]["message"])
    raise TimeoutError(f"no event {reason} of {namespace}/{pod} within {seconds:g} s")


def events(api: Api, namespace: str, pod: str) -> list[str]:
    """The reasons of a pod's events, the oldest first."""
    found = api.get(f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3D{pod}")["items"]
    return [one["reason"] for one in sorted(found, key=lambda one: int(one["metadata"]["resourceVersion"]))]


def forget_volumes(api: Api, namespace: str) -> None:
    """Delete the static volumes of a namespace."""
    for volume in api.get("/api/v1/persistentvolumes")["items"]:
        if volume["metadata"]["name"].startswith(f"{namespace}-"):
            with contextlib.suppress(ApiError):
                api.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")
