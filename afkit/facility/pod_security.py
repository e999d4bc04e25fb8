"""What the level of ``kubernetes.pod_security`` refuses, for everything that this file can say.

Source: Kubernetes' Pod Security Standards, levels baseline and restricted (version 1.34). afkit writes what ``restricted`` asks
for by itself, so only what the file says to the contrary is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from afkit.facility.model import RulePath
from afkit.facility.references import layer_data
from afkit.facility.report import Report
from afkit.facility.rules import Data, entries, mapping
from afkit.facility.tree import Document

_LEVELS: Final = ("restricted", "baseline", "privileged")
# fmt: off
_CAPABILITIES: Final = frozenset(
    (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
        "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)
# fmt: on
# fmt: off
_SYSCTLS: Final = frozenset(
    (
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    )
)
# fmt: on
_SELINUX: Final = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_VOLUMES: Final = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret", "image", "name")
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that only ``level`` and those above it allow."""

    path: RulePath
    what: str
    level: str


def check_pod_security(data: Data, document: Document, report: Report) -> None:
    """Add AF601 for everything that the level of the file refuses."""
    level = mapping(data, "kubernetes").get("pod_security", "restricted")
    if level not in _LEVELS:
        return
    for finding in _findings(data):
        if _LEVELS.index(finding.level) > _LEVELS.index(level):
            hint = f"Remove it, or write `pod_security: {finding.level}` under `kubernetes`."
            report.add("AF601", document.place(finding.path), f"The level `{level}` of pod_security refuses {finding.what}.", hint)


def _findings(data: Data) -> Iterator[Finding]:
    yield from _run_as(mapping(data, "identity", "run_as"), ("identity", "run_as"))
    for path, issuer in entries(data, "identity", "issuers"):
        yield from _run_as(mapping(issuer, "run_as"), (*path, "run_as"))
    if mapping(data, "cvmfs").get("driver") == "host":
        yield Finding(("cvmfs", "driver"), "the nodes' own /cvmfs", "privileged")
    claims = mapping(data, "kubernetes").get("user_namespaces", "per-user") == "per-user"
    for name in ("home", "scratch"):
        yield from _mount(mapping(data, "storage", name), ("storage", name), claims)
    for path, mount in entries(data, "storage", "shared"):
        yield from _mount(mount, path, claims)
    for path, layer in layer_data(data):
        if "pod" not in layer:
            continue
        pod = mapping(layer, "pod")
        yield from _metadata(mapping(pod, "metadata", "annotations"), (*path, "pod", "metadata", "annotations"))
        yield from _spec(mapping(pod, "spec"), (*path, "pod", "spec"))


def _run_as(run_as: Data, path: RulePath) -> Iterator[Finding]:
    if run_as.get("root") is True:
        yield Finding((*path, "root"), "containers that start as root", "baseline")
    if run_as.get("uid") == 0 and not isinstance(run_as.get("uid"), bool):
        yield Finding((*path, "uid"), "user 0", "baseline")


def _mount(mount: Data, path: RulePath, claims: bool) -> Iterator[Finding]:
    if mount.get("propagation") == "Bidirectional":
        yield Finding((*path, "propagation"), "propagation to the node", "privileged")
    volume = mapping(mount, "volume")
    for kind in volume:
        # in per-user namespaces these become claims
        if not (claims and kind == "nfs"):
            yield from _volume(kind, (*path, "volume", kind))


def _volume(kind: str, path: RulePath) -> Iterator[Finding]:
    if kind == "hostPath":
        yield Finding(path, "a folder of the node", "privileged")
    elif kind not in _VOLUMES:
        yield Finding(path, f"a volume of the kind {kind[:60]}", "baseline")


def _dicts(values: Any, path: RulePath) -> Iterator[tuple[RulePath, Data]]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield (*path, index), value


def _metadata(annotations: Data, path: RulePath) -> Iterator[Finding]:
    for key, value in annotations.items():
        if key.startswith("container.apparmor.security.beta.kubernetes.io/") and value == "unconfined":
            yield Finding((*path, key), "containers without AppArmor", "privileged")


