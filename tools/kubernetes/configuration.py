"""The configuration files of the cluster's programs, as text (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.kubernetes.layout import (
    CONTAINERD_ROOT,
    CONTAINERD_SOCKET,
    DNS_SERVICE,
    DOMAIN,
    NODE_ADDRESS,
    PAUSE,
    REAL_PODS,
    Layout,
)


def files(layout: Layout, *, cni: Path, runc: Path, snapshotter: str = "overlayfs") -> dict[Path, str]:
    """Every configuration file and what stands in it."""
    return {
        layout.etc / "containerd.toml": containerd(layout, cni, runc, snapshotter),
        layout.etc / "cni" / "10-pods.conflist": json.dumps(network()),
        layout.etc / "kubelet.yaml": json.dumps(kubelet(layout)),
        layout.etc / "Corefile": corefile(layout),
        layout.etc / "audit.yaml": json.dumps(audit()),
        layout.resolv: f"nameserver {DNS_SERVICE}\nsearch svc.{DOMAIN} {DOMAIN}\noptions ndots:5\n",
        layout.etc / "nothing.conf": "",
    }


def containerd(layout: Layout, cni: Path, runc: Path, snapshotter: str) -> str:
    """For containerd 1.6 and later (2.x reads version 2 and translates it).

    ``restrict_oom_score_adj``: without CAP_SYS_RESOURCE no pod would start otherwise; ``opt`` would make a folder on the machine.
    """
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{CONTAINERD_ROOT}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[{cri}]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true

[{cri}.cni]
bin_dir = "{cni}"
conf_dir = "{layout.etc / "cni"}"

[{cri}.registry]
config_path = "{layout.etc / "certs.d"}"

[{cri}.containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
BinaryName = "{runc}"
"""


def network() -> Mapping[str, Any]:
    """The pods' network: each pod is routed to, none shares a bridge, so that rules on forwarded packets see all of them."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": REAL_PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}]}


def kubelet(layout: Layout) -> Mapping[str, Any]:
    """The kubelet's configuration: never swaps images away, never evicts for a disk that others fill, one cgroup of its own."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.certificate("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.certificate("kubelet-server")),
        "tlsPrivateKeyFile": str(layout.key("kubelet-server")),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "resolvConf": str(layout.etc / "nothing.conf"),
        "maxPods": 150,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
    }


def corefile(layout: Layout) -> str:
    """The cluster's names; every other name does not exist, since nothing outside can be reached."""
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
    bind {NODE_ADDRESS}
    errors
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {layout.kubeconfig_of("coredns")}
    }}
}}
.:53 {{
    bind {NODE_ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def audit() -> Mapping[str, Any]:
    """What the API server writes down: objects as people and the facility sent them, never a secret's content; of the rest nothing."""
    own = ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy", "system:coredns", "kwok"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": own},
            {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {
                "level": "Metadata",
                "resources": [
                    {"group": "", "resources": ["secrets", "configmaps", "serviceaccounts/token"]},
                    {"group": "authentication.k8s.io", "resources": ["*"]},
                ],
            },
            {"level": "Request", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "Metadata"},
        ],
    }
