"""Why the containers of a pod that has a node do not run: image, volumes, sandbox, programs, or plain silence. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from afkit.kube.pending_model import ADMIN, Facts, Pending, ago, cut, happened

__all__ = ["explain_containers"]

SILENT_AFTER: Final = 8.0
"""So many seconds nothing may be said while volumes are prepared, before that itself is the news."""
_IMAGE: Final = frozenset(
    (
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    )
)
_CREATE: Final = frozenset(("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CreatePodSandboxError"))
_PULL_CAUSES: Final[tuple[tuple[str, str, bool], ...]] = (
    # what the node says, what it means, whether waiting is useless
    (r"no match for platform|no matching manifest|exec format error", "it has none for this node's architecture ({arch})", True),
    # registries that give tokens answer the same for both
    (r"pull access denied|insufficient_scope", "the registry does not have it, or does not let this cluster have it", True),
    (r"not found|manifest unknown|name unknown|repository does not exist", "the registry does not have it (any more)", True),
    (r"toomanyrequests|\b429\b|rate limit", "the registry has had too many requests and asks to wait", False),
    (
        r"unauthorized|authentication required|no basic auth|denied|forbidden|\b40[13]\b",
        "the registry does not let this cluster have it",
        True,
    ),
    (r"no space left|disk", "the node's disk is full", False),
    (r"no such host|timeout|timed out|connection refused|unreachable|dial tcp|EOF|\b50[0234]\b", "the registry does not answer", False),
    (r"x509|certificate|http: server gave HTTP response", "the registry's certificate is not trusted by the node", True),
)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MISSING: Final = re.compile(r'(secret|configmap) "([^"]+)" not found|couldn\'t find key (\S+) in (Secret|ConfigMap) (\S+)', re.IGNORECASE)
_VOLUME: Final = re.compile(r'for volume "([^"]+)"|unmounted volumes=\[([^\]]+)\]')
_MOUNT_CAUSES: Final = (
    (r"driver name \S+ not found in the list of registered CSI drivers", "the node has no driver {driver} for it"),
    (r"waiting for external-attacher of (\S+) CSI driver", "the cluster has no driver {0} that answers"),
    (r"dial unix \S+: connect: (?:connection refused|no such file)", "the node's storage driver does not run"),
    (r'secret "([^"]+)" not found', "the Secret {0} does not exist"),
    (r'configmap "([^"]+)" not found', "the ConfigMap {0} does not exist"),
    (r"hostPath type check failed: (\S+) is not", "the node has no {0}"),
    (r"Multi-Attach error", "it is in use on another node, and can be on one node only"),
    (r"DeadlineExceeded|timed out|context deadline exceeded", "its server or driver does not answer in time"),
    (r"access denied|Permission denied|permission denied", "its server does not let this node have it"),
    (r"Connection refused|No route to host|No such host|mount\.nfs", "its server cannot be reached from the node"),
)
_NOT_AN_ERROR: Final = frozenset(("ContainerCreating", "PodInitializing", ""))
_ELSEWHERE: Final = frozenset(("persistentVolumeClaim", "csi", "nfs", "ephemeral"))
_OOM: Final = "OOMKilled"
_CRASHES: Final = 3
"""After so many restarts another will not help."""


def explain_containers(facts: Facts) -> Pending:
    """Why the containers are not running and ready."""
    mains = facts.containers
    for container in (*facts.init_containers, *mains):
        found = _waiting(facts, container) or _ended(facts, container)
        if found is not None:
            return found
    if facts.ready:
        return Pending("ready", "The server is running.", progress=100)
    if any(map(_runs, mains)):
        return Pending("starting", "The server's program is starting.", progress=80)
    return _mount(facts) or _sandbox(facts) or _preparing(facts)


def _runs(container: Mapping[str, Any]) -> bool:
    return "running" in (container.get("state") or {})


def _waiting(facts: Facts, container: Mapping[str, Any]) -> Pending | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, said = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in _NOT_AN_ERROR:
        return None
    if reason in _IMAGE:
        return _image(facts, str(container.get("image") or ""), reason, said)
    if reason in _CREATE:
        return _create(facts, said)
    if reason == "CrashLoopBackOff":
        return _crash(facts, container, _last_end(container), final=container.get("restartCount", 0) >= _CRASHES)
    return Pending("container", f"Its container does not start ({reason}): {cut(said)}.", facts.ask, who=ADMIN, progress=40)


def _last_end(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("lastState") or {}).get("terminated") or {}


def _image(facts: Facts, image: str, reason: str, said: str) -> Pending:
    event = facts.last("Failed", "InspectFailed")
    text = f"{said} {event.get('message') if event else ''}"
    if reason == "InvalidImageName":
        return Pending("image", f"{image} is no name of an image.", facts.ask, who=ADMIN, final=True, progress=40)
    if reason == "ErrImageNeverPull":
        return Pending(
            "image", f"The image {image} is not on the node and may not be pulled.", facts.ask, who=ADMIN, final=True, progress=40
        )
    # the name of the image, and any digest, may have any of the words in it
    plain = _DIGEST.sub("", text.replace(image, ""))
    arch = facts.pool.arch if facts.pool is not None else "its own"
    for pattern, meaning, final in _PULL_CAUSES:
        if re.search(pattern, plain, re.IGNORECASE):
            message = f"The image {image} cannot be pulled: {meaning.format(arch=arch)}."
            hint = "Choose another image, or ask" if final else "It is tried again by itself; if this lasts, ask"
            return Pending("image", message, f"{hint}{facts.ask.removeprefix('Ask')}", who=ADMIN, final=final, progress=40)
    message = f"The image {image} cannot be pulled: {cut(plain) or reason}."
    return Pending("image", message, f"It is tried again by itself. {facts.ask}", who=ADMIN, progress=40)


def _create(facts: Facts, said: str) -> Pending:
    missing = _MISSING.search(said)
    if missing is not None:
        what = (
            f"The {missing[1]} {missing[2]}" if missing[1] else f"The key {missing[3]} of the {missing[4]} {missing[5].rpartition('/')[2]}"
        )
        message = f"{what.replace('secret', 'Secret').replace('configmap', 'ConfigMap')}, which the server needs, does not exist."
        return Pending("secret", message, facts.ask, who=ADMIN, progress=50)
    return Pending("container", f"The node cannot make the server's container: {cut(said.rstrip('.'))}.", facts.ask, who=ADMIN, progress=50)


def _ended(facts: Facts, container: Mapping[str, Any]) -> Pending | None:
    ended = (container.get("state") or {}).get("terminated")
    if ended is None or (ended.get("exitCode") == 0 and container.get("ready")) or (ended.get("exitCode") == 0 and facts.phase != "Failed"):
        return None
    return _crash(facts, container, ended, final=facts.phase == "Failed")


def _crash(facts: Facts, container: Mapping[str, Any], ended: Mapping[str, Any], *, final: bool) -> Pending:
    name, code = container.get("name"), ended.get("exitCode")
    if ended.get("reason") == _OOM:
        message = f"Its container {name} needed more memory than its size allows and was ended."
        return Pending("memory", message, "Take a larger size.", who="you", final=final, progress=60)
    said = cut(str(ended.get("message") or ""))
    message = (
        f"Its container {name} ended with code {code}{f' ({said})' if said else ''}, {container.get('restartCount', 0)} times restarted."
    )
    return Pending(
        "crash", message, f"Its log says more: the image or its start command may be wrong. {facts.ask}", final=final, progress=60
    )


def _mount(facts: Facts) -> Pending | None:
    event = facts.last("FailedMount", "FailedAttachVolume", "FailedMapVolume")
    later = facts.last("Pulling", "Pulled", "Created", "Started")
    if event is None or (later is not None and happened(later) > happened(event)):
        return None
    said = str(event.get("message") or "")
    found = _VOLUME.search(said)
    volume = (found[1] or found[2] if found else "").strip()
    why = cut(said.rstrip("."))
    for pattern, meaning in _MOUNT_CAUSES:
        cause = re.search(pattern, said)
        if cause is not None:
            why = meaning.format(*cause.groups(), driver=_driver(said))
            break
    message = f"{_called(facts, volume)} cannot be mounted on node {facts.node}: {why}."
    return Pending("volume", message, f"It is tried again by itself. {facts.ask}", who=ADMIN, progress=20)


def _driver(said: str) -> str:
    found = re.search(r"driver name (\S+) not found", said)
    return found[1] if found else ""


def _called(facts: Facts, volume: str) -> str:
    """A volume as people know it: a claim's volume has a name of the cluster's own, and is that of the pod's only claim."""
    if "cvmfs" in volume:
        return "CVMFS"
    volumes = facts.volumes
    # static volumes of afkit's making are named after namespace and mount
    volume = volume.removeprefix(f"{facts.pod['metadata'].get('namespace')}-")
    claimed = [name for name, source in volumes.items() if "persistentVolumeClaim" in source and not name.startswith("cvmfs")]
    name = claimed[0] if volume not in volumes and len(claimed) == 1 else volume
    return "The home directory" if name == "home" else f"The volume {name}" if name else "A volume"


