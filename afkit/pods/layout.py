"""What stands where in a cluster: names, ports and labels of the hub, the proxy and the services. Pure.

Two layouts exist: `MANIFESTS`, what ``afkit render --target manifests`` makes, and `Z2JH`, what the Zero to JupyterHub chart makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.facility.model import Facility, Kubernetes
from afkit.names import FACILITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL, TOKEN_FILE as TOKEN_FILE

__all__ = [
    "COMM_PORT",
    "COMPONENT_LABEL",
    "DASHBOARD_PORT",
    "DASK_PATH",
    "DASK_PORT",
    "HUB_PORT",
    "LAYOUTS",
    "MANIFESTS",
    "NAMESPACES_PATH",
    "NAMESPACES_PORT",
    "PROXY_API_PORT",
    "PROXY_PORT",
    "SERVER_PORT",
    "Z2JH",
    "Layout",
    "dask_url",
    "facility_labels",
    "namespaces_url",
    "one_namespace",
    "role_name",
    "runs_dask",
    "section",
    "sessions_namespace",
]

HUB_PORT: Final = 8081
PROXY_PORT: Final = 8000
PROXY_API_PORT: Final = 8001
SERVER_PORT: Final = 8888
NAMESPACES_PORT: Final = 8080
NAMESPACES_PATH: Final = "/services/namespaces/"
"""Path of the namespace provisioner below its address."""
DASK_PORT: Final = 8080
DASK_PATH: Final = "/services/dask/"
"""Path of the Dask service below its address, and below the hub's."""
COMM_PORT: Final = 8786
DASHBOARD_PORT: Final = 8787
"""Ports of a cluster's scheduler: Dask's own protocol, by TLS; its pages and what the Dask service asks, by plain HTTP."""
COMPONENT_LABEL: Final = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of service accounts, and the labels by which network policies know hub and proxy."""

    name: str
    hub: str
    hub_labels: Mapping[str, str]
    proxy_labels: Mapping[str, str]
    namespaces: str = "afkit-namespaces"
    dask: str = "afkit-dask"

    @property
    def dask_labels(self) -> Mapping[str, str]:
        """The Dask service's."""
        return {COMPONENT_LABEL: "dask"}


MANIFESTS: Final = Layout("manifests", "afkit-hub", {COMPONENT_LABEL: "hub"}, {COMPONENT_LABEL: "proxy"})
Z2JH: Final = Layout(
    "z2jh",
    "hub",
    {"app.kubernetes.io/name": "jupyterhub", COMPONENT_LABEL: "hub"},
    {"app.kubernetes.io/name": "jupyterhub", COMPONENT_LABEL: "proxy"},
)
LAYOUTS: Final[Mapping[str, Layout]] = {layout.name: layout for layout in (MANIFESTS, Z2JH)}


def section(facility: Facility) -> Kubernetes:
    """The section ``kubernetes``; ``ValueError`` where the file has none (`check` demands it of a facility on Kubernetes)."""
    if facility.kubernetes is None or not facility.kubernetes.namespace:
        raise ValueError("the facility file has no kubernetes.namespace")
    return facility.kubernetes


def one_namespace(facility: Facility) -> str:
    """The one namespace of all servers; empty where every user has one."""
    kubernetes = section(facility)
    if kubernetes.user_namespaces == "per-user":
        return ""
    return kubernetes.namespace if kubernetes.user_namespaces == "shared" else kubernetes.user_namespaces


def runs_dask(facility: Facility) -> bool:
    """Whether some profile gives Dask clusters, which the Dask service makes."""
    return any(profile.dask is not None for profile in facility.profiles.values())


def sessions_namespace(facility: Facility, own: str) -> str:
    """Where the servers of the person are whose own namespace would be ``own``."""
    return one_namespace(facility) or own


def facility_labels(facility: Facility) -> dict[str, str]:
    """The labels of everything that belongs to a facility."""
    return {MANAGED_BY_LABEL: MANAGED_BY, FACILITY_LABEL: facility.name}


def role_name(facility: Facility, part: str) -> str:
    """The name of a ClusterRole, or of another object without a namespace, of this facility."""
    return f"afkit-{facility.name}-{part}"


def namespaces_url(facility: Facility, layout: Layout = MANIFESTS) -> str:
    """Where the namespace provisioner answers, as the hub's pod reaches it."""
    return f"http://{layout.namespaces}.{section(facility).namespace}:{NAMESPACES_PORT}{NAMESPACES_PATH}"


def dask_url(facility: Facility, layout: Layout = MANIFESTS) -> str:
    """Where the Dask service answers, as sessions and the proxy reach it."""
    return f"http://{layout.dask}.{section(facility).namespace}:{DASK_PORT}{DASK_PATH}"


def plain(value: Any) -> Any:
    """Mappings and sequences of records as dicts and lists, so that the result is plain data and may be changed."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
