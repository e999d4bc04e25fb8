"""The few objects that a cluster has from the start (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.kubernetes.layout import DNS_SERVICE, NODE_ADDRESS

_RBAC = "rbac.authorization.k8s.io"


def dns() -> Mapping[str, Mapping[str, Any]]:
    """CoreDNS' rights, and the service at which pods find it though it is no pod; each by its path."""
    reads = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods", "endpoints"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    ports = [{"name": name, "port": 53, "protocol": protocol} for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))]
    metadata: dict[str, Any] = {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    return {
        f"/apis/{_RBAC}/v1/clusterroles/system:coredns": {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": reads,
        },
        f"/apis/{_RBAC}/v1/clusterrolebindings/system:coredns": {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": "system:coredns"}],
        },
        "/api/v1/namespaces/kube-system/services/kube-dns": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        },
        "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns": {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {**metadata["labels"], "kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": ports,
        },
    }


def node_ready(node: Mapping[str, Any] | None) -> bool:
    """Whether a node says that it is Ready."""
    conditions = (node or {}).get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
