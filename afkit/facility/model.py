"""The facility as the rest of afkit sees it: frozen records, every default filled in, every reference checked.

`afkit.facility.load.load_facility` makes it from a file. Amounts are whole numbers (millicores, bytes, seconds). ``UNSET``:
not written and without a default that a constant could give; ``None`` in an amount: ``none``, no limit. Mappings keep the
order of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from afkit.errors import Problem
from afkit.facility.model_people import (
    Audience as Audience,
    Group as Group,
    IdentityRules as IdentityRules,
    Issuer as Issuer,
    Limit as Limit,
    RunAs as RunAs,
    SecretKey as SecretKey,
    SecretSource as SecretSource,
    TokenGrant as TokenGrant,
)
from afkit.names import EVERYONE
from afkit.quantities import UNSET, Unset

Architecture = Literal["amd64", "arm64"]
Vendor = Literal["nvidia", "amd", "intel"]
Sharing = Literal["exclusive", "mig", "time-slicing", "mps"]
RulePath = tuple[str | int, ...]
"""Where a value stands in the file: keys of mappings and indices of lists."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A ``null`` in a later layer of ``session``: the earlier layers' value goes away."""


REMOVED = Removed()


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a server may be idle and live, in seconds; ``None``: no end."""

    idle: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """The keys of ``session`` as one place of the file gives them (session, a pool, an image, a profile, a choice).

    ``storage`` and ``cvmfs`` are ``UNSET`` where the list was not written. ``pod`` is plain data as Kubernetes writes it.
    In a later layer ``None`` in ``pod`` and as a trait of ``kubespawner`` removes; ``removed`` are the keys of which everything
    that earlier layers gave goes away before this layer's own value counts: ``env``, ``files``, ``storage``, ``cvmfs``, ``pod``,
    ``kubespawner``, ``lifetime``, ``lifetime.idle``, ``lifetime.max``.
    """

    env: Mapping[str, str | SecretKey | Removed] = field(default_factory=dict)
    files: Mapping[str, str | Removed] = field(default_factory=dict)
    lifetime: Lifetime = Lifetime()
    default_url: str | Removed | Unset = UNSET
    storage: tuple[str, ...] | Unset = UNSET
    cvmfs: tuple[str, ...] | Unset = UNSET
    pod: Mapping[str, Any] = field(default_factory=dict)
    kubespawner: Mapping[str, Any] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NodeSize:
    """What one node offers after system overhead: millicores, bytes, bytes (``None``: unknown)."""

    cpu: int | None = None
    memory: int | None = None
    ephemeral_storage: int | None = None


@dataclass(frozen=True, slots=True)
class Accelerator:
    """The accelerators of a pool; exactly one of ``resource`` and ``device_class``. ``memory`` in bytes, versions as numbers."""

    vendor: Vendor
    product: str | None = None
    memory: int | None = None
    per_node: int | None = None
    sharing: Sharing = "exclusive"
    resource: str | None = None
    device_class: str | None = None
    selectors: tuple[str, ...] = ()
    cuda: tuple[int, ...] | None = None
    rocm: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A node pool. ``nodes`` is (fewest, most), ``None``: unknown. Taints and tolerations are plain data as in a Pod."""

    name: str
    title: str
    arch: Architecture
    node_selector: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, Any], ...] = ()
    tolerations: tuple[Mapping[str, Any], ...] = ()
    node: NodeSize = NodeSize()
    nodes: tuple[int, int] | None = None
    spot: bool = False
    runtime_class: str | None = None
    accelerator: Accelerator | None = None
    layer: Layer = Layer()


@dataclass(frozen=True, slots=True)
class Image:
    """An image: a reference, or patterns (``match``) of references that people may type. Versions as numbers, ``None``: none needed."""

    name: str
    title: str
    arch: tuple[Architecture, ...]
    description: str = ""
    image: str | None = None
    match: tuple[str, ...] = ()
    cuda: tuple[int, ...] | None = None
    rocm: tuple[int, ...] | None = None
    layer: Layer = Layer()


