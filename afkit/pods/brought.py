"""What a facility file names and does not make: Secrets, ConfigMaps, and the sources of static volumes. Pure.

In namespaces of users' own, the namespace provisioner brings these along; its rights and the admission policies are made of the
same lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import Audience, Facility, Layer, Mount, SecretKey
from afkit.names import EVERYONE
from afkit.pods.cvmfs import CLAIM, DRIVER, pinned_attributes, pinned_claim
from afkit.pods.slugs import safe
from afkit.pods.storage import is_static

__all__ = ["Named", "StaticVolume", "named_objects", "static_volumes"]

_SECRET_KEYS: Final = frozenset({"secretKeyRef", "secretRef", "nodePublishSecretRef"})
_LEAST: Final = 2**20
"""The size of a volume that has none: Kubernetes wants one."""
_CONFIG_KEYS: Final = frozenset({"configMapKeyRef", "configMapRef"})


@dataclass(frozen=True, slots=True)
class Named:
    """Names of Secrets and of ConfigMaps → whether a server cannot start without, in the order of their names."""

    secrets: Mapping[str, bool]
    config_maps: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class StaticVolume:
    """A static volume with its claim, as every namespace with servers has it.

    ``name`` is the mount's, ``claim_name`` that of the claim beside the servers. Where the files are is said by ``source`` (the part
    of a PersistentVolume; a CSI source without a handle gets the volume's own name) or by ``claim``, an existing claim in
    ``kubernetes.namespace`` (``source`` is empty).
    """

    name: str
    claim_name: str
    source: Mapping[str, Any] = field(default_factory=dict)
    claim: str = ""
    size: int | None = None
    access: str = "ReadWriteMany"
    storage_class: str = ""
    audience: Audience = (EVERYONE,)

    def granted(self, groups: tuple[str, ...]) -> bool:
        """Whether somebody in these groups may have it."""
        return any(group == EVERYONE or group in groups for group in self.audience)


def _mounts(facility: Facility) -> tuple[Mount, ...]:
    storage = facility.storage
    own = tuple(mount for mount in (storage.home, storage.scratch) if mount is not None)
    return own + tuple(storage.shared.values())


def static_volumes(facility: Facility) -> tuple[StaticVolume, ...]:
    """The static volumes of a namespace with servers: mounts of ``storage`` in the order of the file, then ``/cvmfs``.

    A claim with a placeholder in its name is never one: no list of sources could name it.
    """
    mounts = (mount for mount in _mounts(facility) if is_static(facility, mount) and "{" not in (mount.claim or ""))
    return (*(_static(mount) for mount in mounts), *_cvmfs(facility))


def _static(mount: Mount) -> StaticVolume:
    volume = mount.volume or {}
    source = {kind: volume[kind] for kind in ("nfs", "csi") if kind in volume}
    audience = (*mount.allow, *mount.write)
    return StaticVolume(mount.name, f"afkit-{mount.name}", source, mount.claim or "", mount.size, audience=audience)


def _cvmfs(facility: Facility) -> Iterator[StaticVolume]:
    """The whole root, and one volume for each pinned repository."""
    cvmfs = facility.cvmfs
    if cvmfs is None or cvmfs.driver != "csi":
        return
    source = {"csi": {"driver": DRIVER, "readOnly": True}}
    yield StaticVolume("cvmfs", CLAIM, source, size=_LEAST, access="ReadOnlyMany", storage_class=cvmfs.storage_class)
    for repository, pin in cvmfs.repositories.items():
        if pin:
            attributes = {"volumeAttributes": pinned_attributes(facility, repository)}
            name, claim = safe(f"cvmfs-{repository}"), pinned_claim(repository)
            pinned = {"csi": {**source["csi"], **attributes}}
            yield StaticVolume(name, claim, pinned, size=_LEAST, access="ReadOnlyMany", storage_class=cvmfs.storage_class)


def named_objects(facility: Facility) -> Named:
    """The Secrets and ConfigMaps that servers need, from every layer of ``session`` keys, ``storage`` and ``pull_secrets``."""
    secrets: dict[str, bool] = {}
    config_maps: dict[str, bool] = {}
    for kind, name, needed in _all(facility):
        if "{" not in name:
            names = secrets if kind == "Secret" else config_maps
            names[name] = names.get(name, False) or needed
    return Named(dict(sorted(secrets.items())), dict(sorted(config_maps.items())))


def _all(facility: Facility) -> Iterator[tuple[str, str, bool]]:
    for name in facility.kubernetes.pull_secrets if facility.kubernetes else ():
        yield "Secret", name, True
    for mount in _mounts(facility):
        yield from _references(mount.volume or {})
    for layer in _layers(facility):
        for value in layer.env.values():
            if isinstance(value, SecretKey):
                yield "Secret", value.secret, True
        yield from _references(layer.pod.get("spec") or {})


def _layers(facility: Facility) -> Iterator[Layer]:
    yield facility.session
    for named in (facility.pools, facility.images, facility.profiles):
        for one in named.values():
            yield one.layer
    for option in facility.options.values():
        for choice in option.choices.values():
            yield choice.layer


def _references(value: Any) -> Iterator[tuple[str, str, bool]]:
    """Every reference to a Secret or ConfigMap below a part of a Pod, as (kind, name, needed)."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _references(one)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            kind = _kind(key)
            name = one.get("secretName") or one.get("name") if kind and isinstance(one, Mapping) else None
            if isinstance(name, str):
                yield kind, name, not one.get("optional", False)
            else:
                yield from _references(one)
        if isinstance(value.get("azureFile"), Mapping):
            yield "Secret", str(value["azureFile"].get("secretName", "")), True


def _kind(key: str) -> str:
    if key == "secret" or key in _SECRET_KEYS:
        return "Secret"
    return "ConfigMap" if key == "configMap" or key in _CONFIG_KEYS else ""
