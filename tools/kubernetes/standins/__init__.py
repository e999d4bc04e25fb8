"""What the test cluster has in place of parts that cannot be had here: a policy engine, storage, a CSI driver, CVMFS.

``start`` starts them inside a running cluster, ``Cvmfs`` takes its repositories in hand.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.kubernetes.layout import KUBELET_ROOT, NODE, REAL_PODS
from tools.kubernetes.standins.cvmfs import ROOT, Cvmfs
from tools.kubernetes.standins.objects import DRIVER, driver, storage_class
from tools.kubernetes.standins.rules import World, table

if TYPE_CHECKING:
    from tools.kubernetes.cluster import Cluster

__all__ = ["CLASS", "Cvmfs", "InCluster", "cvmfs", "start"]

CLASS = "standard"
"""The storage class that is the default, made by the provisioner."""
FILES = {"new_repository": "", "README": "A repository of the test cluster.\n"}


def start(
    cluster: Cluster, repositories: Mapping[str, Mapping[str, str]] | Sequence[str] = (), *, classes: Sequence[str] = (CLASS,)
) -> None:
    """Start all of them; the API server answers already, the nodes need not be Ready.

    ``repositories``: those that the node's CVMFS has, with their files (name → text). ``classes``: storage classes, the first the default.
    """
    for number, name in enumerate(classes):
        cluster.api.apply(f"/apis/storage.k8s.io/v1/storageclasses/{name}", storage_class(name, default=number == 0))
    cluster.api.apply(f"/apis/storage.k8s.io/v1/csidrivers/{DRIVER}", driver())
    closed = cluster.layout.etc / "closed.nft"
    closed.write_text(table(World(REAL_PODS, (), {}, {})))
    cluster.run(["nft", "-f", closed])  # from now on, also while the program starts
    for name, arguments in programs(cluster).items():
        command = [sys.executable, "-m", f"tools.kubernetes.standins.{name}", *map(str, arguments)]
        cluster.start_program(name, command, {"PYTHONPATH": str(ROOT)})
    made = cvmfs(cluster)
    for repository in repositories:
        made.add(repository, repositories[repository] if isinstance(repositories, Mapping) else FILES)


def programs(cluster: Cluster) -> Mapping[str, Sequence[str | Path]]:
    """The arguments of each program."""
    return {
        "policies": (cluster.inside_kubeconfig, REAL_PODS),
        "provisioner": (cluster.inside_kubeconfig, cluster.volume_root / "claims"),
        "csi": (KUBELET_ROOT, NODE, folder(cluster) / "cvmfs"),
    }


def folder(cluster: Cluster) -> Path:
    """What the node has beside Kubernetes; its CVMFS is ``cvmfs`` below it."""
    return cluster.volume_root / "node"


def cvmfs(cluster: Cluster) -> Cvmfs:
    """The node's CVMFS, to be killed, hung, emptied and mended. Its folder (``path``) serves as host path too."""
    return Cvmfs(folder(cluster), InCluster(cluster))


class InCluster:
    """The holder of a cluster as `Host`: what it runs ends with the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def start(self, name: str, command: Sequence[str]) -> None:
        """See `Host`."""
        self._cluster.start_program(name, command, {"PYTHONPATH": str(ROOT)})

    def signal(self, name: str, number: int) -> None:
        """See `Host`."""
        if name in self._cluster.program_state():
            self._cluster.signal_program(name, number)

    def kill(self, name: str) -> None:
        """See `Host`."""
        if name in self._cluster.program_state():
            self._cluster.end_program(name, 9)

    def run(self, command: Sequence[str]) -> bool:
        """See `Host`."""
        from tools.kubernetes.cluster import ClusterError

        try:
            self._cluster.run(command, mounts=True)
        except ClusterError:
            return False
        return True
