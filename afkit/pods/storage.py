"""Home, scratch and shared mounts as volumes of a Pod, and the claims that are made for a person. Pure.

A volume has the entry's name. Its source is one of: a claim of the person's own (`own_claim`: made when missing, kept), a
static claim of afkit's making (`is_static`: what the file names elsewhere, brought along into the person's namespace), an
existing claim, space that goes with the Pod, or what the file says as Kubernetes writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import NotEntitledError
from afkit.facility.model import Facility, Mount
from afkit.names import EVERYONE
from afkit.pods.person import Person
from afkit.pods.placeholders import Names, fill, fill_all
from afkit.quantities import format_memory

__all__ = ["Volume", "check_claim_name", "claim_name", "is_made", "is_static", "mounts_of", "own_claim", "storage_names", "volume_of"]

_OBJECT: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LONGEST_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a Pod (``volume``), how any container mounts it (``mount``: without path), and the path in the main one."""

    volume: Mapping[str, Any]
    mount: Mapping[str, Any]
    path: str


def mounts_of(facility: Facility, shared: tuple[str, ...], person: Person, *, workers: bool = False) -> Iterator[Mount]:
    """The mounts that a person's Pod has: home, scratch, and of ``shared`` those names. ``workers``: only what workers have."""
    storage = facility.storage
    own = [one for one in (storage.home, storage.scratch) if one is not None and _may(one.allow, person)]
    for mount in (*own, *(storage.shared[name] for name in shared)):
        if mount.workers or not workers:
            yield mount


def storage_names(facility: Facility) -> frozenset[str]:
    """Names of volumes that only afkit makes: where one is not in a Pod, this person has no such mount."""
    return frozenset({"home", "scratch", "cvmfs", "shm", *facility.storage.shared})


def _may(audience: tuple[str, ...], person: Person) -> bool:
    return EVERYONE in audience or not person.facility_groups.isdisjoint(audience)


def is_made(mount: Mount) -> bool:
    """Whether the mount is a claim of the person's own, made when missing and kept."""
    if mount.claim is not None:
        return mount.size is not None and "{" in mount.claim
    return mount.name == "home" and mount.volume is None


def is_static(facility: Facility, mount: Mount) -> bool:
    """Whether the mount reaches Pods behind a static volume and claim of afkit's making, which is in the person's namespace.

    In one shared namespace claims stand beside the Pods already, and NFS needs none.
    """
    csi = (mount.volume or {}).get("csi")
    if isinstance(csi, Mapping) and "volumeHandle" in csi:
        return True
    if facility.kubernetes is not None and facility.kubernetes.user_namespaces != "per-user":
        return False
    return (mount.claim is not None and not is_made(mount)) or "nfs" in (mount.volume or {})


def claim_name(facility: Facility, mount: Mount, names: Names, owner: str) -> str:
    """The name of the claim behind a mount (one of `is_made` or `is_static`, or an existing one) in the person's namespace.

    Where placeholders of this person make no name of it, `check_claim_name` says so.
    """
    if is_static(facility, mount):
        return f"afkit-{mount.name}"
    if mount.claim is not None:
        return fill(mount.claim, names)
    if facility.kubernetes is not None and facility.kubernetes.user_namespaces != "per-user":
        return f"afkit-{mount.name}-{owner}"
    return f"afkit-{mount.name}"


def check_claim_name(name: str) -> None:
    """Raises `NotEntitledError` where a login name has made what is no name of a claim."""
    if len(name) > _LONGEST_NAME or not _OBJECT.fullmatch(name):
        raise NotEntitledError(
            "Your login name cannot be part of the name of a claim, and this facility uses it as one.",
            "Ask the administrators for another name.",
        )


def own_claim(facility: Facility, mount: Mount, names: Names, person: Person, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The claim that is made for this mount where it is missing, and kept; ``None`` where there is none. ``metadata`` has no name."""
    if not is_made(mount):
        return None
    name = claim_name(facility, mount, names, person.owner)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": person.namespace, **metadata},
        "spec": _claim_spec(mount),
    }


def _claim_spec(mount: Mount) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": [mount.access],
        "resources": {"requests": {"storage": format_memory(mount.size or 1)}},
    }
    if mount.storage_class is not None:
        spec["storageClassName"] = mount.storage_class
    return spec


def volume_of(facility: Facility, mount: Mount, names: Names, person: Person, metadata: Mapping[str, Any]) -> Volume:
    """The volume of a mount. ``metadata`` (labels, annotations) is for a claim that goes with the Pod."""
    how: dict[str, Any] = {}
    if mount.sub_path is not None:
        how["subPath"] = fill(mount.sub_path, names)
    if mount.read_only and person.facility_groups.isdisjoint(mount.write):
        how["readOnly"] = True
    if mount.propagation is not None:
        how["mountPropagation"] = mount.propagation
    source = _source(facility, mount, names, person, metadata)
    return Volume({"name": mount.name, **source}, {"name": mount.name, **how}, fill(mount.mount, names))


def _source(facility: Facility, mount: Mount, names: Names, person: Person, metadata: Mapping[str, Any]) -> dict[str, Any]:
    if is_static(facility, mount) or is_made(mount) or mount.claim is not None:
        return {"persistentVolumeClaim": {"claimName": claim_name(facility, mount, names, person.owner)}}
    if mount.volume is not None:
        return dict(fill_all(mount.volume, names))
    if mount.storage_class is not None:
        template = {"metadata": {key: dict(value) for key, value in metadata.items()}, "spec": _claim_spec(mount)}
        return {"ephemeral": {"volumeClaimTemplate": template}}
    return {"emptyDir": {} if mount.size is None else {"sizeLimit": format_memory(mount.size)}}
