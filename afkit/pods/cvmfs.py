"""How ``/cvmfs`` reaches a Pod. Pure.

Shapes, from the driver's own documentation (cvmfs-csi 2): the whole root, mounted once with ``HostToContainer``, heals by itself
when the node's client restarts; a pinned repository is a volume of its own, whose private client mounts one state of it, and
needs a new server after that. Both are read-only and ``ReadOnlyMany``, behind claims that stand in the person's namespace.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.pods.slugs import safe
from afkit.pods.storage import Volume

__all__ = ["CLAIM", "DRIVER", "ROOT", "cvmfs_env", "cvmfs_volumes", "pinned_attributes", "pinned_claim"]

DRIVER: Final = "cvmfs.csi.cern.ch"
ROOT: Final = "/cvmfs"
CLAIM: Final = "afkit-cvmfs"
"""Name of the claim of the whole root."""
_PINS: Final = {"tag": "CVMFS_REPOSITORY_TAG", "root_hash": "CVMFS_ROOT_HASH", "date": "CVMFS_REPOSITORY_DATE"}
_WHOLE: Final = {"name": "cvmfs", "readOnly": True, "mountPropagation": "HostToContainer"}


def cvmfs_volumes(facility: Facility, repositories: tuple[str, ...]) -> tuple[Volume, ...]:
    """The volumes for these repositories: the whole root, unless all of them are pinned, and one each for those that are."""
    cvmfs = facility.cvmfs
    if cvmfs is None or cvmfs.driver not in ("csi", "host") or not repositories:
        return ()
    whole = Volume({"name": "cvmfs", **_root(cvmfs.driver, cvmfs.path)}, _WHOLE, ROOT)
    if cvmfs.driver == "host":
        # the node's own client decides which state it shows
        return (whole,)
    pinned = [name for name in repositories if cvmfs.repositories.get(name)]
    own = (_pinned(name) for name in pinned)
    return tuple(own) if len(pinned) == len(repositories) else (whole, *own)


def _root(driver: str, path: str | None) -> dict[str, Any]:
    if driver == "host":
        return {"hostPath": {"path": path or ROOT, "type": "Directory"}}
    return {"persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True}}


def _pinned(repository: str) -> Volume:
    # the name of a volume is a DNS label, and that of a repository has points
    name = safe(f"cvmfs-{repository}")
    claim = {"claimName": pinned_claim(repository), "readOnly": True}
    return Volume({"name": name, "persistentVolumeClaim": claim}, {"name": name, "readOnly": True}, f"{ROOT}/{repository}")


def pinned_claim(repository: str) -> str:
    """Name of the claim of a pinned repository."""
    return f"{CLAIM}-{repository}"


def pinned_attributes(facility: Facility, repository: str) -> dict[str, str]:
    """The volume attributes with which the driver mounts the pinned state; all Pods of a node share one client for it."""
    pin: Mapping[str, str] = facility.cvmfs.repositories[repository] if facility.cvmfs is not None else {}
    # a shell reads the lines
    lines = [f"{_PINS[kind]}={shlex.quote(_moment(value) if kind == 'date' else value)}" for kind, value in pin.items()]
    shared = safe(f"{facility.name}-{repository}-{'-'.join(pin.values())}")
    return {"repository": repository, "clientConfig": "\n".join(lines), "sharedMountID": shared}


def _moment(date: str) -> str:
    """``2026-11-30`` and ``2026-11-30T12:00Z`` as the client takes them: with hours, minutes and seconds."""
    day, _, time = date.rstrip("Z").partition("T")
    return f"{day}T{(time or '00:00') + (':00' if time.count(':') < 2 else '')}Z"


def cvmfs_env(facility: Facility, repositories: tuple[str, ...]) -> dict[str, str]:
    """What a session is told: the repositories that it asked for, and what happens where one does not answer."""
    if not cvmfs_volumes(facility, repositories) or facility.cvmfs is None:
        return {}
    return {"AFKIT_CVMFS": ",".join(repositories), "AFKIT_CVMFS_ON_FAILURE": facility.cvmfs.on_failure}
