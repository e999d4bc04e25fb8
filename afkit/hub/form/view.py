"""What a card of the form shows: an offered profile in plain words, as data for the templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from afkit.facility.model import DaskOffer, Facility, Lifetime
from afkit.hub.form import words
from afkit.hub.form.tiles import Tile, choice_tiles, image_tiles, pool_tile, reason, size_tile, visible
from afkit.policy.model import Offer, PoolState, ProfileOffer
from afkit.policy.text import ask
from afkit.policy.view import may

__all__ = ["Card", "Field", "card"]

_UNKNOWN = PoolState()


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to decide: ``pool``, ``image``, ``size`` or the name of an option."""

    name: str
    title: str
    tiles: tuple[Tile, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A profile. ``lifetime`` is that of the profile alone; tiles may shorten it (``idle``, ``most`` in seconds).

    What cannot be chosen has no fields; ``runs_on`` are then its pools, to be looked at.
    """

    name: str
    title: str
    description: str
    enabled: bool
    why: str
    ask: str
    fields: tuple[Field, ...] = ()
    runs_on: tuple[Tile, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    idle: int | None = None
    most: int | None = None
    lifetime: str = ""


def card(person: Offer, offer: ProfileOffer) -> Card:
    """The card of one profile that this person may see. Nothing of what is hidden from them is in it."""
    facility, profile = person.facility, offer.profile
    why, hint = reason(offer.denial)
    pools = tuple(pool_tile(facility, item, person.inventory.pools.get(item.name, _UNKNOWN)) for item in visible(offer.pools))
    if offer.standing != "offered":
        return Card(profile.name, profile.title, profile.description, False, why, hint, runs_on=pools)
    life = shorter((facility.session.lifetime, profile.layer.lifetime))
    return Card(
        name=profile.name,
        title=profile.title,
        description=profile.description,
        enabled=True,
        why=why,
        ask=hint,
        fields=_fields(facility, offer, pools),
        facts=_facts(person, offer),
        idle=life.idle,
        most=life.max,
        lifetime=words.lifetime(life.idle, life.max),
    )


def _fields(facility: Facility, offer: ProfileOffer, pools: tuple[Tile, ...]) -> tuple[Field, ...]:
    shown = [facility.pools[item.name] for item in visible(offer.pools)]
    fields = (
        Field("pool", "Node pool", pools),
        Field("image", "Image", image_tiles(facility, offer.images)),
        Field("size", "Size", tuple(size_tile(facility, item, shown) for item in visible(offer.sizes))),
        *(Field(each.option.name, each.option.title, choice_tiles(facility, each), each.option.description) for each in offer.options),
    )
    return tuple(field for field in fields if field.tiles)


def shorter(lifetimes: Iterable[Lifetime]) -> Lifetime:
    """The shorter of lifetimes, field by field; ``None`` is the longest of all."""
    idle = [each.idle for each in lifetimes if each.idle is not None]
    most = [each.max for each in lifetimes if each.max is not None]
    return Lifetime(min(idle, default=None), min(most, default=None))


def _facts(person: Offer, offer: ProfileOffer) -> tuple[tuple[str, str], ...]:
    mounts = [_mount(person.facility, name) for name in offer.left_out]
    facts = (
        ("Dask", _dask(person, offer.profile.dask) if offer.profile.dask else ""),
        ("Not mounted for you", f"{words.listing(mounts, 'and')}. {ask(person.facility)}" if mounts else ""),
    )
    return tuple(fact for fact in facts if fact[1])


def _dask(person: Offer, dask: DaskOffer) -> str:
    """How many workers of what size, on which pools that are this person's and there now; empty: none."""
    groups = frozenset(person.entitlements.groups)
    mine = [entry.name for entry in dask.pools if may(entry.allow, groups)]
    pools = [person.facility.pools[name].title for name in mine if person.inventory.pools.get(name, _UNKNOWN).available]
    if not pools:
        return ""
    most = "Workers" if dask.max_workers is None else f"Up to {dask.max_workers} workers"
    each = words.worker(dask.cpu, dask.memory, dask.accelerators)
    return f"{most}{f' of up to {each}' if each else ''}, on {words.listing(pools, 'and')}."


def _mount(facility: Facility, name: str) -> str:
    mount = facility.storage.shared.get(name)
    return f"{name} ({mount.mount})" if mount else name
