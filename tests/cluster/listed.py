"""What kubectl lists of a cluster."""

from __future__ import annotations

import subprocess

from tools.kubernetes.cluster import Cluster

MOVING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "endpoints", "componentstatuses"}
"""Kinds that change by themselves, or that are other kinds by another name."""


class Listed:
    """What kubectl lists, as lines ``NAMESPACE KIND/NAME``."""

    def __init__(self, cluster: Cluster) -> None:
        self.kubectl = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig)]

    def ask(self, *words: str) -> str:
        return subprocess.run([*self.kubectl, *words], capture_output=True, text=True, check=True, timeout=60).stdout

    def get(self, kinds: str) -> set[str]:
        """``kubectl get KINDS -A``."""
        columns = "custom-columns=N:.metadata.namespace,K:.kind,A:.metadata.name"
        found = [line.split() for line in self.ask("get", kinds, "-A", "--no-headers", "-o", columns).splitlines()]
        return {f"{place} {kind.lower()}/{name}" for place, kind, name in found}

    def everything(self) -> set[str]:
        """Every object of every kind that can be listed."""
        kinds = set(self.ask("api-resources", "--verbs=list", "-o", "name").split()) - MOVING
        return self.get(",".join(sorted(kinds)))
