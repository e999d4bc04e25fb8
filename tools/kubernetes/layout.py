"""Where everything of one cluster is: its folders on the machine, its paths inside, its addresses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tools.cache import home

NODE = "node-0"
NODE_ADDRESS = "203.0.113.2"
"""Of a range for documentation: no machine has it, so that a program outside by mistake reaches nothing."""
API_PORT = 6443
SERVICE_RANGE = "198.19.0.0/16"
POD_RANGE = "198.18.0.0/16"
REAL_PODS = "198.18.0.0/24"
FAKE_PODS = "198.18.128.1/17"
"""Addresses that kwok gives out; behind them is nothing."""
API_SERVICE = "198.19.0.1"
DNS_SERVICE = "198.19.0.10"
DOMAIN = "cluster.local"
PAUSE = "docker.io/local/pause:1"

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CONTAINERD_ROOT = Path("/var/lib/containerd")
KUBELET_ROOT = "/var/lib/kubelet"
HIDDEN = {"/run": "run", "/var/lib": "lib", "/var/log": "log"}
"""Folders of the machine over which the cluster's processes see folders of their own."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of the cluster whose state is in ``state`` (absolute)."""

    state: Path

    @property
    def name(self) -> str:
        """Of its cgroups; different for every state folder."""
        return f"afkit-{hashlib.sha256(str(self.state).encode()).hexdigest()[:12]}"

    @property
    def etc(self) -> Path:
        """Certificates and configuration."""
        return self.state / "etc"

    @property
    def logs(self) -> Path:
        """What the programs print, a file each."""
        return self.state / "logs"

    @property
    def volumes(self) -> Path:
        """A plain folder for volumes, under the same path inside and outside."""
        return self.state / "volumes"

    @property
    def control(self) -> Path:
        """The socket on which the holder takes requests."""
        return self.state / "control"

    @property
    def holder(self) -> Path:
        """Who holds the cluster (``Holder``), written once it runs."""
        return self.state / "holder.json"

    @property
    def facts(self) -> Path:
        """What a later process must know to use the cluster."""
        return self.state / "cluster.json"

    @property
    def kubeconfig(self) -> Path:
        """For use on the machine, with all rights."""
        return self.state / "kubeconfig"

    @property
    def resolv(self) -> Path:
        """The ``resolv.conf`` of programs that shall know the cluster's names."""
        return self.etc / "resolv.conf"

    @property
    def audit(self) -> Path:
        """What the API server was asked, one JSON object a line."""
        return self.logs / "audit.json"

    def kubeconfig_of(self, identity: str) -> Path:
        """For use inside, as one of the cluster's programs."""
        return self.etc / f"{identity}.kubeconfig"

    def certificate(self, name: str) -> Path:
        """A certificate."""
        return self.etc / f"{name}.crt"

    def key(self, name: str) -> Path:
        """A private key."""
        return self.etc / f"{name}.key"

    def make(self) -> None:
        """Make the folders, readable for root alone."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (
            self.etc,
            self.etc / "cni",
            self.etc / "certs.d",
            self.logs,
            self.volumes,
            *map(self.state.joinpath, HIDDEN.values()),
        ):
            folder.mkdir(exist_ok=True)


def default_state() -> Path:
    """The state folder of ``make kube-up``."""
    return home() / "clusters" / "default"
