"""What a facility file's storage and CVMFS need of a cluster: classes, claims, drivers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from afkit.facility.model import Facility, Mount
from afkit.kube.client import Kubernetes
from afkit.kube.findings import Found, verdict
from afkit.kube.nodes import node_uses, nodes_of, untolerated
from afkit.kube.project import node
from afkit.pods.cvmfs import DRIVER
from afkit.pods.layout import one_namespace, section
from afkit.pods.storage import is_made

__all__ = ["Storage"]

_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
_MOST_NAMED: Final = 5
_SHARED: Final = ("ReadWriteMany", "ReadOnlyMany")
_CVMFS_REMEDY: Final = "Install the CSI driver of CVMFS on the nodes, or write `driver: host` or `none`."


class Storage:
    """Looks at storage classes, claims and drivers."""

    def __init__(self, kube: Kubernetes, facility: Facility, shared: Mapping[str, tuple[str, str]]) -> None:
        self._kube = kube
        self._facility = facility
        self._shared = shared

    def _mounts(self) -> Iterator[Mount]:
        storage = self._facility.storage
        yield from (mount for mount in (storage.home, storage.scratch) if mount is not None)
        yield from storage.shared.values()

    async def classes(self) -> tuple[Found, ...]:
        """Every storage class that is named; the cluster's default where none is."""
        made = list(filter(_is_claimed, self._mounts()))
        if not made:
            return ()
        known = {one["metadata"]["name"]: one for one in (await self._kube.list("StorageClass"))["items"]}
        named = {mount.name: mount.storage_class or _default(known) for mount in made}
        bad = [_class_fault(mount, name) for mount, name in named.items() if name not in known]
        good = "; ".join(f"{mount}: {name} ({known.get(name, {}).get('provisioner')})" for mount, name in named.items())
        remedy = f"The cluster has {', '.join(sorted(known)) or 'none'}: write one of them as storage_class."
        return verdict("storage classes", bad, good, remedy)

    async def claims(self) -> tuple[Found, ...]:
        """Every existing claim that is named."""
        where = one_namespace(self._facility) or section(self._facility).namespace
        named = list(filter(_is_existing, self._mounts()))
        if not named:
            return ()
        bad = []
        for mount in named:
            found = await self._kube.find("PersistentVolumeClaim", str(mount.claim), where)
            bad += _claim_faults(mount, found) or await self._unshared(mount, found or {})
        return verdict(
            "claims", bad, f"{', '.join(str(mount.claim) for mount in named)} in {where}", f"Look with: kubectl -n {where} get pvc"
        )

    async def _unshared(self, mount: Mount, claim: Mapping[str, Any]) -> list[str]:
        """Whether the volume behind a claim has the label without which it is brought to nobody's namespace."""
        key, value = self._shared.get(str(mount.claim), ("", ""))
        volume = (claim.get("spec") or {}).get("volumeName")
        if not key or not volume:
            return []
        found = await self._kube.find("PersistentVolume", str(volume)) or {"metadata": {}}
        if (found["metadata"].get("labels") or {}).get(key) == value:
            return []
        return [f"The volume behind the claim {mount.claim} is not marked as shared with users: kubectl label pv {volume} {key}={value}"]

    async def drivers(self) -> tuple[Found, ...]:
        """Every CSI driver that is named, and whether the nodes of the pools have it."""
        named = self._drivers()
        if not named:
            return ()
        known = {one["metadata"]["name"] for one in (await self._kube.list("CSIDriver"))["items"]}
        nodes = await self._nodes()
        bad = list(filter(None, (_driver_fault(driver, who, driver in known, nodes) for driver, who in named.items())))
        if not nodes and not bad:
            return (Found("drivers", "unknown", f"The cluster knows {', '.join(named)}; there is no node of a pool to look at."),)
        remedy = _CVMFS_REMEDY if DRIVER in "".join(bad[:1]) else "Install the driver on the nodes of the pools."
        return verdict("drivers", bad, f"{', '.join(named)} on {len(nodes)} node{'' if len(nodes) == 1 else 's'}", remedy)

    def _drivers(self) -> dict[str, str]:
        """Every driver that is named, and by what."""
        named = {source["driver"]: f"the mount {mount.name}" for mount in self._mounts() if (source := (mount.volume or {}).get("csi"))}
        cvmfs = self._facility.cvmfs
        return named | ({DRIVER: "cvmfs"} if cvmfs is not None and cvmfs.driver == "csi" else {})

    async def _nodes(self) -> dict[str, frozenset[str]]:
        """The drivers of every node that servers of a pool can come to."""
        nodes = node_uses([node(one) for one in (await self._kube.list("Node"))["items"]], ())
        pools = self._facility.pools.values()
        ours = {one.name for pool in pools for one in nodes_of(pool, nodes) if not untolerated(one, pool)}
        drivers = dict.fromkeys(ours, frozenset[str]())
        for one in (await self._kube.list("CSINode"))["items"]:
            if one["metadata"]["name"] in ours:
                drivers[one["metadata"]["name"]] = frozenset(driver["name"] for driver in one["spec"].get("drivers") or ())
        return drivers


def _is_existing(mount: Mount) -> bool:
    """Whether it names a claim that somebody else has made."""
    return mount.claim is not None and not is_made(mount) and "{" not in mount.claim


def _is_claimed(mount: Mount) -> bool:
    """Whether claims are made for it."""
    return is_made(mount) or (mount.storage_class is not None and mount.claim is None)


def _class_fault(mount: str, name: str) -> str:
    if not name:
        return f"{mount} names no storage_class, and the cluster has no default one."
    return f"There is no StorageClass {name}, which {mount} names."


def _driver_fault(driver: str, who: str, known: bool, nodes: Mapping[str, frozenset[str]]) -> str:
    without = sorted(one for one, drivers in nodes.items() if driver not in drivers)
    if not known and len(without) == len(nodes):
        return f"The cluster has no CSI driver {driver}, which {who} needs."
    if not without:
        return ""
    more = f" and {len(without) - _MOST_NAMED} more" if len(without) > _MOST_NAMED else ""
    return f"The CSI driver {driver}, which {who} needs, does not run on {', '.join(without[:_MOST_NAMED])}{more}."


def _default(known: Mapping[str, Mapping[str, Any]]) -> str:
    return next((name for name, one in known.items() if (one["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"), "")


def _claim_faults(mount: Mount, found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return [f"There is no claim {mount.claim}, which the mount {mount.name} names."]
    if "deletionTimestamp" in found["metadata"]:
        return [f"The claim {mount.claim}, which the mount {mount.name} names, is being deleted."]
    phase = (found.get("status") or {}).get("phase")
    if phase != "Bound":
        return [f"The claim {mount.claim}, which the mount {mount.name} names, is {phase}: it has no volume."]
    modes = found["spec"].get("accessModes") or ()
    if not any(mode in _SHARED for mode in modes):
        return [f"The claim {mount.claim} is {', '.join(modes)}: servers on different nodes cannot have it together."]
    if not mount.read_only and "ReadWriteMany" not in modes:
        return [f"The claim {mount.claim} is read-only: write `read_only: true`."]
    return []
