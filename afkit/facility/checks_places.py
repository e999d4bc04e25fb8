"""Checks of pools, images, sizes and storage that need several sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from afkit.facility.build import is_claim
from afkit.facility.checks_profiles import ProfileChecks
from afkit.facility.model import Mount, Pool
from afkit.quantities import UNSET, Unset, format_cpu, format_memory

_PRODUCT_LABELS = {"nvidia": "nvidia.com/gpu.product", "amd": "amd.com/gpu.product-name", "intel": "gpu.intel.com/product"}
_ONE_NODE = ("ReadWriteOnce", "ReadWriteOncePod")
# drivers of block devices, from their own documentation: a volume is attached to one node
_ONE_NODE_DRIVERS = (
    "ebs.csi.aws.com",
    "disk.csi.azure.com",
    "pd.csi.storage.gke.io",
    "cinder.csi.openstack.org",
    "rbd.csi.ceph.com",
    "csi.vsphere.vmware.com",
    "driver.longhorn.io",
    "topolvm.io",
    "local.csi.openebs.io",
    "hostpath.csi.k8s.io",
)


def check_places(checks: ProfileChecks) -> None:
    """Check sizes' limits, images' tags, pools' accelerators, and storage."""
    _check_sizes(checks)
    _check_images(checks)
    _check_resources(checks)
    if checks.parsed.whole("storage"):
        _check_home(checks)
        _check_paths(checks)
        if checks.parsed.whole("kubernetes"):
            _check_sharing(checks)


def _check_sizes(checks: ProfileChecks) -> None:
    for name, size in checks.facility.sizes.items():
        limits = (("cpu_limit", size.cpu, size.cpu_limit, format_cpu), ("memory_limit", size.memory, size.memory_limit, format_memory))
        for key, request, limit, show in limits:
            if request is not None and limit is not UNSET and limit is not None and limit < request:
                hint = f"Write at least {show(request)}, or `none`."
                checks.add("AF216", ("sizes", name, key), "The limit is below the request.", hint)
        most = _memory_of(size.memory, size.memory_limit)
        if size.shm is not UNSET and most is not None and size.shm > most:
            message = "There is less memory than /dev/shm, which counts as memory."
            checks.add("AF216", ("sizes", name, "shm"), message, f"Write at most {format_memory(most)}.")


def _memory_of(request: int | None, limit: int | Unset | None) -> int | None:
    return request if limit is UNSET else limit


def _check_images(checks: ProfileChecks) -> None:
    for name, image in checks.facility.images.items():
        if image.image is None or "@" in image.image:
            continue
        tag = image.image.rpartition("/")[2].partition(":")[2]
        path = ("images", name, "image")
        if tag in ("", "latest"):
            what = "no tag" if not tag else "the tag `latest`"
            message = f"The image {name!r} has {what}: it is pulled at every start, and may be another one each time."
            checks.add("AF702", path, message, "Write the reference with a tag and a digest.")
        else:
            message = f"The image {name!r} has a tag and no digest: what it is may change."
            checks.add("AF701", path, message, "Write the digest behind it: …@sha256:….")


def _check_resources(checks: ProfileChecks) -> None:
    pools = [pool for name, pool in checks.facility.pools.items() if checks.parsed.whole("pools", name)]
    by_resource: dict[str, list[Pool]] = {}
    for pool in pools:
        if pool.accelerator is not None and pool.accelerator.resource is not None:
            by_resource.setdefault(pool.accelerator.resource, []).append(pool)
    for resource, sharing in by_resource.items():
        for one, other in combinations(sharing, 2):
            checks.spend(5)
            if _product(one) != _product(other) and not _selected_apart(one, other):
                message = (
                    f"The pools {one.name!r} and {other.name!r} offer different accelerators as {resource}, and no label tells them apart."
                )
                hint = "Give both a `node_selector` with one key and different values, or both a `product`."
                checks.add("AF510", ("pools", other.name, "accelerator"), message, hint)


def _product(pool: Pool) -> str | None:
    return pool.accelerator.product if pool.accelerator is not None else None


def _labels(pool: Pool) -> dict[str, str]:
    labels = {**pool.node_selector, "kubernetes.io/arch": pool.arch}
    product = _product(pool)
    if pool.accelerator is not None and product is not None:
        labels[_PRODUCT_LABELS[pool.accelerator.vendor]] = product
    return labels


def _selected_apart(one: Pool, other: Pool) -> bool:
    first, second = _labels(one), _labels(other)
    return any(first[key] != second[key] for key in first.keys() & second.keys())


