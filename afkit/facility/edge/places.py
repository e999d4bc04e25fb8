"""``cvmfs``, ``storage`` and ``kubernetes``: what is mounted, and the cluster's side."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from afkit.facility.edge.base import Part, many, may, need, refuse, several
from afkit.facility.edge.types import (
    Duration,
    Filled,
    Groups,
    Memory,
    Name,
    Namespace,
    ObjectName,
    check_placeholders,
    unique,
)

PRIVATE_RANGES = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""Addresses that are not the internet's (RFC 1918, 4193, 6598): most clusters are within them."""
Access = Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"]

_REPOSITORY = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{40}(-(rmd160|shake128))?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z)?", re.ASCII)
_CLAIM_WORD = re.compile(r"\{\w+\}")


def _repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text) or len(text) > 253:
        refuse("AF217", f"{text[:80]!r} is no fully qualified repository name.", "Write it whole, for example cms.cern.ch.")
    return text


def _root_hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        refuse("AF217", f"{text[:80]!r} is no root hash.", "Write the 40 hexadecimal digits of a root catalogue.")
    return text


def _date(text: str) -> str:
    if not _DATE.fullmatch(text):
        refuse("AF217", f"{text[:40]!r} is no date.", "Write 2026-11-30, or 2026-11-30T12:00Z.")
    return text


def _mount_path(text: str) -> str:
    if ":" in text or not text.startswith("/") or ".." in text.split("/"):
        refuse("AF212", f"{text[:80]!r} is no path inside a container.", "Begin with /, without .. and without a colon.")
    return check_placeholders(text)


