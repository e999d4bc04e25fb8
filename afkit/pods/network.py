"""Network policies of servers and workers: closed, with the openings that they need and those of the facility file. Pure.

A rule of the file that opens a range with the cluster's own addresses in it (``0.0.0.0/0``) excepts these: pods, services, nodes
and with them the API server (``kubernetes.ranges``), and link-local addresses, where clouds keep their metadata.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.names import FACILITY_LABEL, OWNER_LABEL
from afkit.pods.layout import DASK_PORT, HUB_PORT, PROXY_PORT, SERVER_PORT, Layout, one_namespace, plain, runs_dask, section

__all__ = ["DNS_PORTS", "NAMESPACE_NAME", "dask_peer", "dns", "peer", "ports", "session_rules", "sessions_peer", "without_cluster"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label with its own name that Kubernetes gives every namespace."""
_LINK_LOCAL: Final = ("169.254.0.0/16", "fe80::/10")
_ALL: Final = ("0.0.0.0/0", "::/0")
DNS_PORTS: Final = ({"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"})


def ports(*numbers: int) -> list[dict[str, Any]]:
    """TCP ports as a policy writes them."""
    return [{"port": number, "protocol": "TCP"} for number in numbers]


def dns() -> dict[str, Any]:
    """The egress rule for name resolution: the cluster's own DNS and nothing else."""
    peer = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: "kube-system"}}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {"to": [peer], "ports": plain(DNS_PORTS)}


def peer(namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The pods with these labels in a namespace."""
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}, "podSelector": {"matchLabels": dict(labels)}}


def dask_peer(facility: Facility, layout: Layout) -> dict[str, Any]:
    """The Dask service."""
    return peer(section(facility).namespace, layout.dask_labels)


def sessions_peer(facility: Facility) -> dict[str, Any]:
    """All pods of sessions, seen from another namespace."""
    owned = {"matchExpressions": [{"key": OWNER_LABEL, "operator": "Exists"}]}
    shared = one_namespace(facility)
    if shared:
        return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: shared}}, "podSelector": owned}
    return {"namespaceSelector": {"matchLabels": {FACILITY_LABEL: facility.name}, **owned}, "podSelector": {}}


def session_rules(facility: Facility, layout: Layout) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(ingress, egress) of a server or worker beside its owner's own pods: hub, proxy and Dask service, DNS, what the file adds."""
    kubernetes = section(facility)
    hub, proxy = peer(kubernetes.namespace, layout.hub_labels), peer(kubernetes.namespace, layout.proxy_labels)
    added = kubernetes.network or {}
    ingress = [{"from": [hub, proxy], "ports": ports(SERVER_PORT)}, *plain(added.get("ingress", ()))]
    egress = [
        {"to": [hub], "ports": ports(HUB_PORT)},
        {"to": [proxy], "ports": ports(PROXY_PORT)},
        *([{"to": [dask_peer(facility, layout)], "ports": ports(DASK_PORT)}] if runs_dask(facility) else []),
        dns(),
        *(without_cluster(rule, kubernetes.ranges) for rule in added.get("egress", ())),
    ]
    return ingress, egress


def without_cluster(rule: Mapping[str, Any], ranges: Iterable[str]) -> dict[str, Any]:
    """An egress rule without the cluster's own addresses, which a wide range would open along with all others.

    A rule without ``to`` means every address. A range that lies within the cluster's own is what somebody meant, and stays.
    """
    closed = [ipaddress.ip_network(one) for one in (*_LINK_LOCAL, *ranges)]
    peers = rule.get("to") or [{"ipBlock": {"cidr": cidr}} for cidr in _ALL]
    result: dict[str, Any] = plain({**rule, "to": [_excepted(one, closed) for one in peers]})
    return result


def _excepted(one: Mapping[str, Any], closed: list[Network]) -> Mapping[str, Any]:
    block = one.get("ipBlock")
    if not isinstance(block, Mapping):
        return one
    cidr = ipaddress.ip_network(str(block["cidr"]), strict=False)
    given = [ipaddress.ip_network(str(text), strict=False) for text in block.get("except") or ()]
    parts = _largest(net for net in (*given, *closed) if net != cidr and _inside(net, cidr))
    return {"ipBlock": {**block, "except": [str(net) for net in parts]}} if parts else one


def _largest(nets: Iterable[Network]) -> list[Network]:
    """The networks that lie in no other one, in their order."""
    all_ = set(nets)
    kept = [net for net in all_ if not any(net != other and _inside(net, other) for other in all_)]
    return sorted(kept, key=lambda net: (int(net.network_address), net.prefixlen))


def _inside(net: Network, other: Network) -> bool:
    return net.version == other.version and net.subnet_of(other)  # type: ignore[arg-type]  # the versions are equal