def _sandbox(facts: Facts) -> Pending | None:
    event = facts.last("FailedCreatePodSandBox")
    later = facts.last("Pulling", "Pulled", "Created", "Started")
    if event is None or (later is not None and happened(later) > happened(event)):
        return None
    said = cut(str(event.get("message") or "").rstrip("."))
    message = f"Node {facts.node} cannot prepare the server's pod: {said}."
    return Pending("node", message, f"It is tried again by itself. {facts.ask}", who=ADMIN, progress=20)


def _preparing(facts: Facts) -> Pending:
    last, silent = facts.last(), facts.silence
    if last is not None and last.get("reason") == "Pulling":
        image = next((one.get("image") for one in facts.containers), "")
        return Pending("pulling", f"The image {image} is being pulled to node {facts.node}, for {ago(silent)} now.", progress=40)
    running = [one.get("name") for one in facts.init_containers if _runs(one)]
    if running:
        return Pending("preparing", f"It is being prepared by its container {running[0]}, for {ago(silent)} now.", progress=50)
    if silent < SILENT_AFTER:
        return Pending("preparing", f"Node {facts.node} prepares the server.", progress=30)
    return _silent(facts)


def _silent(facts: Facts) -> Pending:
    """Nothing has been said for some time: a file system that does not answer gives no event at all."""
    remote = [name for name, source in facts.volumes.items() if _remote(source)]
    if not remote:
        message = f"Node {facts.node} has said nothing about the server for {ago(facts.silence)}."
        return Pending("silent", message, facts.ask, who=ADMIN, progress=30)
    others = [name for name in remote if not name.startswith("cvmfs")]
    if len(others) < len(remote):
        suspect, also = "CVMFS", f" (it also has {', '.join(others)})" if others else ""
    else:
        suspect, also = f"the storage of {' or '.join(others)}", ""
    message = f"Node {facts.node} has said nothing for {ago(facts.silence)} while it prepares the server's volumes"
    hint = f"It starts by itself when that answers again; or stop it and start it anew, perhaps on another node. {facts.ask}"
    return Pending("silent", f"{message}: probably {suspect} does not answer there{also}.", hint, who=ADMIN, progress=30)


def _remote(source: Mapping[str, Any]) -> bool:
    return not _ELSEWHERE.isdisjoint(source) or str((source.get("hostPath") or {}).get("path", "")).startswith("/cvmfs")
