"""Which choices the form has marked when it is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from afkit.errors import RequestError
from afkit.facility.model import Facility
from afkit.hub.form.parse import TYPED
from afkit.policy.model import Item, Offer, ProfileOffer
from afkit.policy.select import select

__all__ = ["is_reference", "marked", "marked_profile"]


def marked_profile(offer: Offer, chosen: Mapping[str, str]) -> str:
    """The name of the profile that is marked: the one asked for, else the one that takes the rest; empty: none can be started."""
    offered = {each.profile.name: each for each in offer.visible() if each.standing == "offered"}
    name = chosen.get("profile", "")
    if not name and chosen:
        with contextlib.suppress(RequestError):
            name = select(offer, dict(chosen)).profile.name
    if name in offered:
        return name
    return next((name for name, each in offered.items() if each.default), next(iter(offered), ""))


def marked(offer: Offer, each: ProfileOffer, asked: Mapping[str, str]) -> dict[str, str]:
    """Which value each field of a profile's card has marked: what was asked for, the rest filled as the resolver fills it.

    A reference that was typed is `TYPED`. Where the resolver refuses what was asked for, what can be marked of it stays marked.
    """
    if not asked:
        return {field: item.name for field, items in _fields(offer.facility, each) for item in items if item.default}
    try:
        chosen = select(offer, {"profile": each.profile.name, **asked})
    except RequestError:
        return _nearest(offer.facility, each, asked)
    marks = chosen.user_options()
    return marks | {"image": TYPED} if chosen.image.match else marks


def _nearest(facility: Facility, each: ProfileOffer, asked: Mapping[str, str]) -> dict[str, str]:
    """What can be marked of a choice that is refused; a field left open has what it would have alone, if that fits the rest."""
    typed = {"image": TYPED} if is_reference(asked.get("image", "")) else {}
    fields = [(name, items) for name, items in _fields(facility, each) if name not in typed]
    picked = _named(fields, asked)
    for name, items in fields:
        item = picked.get(name) or _first(item for item in items if _fits_all(name, item, picked))
        if item is not None:
            picked[name] = item
    return {name: item.name for name, item in picked.items()} | typed


def _named(fields: Sequence[tuple[str, Sequence[Item]]], asked: Mapping[str, str]) -> dict[str, Item]:
    return {name: item for name, items in fields for item in items if item.name == asked.get(name)}


def _first(items: Iterable[Item]) -> Item | None:
    """The default of these, else the first."""
    return next(iter(sorted(items, key=lambda item: not item.default)), None)


def _fits_all(field: str, item: Item, picked: Mapping[str, Item]) -> bool:
    return all(_takes(item, other_field, other.name) and _takes(other, field, item.name) for other_field, other in picked.items())


def _fields(facility: Facility, each: ProfileOffer) -> list[tuple[str, list[Item]]]:
    """Field, and what may be chosen by name there."""
    fields: list[tuple[str, Sequence[Item]]] = [
        ("pool", each.pools),
        ("image", [item for item in each.images if not facility.images[item.name].match]),
        ("size", each.sizes),
        *((option.option.name, option.choices) for option in each.options),
    ]
    return [(name, [item for item in items if item.standing == "offered"]) for name, items in fields]


def is_reference(text: str) -> bool:
    """Whether a value of ``image`` is a whole reference and not a name (source: the contract's rule of ``match``)."""
    return any(mark in text for mark in "/:@")


def _takes(item: Item, field: str, name: str) -> bool:
    only = {"pool": item.only_pools, "image": item.only_images, "size": item.only_sizes}.get(field)
    return only is None or name in only
