"""The command lines of the cluster's programs (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.kubernetes.layout import (
    API_PORT,
    CONTAINERD_SOCKET,
    FAKE_PODS,
    KUBELET_ROOT,
    NODE,
    NODE_ADDRESS,
    POD_RANGE,
    SERVICE_RANGE,
    Layout,
)

ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are: those that were built, by name, and the machine's."""

    built: Mapping[str, Path]
    containerd: Path
    ctr: Path
    runc: Path
    cni: Path
    path: str
    """The PATH that the programs get: ``mount``, ``nft`` and containerd's shim are found there."""


def commands(layout: Layout, programs: Programs, *, stages: Path | None = None) -> dict[str, Sequence[str | Path]]:
    """Every program's command line by its name, in the order in which they start; ``stages``: kwok's, instead of its own."""
    return {
        "etcd": etcd(programs),
        "containerd": [programs.containerd, "--config", layout.etc / "containerd.toml"],
        "kube-apiserver": apiserver(layout, programs),
        "kube-controller-manager": controllers(layout, programs),
        "kube-scheduler": [
            programs.built["kube-scheduler"],
            f"--kubeconfig={layout.kubeconfig_of('scheduler')}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
        "kubelet": [
            programs.built["kubelet"],
            f"--config={layout.etc / 'kubelet.yaml'}",
            f"--kubeconfig={layout.kubeconfig_of('kubelet')}",
            f"--root-dir={KUBELET_ROOT}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ],
        "kube-proxy": proxy(layout, programs),
        "coredns": [programs.built["coredns"], "-conf", layout.etc / "Corefile"],
        "kwok": kwok(layout, programs, stages),
    }


def etcd(programs: Programs) -> Sequence[str | Path]:
    """Nothing that it holds outlives the cluster, so it never waits for the disk."""
    return [
        programs.built["etcd"],
        "--data-dir=/var/lib/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
    ]


def apiserver(layout: Layout, programs: Programs) -> Sequence[str | Path]:
    """As a cluster's administrators would run it, with an audit log."""
    return [
        programs.built["kube-apiserver"],
        f"--etcd-servers={ETCD}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--client-ca-file={layout.certificate('ca')}",
        f"--tls-cert-file={layout.certificate('apiserver')}",
        f"--tls-private-key-file={layout.key('apiserver')}",
        f"--kubelet-certificate-authority={layout.certificate('ca')}",
        f"--kubelet-client-certificate={layout.certificate('to-kubelets')}",
        f"--kubelet-client-key={layout.key('to-kubelets')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.key('service-accounts')}",
        f"--service-account-signing-key-file={layout.key('service-accounts')}",
        f"--audit-policy-file={layout.etc / 'audit.yaml'}",
        f"--audit-log-path={layout.audit}",
        "--profiling=false",
    ]


def controllers(layout: Layout, programs: Programs) -> Sequence[str | Path]:
    """With the pace of a busy cluster (the default of 20 requests a second would be the limit of every test)."""
    return [
        programs.built["kube-controller-manager"],
        f"--kubeconfig={layout.kubeconfig_of('controllers')}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--use-service-account-credentials",
        f"--root-ca-file={layout.certificate('ca')}",
        f"--service-account-private-key-file={layout.key('service-accounts')}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allocate-node-cidrs=false",
        "--kube-api-qps=200",
        "--kube-api-burst=300",
    ]


def proxy(layout: Layout, programs: Programs) -> Sequence[str | Path]:
    """The machine's limits of connection tracking are not its business."""
    return [
        programs.built["kube-proxy"],
        f"--kubeconfig={layout.kubeconfig_of('proxy')}",
        "--proxy-mode=nftables",
        f"--hostname-override={NODE}",
        f"--cluster-cidr={POD_RANGE}",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--oom-score-adj=0",
    ]


def kwok(layout: Layout, programs: Programs, stages: Path | None) -> Sequence[str | Path]:
    """Plays the kubelet of nodes that have its annotation, and of no other."""
    return [
        programs.built["kwok"],
        f"--kubeconfig={layout.kubeconfig_of('kwok')}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        f"--node-ip={NODE_ADDRESS}",
        f"--cidr={FAKE_PODS}",
        f"--config={stages or programs.built['stages.yaml']}",
    ]


def import_images(programs: Programs, archive: Path) -> list[str]:
    """Reads an archive of images into containerd, where the kubelet finds them; to be run inside, with the mounts."""
    return [str(programs.ctr), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import", str(archive)]