@dataclass(frozen=True, slots=True)
class Size:
    """A size: ``cpu`` and ``memory`` requests, or a ``share`` of one node.

    Limits: ``UNSET``: as the request (of a share: the node's CPU); ``None``: no limit. ``shm``, ``accelerators``: ``UNSET``: the rule
    of the contract.
    """

    name: str
    title: str
    cpu: int | None = None
    memory: int | None = None
    share: Fraction | None = None
    cpu_limit: int | Unset | None = UNSET
    memory_limit: int | Unset | None = UNSET
    ephemeral_storage: int | None = None
    shm: int | Unset = UNSET
    accelerators: int | Unset = UNSET


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of an option. ``pools``, ``images``, ``sizes``: offered only with these; ``None``: with all."""

    name: str
    title: str
    description: str = ""
    allow: Audience = (EVERYONE,)
    default: bool = False
    pools: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    layer: Layer = Layer()


@dataclass(frozen=True, slots=True)
class Option:
    """A further thing to choose."""

    name: str
    title: str
    description: str = ""
    choices: Mapping[str, Choice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a profile's ``pools``, ``images`` or ``sizes``: a name, who may have it, whether it is advertised to the others.

    ``pools``: offered only there (images and sizes); ``None``: in all pools of the profile.
    """

    name: str
    allow: Audience = (EVERYONE,)
    advertise: bool = False
    default: bool = False
    pools: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DaskOffer:
    """A profile's Dask: pools, most workers (``None``: no maximum), the largest worker (millicores, bytes, units)."""

    pools: tuple[Entry, ...]
    max_workers: int | None = None
    cpu: int | None = None
    memory: int | None = None
    accelerators: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What people choose. ``dask`` is ``None`` where the profile gives no Dask clusters."""

    name: str
    title: str
    allow: Audience
    pools: tuple[Entry, ...]
    images: tuple[Entry, ...]
    sizes: tuple[Entry, ...]
    description: str = ""
    options: tuple[str, ...] = ()
    advertise: bool = False
    default: bool = False
    dask: DaskOffer | None = None
    layer: Layer = Layer()


@dataclass(frozen=True, slots=True)
class DaskDefaults:
    """The scheduler (millicores, bytes, pools), the longest idle time and life in seconds (``None``: no end), the image's name."""

    cpu: int = 1000
    memory: int = 2 * 2**30
    pools: tuple[str, ...] = ()
    idle: int | None = 1800
    lifetime: int | None = 86400
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Cvmfs:
    """How ``/cvmfs`` comes into servers. ``repositories``: name → pin (``{}``: none)."""

    driver: Literal["csi", "host", "directory", "none"]
    storage_class: str = "cvmfs"
    path: str | None = None
    repositories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    on_failure: Literal["refuse", "warn"] = "refuse"


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of ``storage``. The source is ``claim``, ``volume``, or (only ``size``) a claim or node disk of afkit's making."""

    name: str
    mount: str
    size: int | None = None
    claim: str | None = None
    volume: Mapping[str, Any] | None = None
    storage_class: str | None = None
    access: str = "ReadWriteOnce"
    sub_path: str | None = None
    read_only: bool = False
    write: Audience = ()
    allow: Audience = (EVERYONE,)
    propagation: str | None = None
    workers: bool = True
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """Home (``None``: ``none``, or not described), scratch and shared mounts."""

    home: Mount | None = None
    scratch: Mount | None = None
    shared: Mapping[str, Mount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The cluster's side. ``network`` is ``None`` for ``none``; times in seconds."""

    namespace: str = ""
    user_namespaces: str = "per-user"
    pod_security: Literal["restricted", "baseline", "privileged"] = "restricted"
    service_account: str | None = None
    service_account_annotations: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: tuple[str, ...] = ()
    network: Mapping[str, Any] | None = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    policies: Literal["enforce", "audit", "off"] = "enforce"
    capacity: Literal["closed", "open"] = "closed"
    api_timeout: int = 10
    start_timeout: int = 600


@dataclass(frozen=True, slots=True)
class Facility:
    """One facility. ``digest`` tells two versions of its files apart; ``sources`` are all the files that it was read from.

    ``warnings`` are the problems that do not keep it from being used; ``positions`` gives (file, line, column) of every value.
    """

    name: str
    title: str
    pools: Mapping[str, Pool]
    images: Mapping[str, Image]
    sizes: Mapping[str, Size]
    profiles: Mapping[str, Profile]
    contact: str = ""
    documentation: str = ""
    url: str = ""
    groups: Mapping[str, Group] = field(default_factory=dict)
    identity: IdentityRules | None = None
    session: Layer = Layer()
    options: Mapping[str, Option] = field(default_factory=dict)
    cvmfs: Cvmfs | None = None
    storage: Storage = Storage()
    limits: Mapping[str, Limit] = field(default_factory=dict)
    dask: DaskDefaults = DaskDefaults()
    kubernetes: Kubernetes | None = None
    digest: str = ""
    sources: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()
    positions: Mapping[RulePath, tuple[str, int, int]] = field(default_factory=dict, repr=False, compare=False)
