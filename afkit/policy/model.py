"""What the resolver takes and gives, as frozen records.

::

    Identity ──entitle──▶ Entitlements ──offer──▶ Offer ──select──▶ Selection
                             Inventory, Usage ────┘        └── raw options

Everything here is plain data: same input, same output. Amounts are millicores and bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from afkit.facility.model import Choice, Facility, Image, Option, Pool, Profile, RulePath, Size

Standing = Literal["offered", "advertised", "hidden"]
"""``offered``: this person may choose it; ``advertised``: shown greyed, with the reason; ``hidden``: never named to them.

An offered thing that nothing can run now, or that the limits do not leave room for, is ``advertised`` with that reason.
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a person is: login name, issuer (``local``, ``hub`` or a name of ``identity.issuers``), canonical claim groups.

    ``groups`` are facility groups that are known without claims (of local people).
    """

    name: str
    issuer: str = "local"
    key: str = ""
    claim_groups: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """A group or claim that counted for nothing, and why."""

    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Entitlements:
    """A person's facility groups in the file's own order (``everyone`` first), and what was ignored."""

    user: str
    groups: tuple[str, ...]
    admin: bool = False
    ignored: tuple[Ignored, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolState:
    """What exists now of a pool. ``why``: the sentence when not available.

    ``free``: free accelerator units of all its nodes together; ``most``: of the node that has most of them, which is what one server
    or worker can get. ``None``: unknown.
    """

    available: bool = True
    why: str = ""
    free: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """What exists now. A pool that is not named is available, with unknown capacity."""

    pools: Mapping[str, PoolState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits of one server or worker. Limits: ``None``: none. ``shm`` in bytes, ``accelerators`` in units."""

    cpu: int
    memory: int
    cpu_limit: int | None
    memory_limit: int | None
    ephemeral_storage: int | None = None
    shm: int = 0
    accelerators: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """One thing of a person that runs now: a server (``kind`` ``server``, ``name`` is the server's name), a scheduler or a worker."""

    kind: Literal["server", "scheduler", "worker"]
    name: str
    cpu: int = 0
    memory: int = 0
    pool: str = ""
    accelerators: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Everything that one person runs now."""

    uses: tuple[Use, ...] = ()
    clusters: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """A person's limits: the largest of their groups, field by field. ``None``: unlimited. ``accelerators``: by pool."""

    servers: int | None = 1
    cpu: int | None = None
    memory: int | None = None
    accelerators: Mapping[str, int | None] = field(default_factory=dict)
    clusters: int | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a thing is not offered: a reason code of the contract, one sentence, a hint, and the rule's place in the file."""

    reason: str
    message: str
    hint: str = ""
    rule: RulePath = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A pool, image, size or choice as one profile offers it to one person. ``denial`` is ``None`` exactly when offered.

    ``default``: it is what a choice left open takes when everything else is left open too.
    ``only_pools``, ``only_images``, ``only_sizes``: with which others it can be chosen; ``None``: with all of the profile's.
    """

    name: str
    title: str
    standing: Standing
    description: str = ""
    denial: Denial | None = None
    default: bool = False
    only_pools: tuple[str, ...] | None = None
    only_images: tuple[str, ...] | None = None
    only_sizes: tuple[str, ...] | None = None
    entry: RulePath = ()


@dataclass(frozen=True, slots=True)
class OptionOffer:
    """An option of a profile with its choices."""

    option: Option
    choices: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class ProfileOffer:
    """A profile as offered to one person."""

    profile: Profile
    standing: Standing
    denial: Denial | None
    default: bool
    pools: tuple[Item, ...]
    images: tuple[Item, ...]
    sizes: tuple[Item, ...]
    options: tuple[OptionOffer, ...]
    left_out: tuple[str, ...] = ()
    """Shared mounts that the profile lists and this person may not have."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything that one person may choose now, what is advertised to them, and (``hidden``) what is not.

    Only `visible` may reach that person; the whole is for administrators. ``remaining`` is what the limits leave.
    """

    facility: Facility
    entitlements: Entitlements
    profiles: tuple[ProfileOffer, ...]
    allowance: Allowance
    remaining: Allowance
    inventory: Inventory
    usage: Usage

    def visible(self) -> tuple[ProfileOffer, ...]:
        """The profiles that this person may see, offered or advertised, in the order of the file."""
        return tuple(offer for offer in self.profiles if offer.standing != "hidden")


@dataclass(frozen=True, slots=True)
class Selection:
    """A validated choice: the only form in which a choice exists after `afkit.policy.select.select`.

    ``reference`` is the image's whole reference (what was typed, for a ``match`` entry).
    """

    user: str
    server: str
    profile: Profile
    pool: Pool
    image: Image
    reference: str
    size: Size
    resources: Resources
    choices: tuple[tuple[Option, Choice], ...] = ()
    storage: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def user_options(self) -> dict[str, str]:
        """The choice as the flat object of the contract, every value filled in; selecting it again gives the same selection."""
        chosen = {"profile": self.profile.name, "pool": self.pool.name, "size": self.size.name}
        chosen["image"] = self.reference if self.image.match else self.image.name
        return chosen | {option.name: choice.name for option, choice in self.choices}