def _check_home(checks: ProfileChecks) -> None:
    facility = checks.facility
    home = facility.storage.home
    if home is None or not is_claim("home", home) or home.access not in _ONE_NODE:
        return
    several = [group for group, limit in facility.limits.items() if _more_than_one(limit.servers)]
    if several:
        message = f"The home is {home.access}, and people of the group {several[0]!r} may have more than one server."
        hint = "Servers on another node wait for ever; write `access: ReadWriteMany`, or `servers: 1`."
    elif home.workers and any(profile.dask is not None for profile in facility.profiles.values()):
        message = f"The home is {home.access}, and Dask workers mount it."
        hint = "Workers on another node wait for ever; write `access: ReadWriteMany`, or `workers: false`."
    else:
        return
    checks.add("AF514", ("storage", "home", "access"), message, hint)


def _more_than_one(servers: int | Unset | None) -> bool:
    return servers is None or (servers is not UNSET and servers > 1)


def _mounts(checks: ProfileChecks) -> Iterator[tuple[tuple[str, ...], Mount]]:
    storage = checks.facility.storage
    if storage.home is not None:
        yield ("storage", "home"), storage.home
    if storage.scratch is not None:
        yield ("storage", "scratch"), storage.scratch
    for name, mount in storage.shared.items():
        yield ("storage", "shared", name), mount


def _check_paths(checks: ProfileChecks) -> None:
    cvmfs = checks.facility.cvmfs
    taken = {"/dev/shm": "/dev/shm"}  # noqa: S108 - a path in the container
    if cvmfs is not None and cvmfs.driver != "none":
        taken["/cvmfs"] = "CVMFS"
    for path, mount in _mounts(checks):
        where = mount.mount.rstrip("/") or "/"
        if where in taken:
            message = f"The mount {mount.name!r} has the same path as {taken[where]}."
            checks.add("AF518", (*path, "mount"), message, "Choose another path.")
        elif path[1] != "shared":
            # shared mounts may have one path where no server has both
            taken[where] = f"the mount {mount.name!r}"


def _check_sharing(checks: ProfileChecks) -> None:
    kubernetes = checks.facility.kubernetes
    if kubernetes is None or kubernetes.user_namespaces != "per-user":
        return
    for path, mount in _mounts(checks):
        if kubernetes.policies == "off" and _is_static(mount):
            message = f"Without admission policies a user could mount {mount.name!r} and its like from the per-user namespace."
            checks.add("AF516", ("kubernetes", "policies"), message, "Write `policies: enforce` (or audit), or use one namespace.")
        _check_claim(checks, path, mount)
        _check_driver(checks, path, mount)


def _check_claim(checks: ProfileChecks, path: tuple[str, ...], mount: Mount) -> None:
    if mount.claim is None:
        return
    if "{" in mount.claim:
        if mount.size is None:
            message = f"The claims {mount.claim!r} are one for each user, so no admission policy can name them as sources."
            hint = "Write the namespace with them as `user_namespaces`, a `size` to make them anew, or `sub_path` of one shared claim."
            checks.add("AF515", (*path, "claim"), message, hint)
    elif mount.access in _ONE_NODE:
        message = f"The claim {mount.claim!r} is {mount.access}, so per-user namespaces cannot share it."
        hint = "Write `access: ReadWriteMany` or `ReadOnlyMany` if it is so, or `user_namespaces: shared`."
        at = (*path, "access") if checks.document.node((*path, "access")) else (*path, "claim")
        checks.add("AF515", at, message, hint)


def _check_driver(checks: ProfileChecks, path: tuple[str, ...], mount: Mount) -> None:
    driver = _csi(mount).get("driver")
    if "volumeHandle" in _csi(mount) and driver in _ONE_NODE_DRIVERS:
        message = f"The driver {driver} gives a volume to one node, so per-user namespaces cannot share {mount.name!r}."
        hint = "Name a volume of a driver for shared files (NFS, CephFS), or a `size` for each user's own."
        checks.add("AF515", (*path, "volume", "csi", "driver"), message, hint)


def _csi(mount: Mount) -> Mapping[str, Any]:
    csi = (mount.volume or {}).get("csi")
    return csi if isinstance(csi, dict) else {}


def _is_static(mount: Mount) -> bool:
    """Whether per-user namespaces get a static volume and claim for it (facility-file.md, ``storage``)."""
    if mount.claim is not None:
        return mount.size is None or "{" not in mount.claim
    return "nfs" in (mount.volume or {}) or "volumeHandle" in _csi(mount)
