"""Network policies for the pods of Dask clusters, beside what every session's pod may. Pure.

The Dask service reaches a scheduler's HTTP port and no other: it never speaks Dask's own protocol. That port asks nobody who they are
for most of what it shows, so nobody but the service and its owner's pods reaches it. All else is TLS by certificates of the cluster's own.
"""

from __future__ import annotations

from typing import Any, Final

from afkit.facility.model import Facility
from afkit.names import OWNER_LABEL
from afkit.pods.layout import COMM_PORT, DASHBOARD_PORT, Layout
from afkit.pods.network import dask_peer, ports

__all__ = ["SCHEDULERS", "WORKERS", "policies_together", "scheduler_egress", "scheduler_policy"]

Object = dict[str, Any]

SCHEDULERS: Final = "afkit-dask-schedulers"
WORKERS: Final = "afkit-dask-workers"
"""Names of the NetworkPolicies; the service has one of its own, maybe in the same namespace."""
_COMPONENT: Final = "dask.org/component"
_SCHEDULER: Final = {"matchLabels": {_COMPONENT: "scheduler"}}
_WORKER: Final = {"matchLabels": {_COMPONENT: "worker"}}
_ANY: Final = {"matchExpressions": [{"key": _COMPONENT, "operator": "Exists"}]}
_SESSION: Final = {"matchExpressions": [{"key": OWNER_LABEL, "operator": "Exists"}]}


def _policy(name: str, selector: Object, ingress: list[Object], egress: list[Object] | None = None) -> Object:
    kinds = ["Ingress"] if egress is None else ["Ingress", "Egress"]
    spec = {"podSelector": selector, "policyTypes": kinds, "ingress": ingress, **({} if egress is None else {"egress": egress})}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def scheduler_policy(facility: Facility, layout: Layout) -> Object:
    """In a namespace of one person, whose pods reach each other: the service looks at schedulers."""
    return _policy(SCHEDULERS, _SCHEDULER, [_looks(facility, layout)])


def policies_together(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """In one namespace for all: sessions reach schedulers, and pods of clusters each other. Certificates say who belongs together."""
    sessions = {"from": [{"podSelector": _SESSION}], "ports": ports(COMM_PORT)}
    onwards: list[Object] = [{"to": [{"podSelector": _WORKER}]}]
    return (
        _policy(SCHEDULERS, _SCHEDULER, [_looks(facility, layout), sessions], onwards),
        _policy(WORKERS, _WORKER, [{"from": [{"podSelector": _ANY}]}], onwards),
    )


def scheduler_egress() -> Object:
    """What every session's pod may beside `policies_together`."""
    return {"to": [{"podSelector": _SCHEDULER}], "ports": ports(COMM_PORT)}


def _looks(facility: Facility, layout: Layout) -> Object:
    return {"from": [dask_peer(facility, layout)], "ports": ports(DASHBOARD_PORT)}
