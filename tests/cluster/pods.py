"""Small pods for tests, and what is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.kubernetes.api import Api, Object


def pod(name: str, image: str, command: Sequence[str], **spec: Any) -> Mapping[str, Any]:
    """A pod of one container, labelled with its name."""
    resources = spec.pop("resources", {})
    container = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": list(command), "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": "Never", "containers": [container], **spec},
    }


def run_pod(api: Api, namespace: str, made: Mapping[str, Any], seconds: float = 60) -> Object:
    """Make a pod; returns it once it is Ready."""
    api.request("POST", f"/api/v1/namespaces/{namespace}/pods", made)
    found = api.until(f"/api/v1/namespaces/{namespace}/pods/{made['metadata']['name']}", ready, seconds)
    assert found is not None
    return found


def ready(pod: Object | None) -> bool:
    """Whether a pod says that it is Ready; one that has failed never will be."""
    status = (pod or {}).get("status", {})
    assert status.get("phase") != "Failed", status
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))


def service(name: str, port: int) -> Mapping[str, Any]:
    """A service for the pod of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }
