"""Fills in what was left open, in the order pool, image, size, options. Pure.

Each takes the first ``default: true``, else the first entry, that the person may have and that fits all that was asked for
and filled: so a pool is taken only if some image and some size that may be taken go with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from afkit.facility.model import Choice, Option
from afkit.policy.references import is_typed, matches
from afkit.policy.table import FIELDS, ChoiceFacts, Field, bits
from afkit.policy.view import ProfileView

__all__ = ["Asked", "Filled", "constrain", "fill", "named_mask"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of one profile: masks of the entries that remain, and the choices that were named."""

    pools: int
    images: int
    sizes: int
    typed: bool
    choices: Mapping[str, ChoiceFacts]


@dataclass(frozen=True, slots=True)
class Filled:
    """A whole combination, as numbers of entries, with the choices in the order of the profile's options."""

    pool: int
    image: int
    size: int
    choices: tuple[tuple[Option, Choice], ...]


def named_mask(view: ProfileView, field: Field, value: str) -> int:
    """The entries that the person may see and that ``value`` names; a typed image names every entry that takes it."""
    if field == "image":
        if is_typed(value):
            typed = view.table.typed & view.visible["image"]
            return sum(1 << n for n in bits(typed) if matches(value, view.table.images[n].match))
        return view.named["image"].get(value, 0) & ~view.table.typed
    return view.named[field].get(value, 0)


def constrain(view: ProfileView, asked: Mapping[str, str]) -> Asked | None:
    """The masks that what was asked leaves, or ``None`` where something is unknown or not granted in this profile."""
    masks = {"pool": view.granted["pool"], "image": view.granted["image"] & ~view.table.typed, "size": view.granted["size"]}
    for field in FIELDS:
        if field in asked:
            masks[field] = named_mask(view, field, asked[field]) & view.granted[field]
            if not masks[field]:
                return None
    choices: dict[str, ChoiceFacts] = {}
    for name, value in asked.items():
        if name in masks or name == "profile":
            continue
        option = view.options.get(name)
        facts = option.named.get(value) if option else None
        if facts is None:
            return None
        choices[name] = facts
        masks = {"pool": masks["pool"] & facts.pools, "image": masks["image"] & facts.images, "size": masks["size"] & facts.sizes}
    return Asked(masks["pool"], masks["image"], masks["size"], "image" in asked and is_typed(asked["image"]), choices)


def fill(view: ProfileView, sizes_on: tuple[int, ...], asked: Asked) -> Filled | None:
    """The combination that what was asked leads to, or ``None`` where nothing fits. ``sizes_on``: the sizes of each pool."""
    for pool in view.order["pool"]:
        images, sizes = view.images_on[pool] & asked.images, sizes_on[pool] & asked.sizes
        if asked.pools >> pool & 1 and images and sizes:
            # of several patterns that take a typed reference the first in the file counts, whatever is a default
            image = next(bits(images)) if asked.typed else _first(view.order["image"], images)
            size = _first(view.order["size"], sizes)
            return Filled(pool, image, size, _choices(view, asked, pool, image, size))
    return None


def _first(order: tuple[int, ...], mask: int) -> int:
    """The first in an order of what a mask has."""
    for number in order:
        if mask >> number & 1:
            return number
    raise ValueError("nothing of the mask is in the order")


def _choices(view: ProfileView, asked: Asked, pool: int, image: int, size: int) -> tuple[tuple[Option, Choice], ...]:
    """One choice of each option that has one that fits; an option of which nothing fits is left out."""
    filled: list[tuple[Option, Choice]] = []
    for name, option in view.options.items():
        wanted = asked.choices.get(name)
        for facts in (wanted,) if wanted is not None else option.ordered:
            if facts.pools >> pool & 1 and facts.images >> image & 1 and facts.sizes >> size & 1:
                filled.append((option.option, facts.choice))
                break
    return tuple(filled)