def _sub_path(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/") or not text:
        refuse("AF212", f"{text[:80]!r} is no path below the root of the mount.", "Write it without a leading / and without ..")
    return check_placeholders(text)


def _claim(text: str) -> str:
    check_placeholders(text)
    rest = _CLAIM_WORD.sub("x", text)
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", rest, re.ASCII) or len(rest) > 253:
        refuse("AF217", f"{text[:80]!r} is no name of a claim.", "Use a to z, 0 to 9, - and points inside, and placeholders.")
    return text


def _range(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        refuse("AF217", f"{text[:80]!r} is no range of addresses.", "Write the first address and the length: 10.0.0.0/8, fd00::/8.")


Repository = Annotated[str, AfterValidator(_repository)]
AddressRange = Annotated[str, AfterValidator(_range)]
MountPath = Annotated[str, AfterValidator(_mount_path), WithJsonSchema({"type": "string", "pattern": "^/"})]
SubPath = Annotated[str, AfterValidator(_sub_path)]
Claim = Annotated[str, AfterValidator(_claim)]


class Pin(Part):
    """One state of a repository: exactly one of the three."""

    tag: Filled | None = may("Tag.")
    root_hash: Annotated[str, AfterValidator(_root_hash)] | None = may("Root hash.")
    date: Annotated[str, AfterValidator(_date)] | None = may("Date.", examples=["2026-11-30"])


class RepositoryEntry(Part):
    """A CVMFS repository."""

    pin: Pin | None = may("The state that is mounted.", shown="(the newest)", examples=[{"tag": "release-2026"}])


class Cvmfs(Part):
    """How /cvmfs comes into servers and workers."""

    driver: Literal["csi", "host", "directory", "none"] = need("csi, host, directory (for a laptop) or none.", examples=["csi"])
    storage_class: ObjectName | None = may("Storage class of the driver `csi`.", shown="cvmfs")
    path: str | None = may("Where the tree is, for the drivers `host` and `directory`.", shown="/cvmfs")
    repositories: dict[Repository, RepositoryEntry] = several("Repositories, by fully qualified name.", examples=[{"cms.cern.ch": {}}])
    on_failure: Literal["refuse", "warn"] = may("What happens to a server whose repositories do not answer.", "refuse")


class Mount(Part):
    """A mount: a path and exactly one source."""

    mount: MountPath = need("Path in servers and workers.", examples=["/data"])
    size: Memory | None = may("Size of what is made, or only shown.", examples=["20Gi"])
    claim: Claim | None = may("An existing claim, or with `size` and a user's placeholder one that is made.", examples=["datasets"])
    volume: dict[str, Any] | None = may(
        "A volume source as Kubernetes writes it.", examples=[{"nfs": {"server": "nfs.example.org", "path": "/x"}}]
    )
    storage_class: ObjectName | None = may("Storage class of a claim that is made.", shown="(the cluster's)")
    access: Access | None = may("Access mode of a claim.", shown="ReadWriteOnce")
    sub_path: SubPath | None = may("Path below the root of the source.", examples=["{username}"])
    read_only: bool = may("Nobody writes but the groups of `write`.", False)
    write: Groups = may("Groups that have it and may write all the same.", [], shown=[])
    allow: Groups = may("Groups that may have it.", ["everyone"], shown="everyone")
    propagation: Literal["None", "HostToContainer", "Bidirectional"] | None = may("Mount propagation.", shown="(Kubernetes': None)")
    workers: bool | None = may("Also in Dask workers.", shown="(true; false for a claim of one node or Pod)")


class Home(Mount):
    """The home of a user."""

    path: MountPath | None = may("Home directory, HOME and start directory.", shown="(the mount)")


def _mapping_or_none(value: Any) -> Any:
    if value == "none":
        return None
    if not isinstance(value, dict):
        refuse("AF203", "This is a mapping, or `none`.", "Write its keys, or none.")
    return value


_NONE_SCHEMA: Any = Literal["none"]


class Storage(Part):
    """Home, scratch and shared mounts."""

    home: Annotated[Home | None, BeforeValidator(_mapping_or_none, json_schema_input_type=Home | _NONE_SCHEMA)] = may(
        "The home, or `none`.", shown="(required on Kubernetes)"
    )
    scratch: Mount | None = may("Scratch space.", shown="(none)")
    shared: dict[Name, Mount] = several("Shared mounts, by name.")


class ServiceAccount(Part):
    """The service account of sessions and workers; it has no right of its own."""

    name: ObjectName | None = may("Name.", shown="(afkit's)")
    annotations: dict[str, str] = several("Annotations.")


class Network(Part):
    """Rules as NetworkPolicy writes them, added to the derived ones."""

    egress: list[dict[str, Any]] = many("Egress rules.")
    ingress: list[dict[str, Any]] = many("Ingress rules.")


class Kubernetes(Part):
    """The cluster's side."""

    namespace: Namespace | None = may("Namespace of hub and services.", shown="(required)", examples=["af-system"])
    user_namespaces: Namespace = may("`per-user`, or the name of one namespace; `shared`: that of the hub.", "per-user")
    pod_security: Literal["restricted", "baseline", "privileged"] = may("Level of users' namespaces.", "restricted")
    service_account: ServiceAccount = may("Service account of sessions and workers.", ServiceAccount(), shown={})
    pull_secrets: Annotated[list[ObjectName], AfterValidator(unique)] = many("Secrets with which images are pulled.")
    network: Annotated[Network | None, BeforeValidator(_mapping_or_none, json_schema_input_type=Network | _NONE_SCHEMA)] = may(
        "Rules added to the derived network policies; `none`: no policies.", Network(), shown={}
    )
    ranges: Annotated[list[AddressRange], AfterValidator(unique)] = may(
        "Addresses of pods, services, nodes and the API server, which a wide range in `network` does not open.",
        list(PRIVATE_RANGES),
        shown=list(PRIVATE_RANGES),
    )
    policies: Literal["enforce", "audit", "off"] = may("Admission policies.", "enforce")
    capacity: Literal["closed", "open"] = may("What an unknown free capacity means for accelerators.", "closed")
    api_timeout: Duration = may("Longest wait for the API server.", 10, shown="10s")
    start_timeout: Duration = may("Longest start of a server.", 600, shown="600s")