def _spec(spec: Data, path: RulePath) -> Iterator[Finding]:
    for key, what in (("hostNetwork", "the node's network"), ("hostPID", "the node's processes"), ("hostIPC", "the node's memory")):
        if spec.get(key) is True:
            yield Finding((*path, key), what, "privileged")
    for here, volume in _dicts(spec.get("volumes"), (*path, "volumes")):
        for kind in volume:
            yield from _volume(kind, (*here, kind))
    context = mapping(spec, "securityContext")
    here = (*path, "securityContext")
    yield from _context(context, here)
    for place, sysctl in _dicts(context.get("sysctls"), (*here, "sysctls")):
        if str(sysctl.get("name")) not in _SYSCTLS:
            yield Finding((*place, "name"), "this sysctl", "privileged")
    for key in ("initContainers", "containers"):
        for place, container in _dicts(spec.get(key), (*path, key)):
            yield from _container(container, place)


def _context(context: Data, path: RulePath) -> Iterator[Finding]:
    """Judge what the security contexts of Pods and of containers have in common."""
    if context.get("runAsNonRoot") is False:
        yield Finding((*path, "runAsNonRoot"), "containers that may run as root", "baseline")
    if context.get("runAsUser") == 0:
        yield Finding((*path, "runAsUser"), "user 0", "baseline")
    for key, what in (("seccompProfile", "containers without seccomp"), ("appArmorProfile", "containers without AppArmor")):
        if mapping(context, key).get("type") == "Unconfined":
            yield Finding((*path, key, "type"), what, "privileged")
    selinux = mapping(context, "seLinuxOptions")
    for key, value in selinux.items():
        if key in ("user", "role") or (key == "type" and value not in _SELINUX):
            yield Finding((*path, "seLinuxOptions", key), f"this SELinux {key}", "privileged")
    if mapping(context, "windowsOptions").get("hostProcess") is True:
        yield Finding((*path, "windowsOptions", "hostProcess"), "processes of the node", "privileged")


def _container(container: Data, path: RulePath) -> Iterator[Finding]:
    for here, port in _dicts(container.get("ports"), (*path, "ports")):
        if port.get("hostPort"):
            yield Finding((*here, "hostPort"), "ports of the node", "privileged")
    for here, mount in _dicts(container.get("volumeMounts"), (*path, "volumeMounts")):
        if mount.get("mountPropagation") == "Bidirectional":
            yield Finding((*here, "mountPropagation"), "propagation to the node", "privileged")
    yield from _probes(container, path)
    context = mapping(container, "securityContext")
    here = (*path, "securityContext")
    yield from _context(context, here)
    if context.get("privileged") is True:
        yield Finding((*here, "privileged"), "privileged containers", "privileged")
    if context.get("allowPrivilegeEscalation") is True:
        yield Finding((*here, "allowPrivilegeEscalation"), "privilege escalation", "baseline")
    if context.get("procMount") not in (None, "Default"):
        yield Finding((*here, "procMount"), "this kind of /proc", "privileged")
    yield from _capabilities(mapping(context, "capabilities"), (*here, "capabilities"))


def _capabilities(capabilities: Data, path: RulePath) -> Iterator[Finding]:
    added = capabilities.get("add")
    for index, name in enumerate(added if isinstance(added, list) else ()):
        if str(name) not in _CAPABILITIES:
            yield Finding((*path, "add", index), f"the capability {str(name)[:60]}", "privileged")
        elif name != "NET_BIND_SERVICE":
            yield Finding((*path, "add", index), f"the capability {name}", "baseline")
    dropped = capabilities.get("drop")
    if isinstance(dropped, list) and "ALL" not in dropped:
        yield Finding((*path, "drop"), "containers that do not drop ALL capabilities", "baseline")


def _probes(container: Data, path: RulePath) -> Iterator[Finding]:
    handlers = [((*path, key), mapping(container, key)) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [((*path, "lifecycle", key), mapping(container, "lifecycle", key)) for key in ("postStart", "preStop")]
    for here, handler in handlers:
        for kind in ("httpGet", "tcpSocket"):
            if mapping(handler, kind).get("host"):
                yield Finding((*here, kind, "host"), "probes of other hosts", "privileged")
