"""What a person sees of one profile: every entry with its standing and, where it is not offered, why. Pure.

A granted thing is offered while some whole combination with it fits, has capacity and is within the limits; the first of the
three that fails is the reason why it is only advertised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from afkit.facility.model import Image, Pool, Size
from afkit.policy.capacity import States, server_denial
from afkit.policy.fill import Filled
from afkit.policy.model import Denial, Item, OptionOffer, Resources, Standing
from afkit.policy.refuse import entry_denial, profile_denial
from afkit.policy.table import ChoiceFacts, Field, OptionFacts, bits
from afkit.policy.text import ask
from afkit.policy.view import ProfileView, may

__all__ = ["Over", "Stage", "items", "option_offers", "profile_standing", "stage_denial"]

Alive = Callable[[tuple[int, ...]], "tuple[int, int] | None"]
"""For the sizes of each pool: the first pool and size with which a thing can be chosen, or ``None``."""
Over = Callable[[str, Resources], Denial | None]
"""Why a server with these resources on the pool of this name is more than the limits leave, or ``None``."""


@dataclass(frozen=True, slots=True)
class Stage:
    """For each pool the sizes that fit (``fit``), that also have capacity (``ready``), that the limits also leave (``left``)."""

    fit: tuple[int, ...]
    ready: tuple[int, ...]
    left: tuple[int, ...]
    states: States
    exceeded: Over


def stage_denial(view: ProfileView, stage: Stage, what: str, alive: Alive) -> Denial | None:
    """Why a granted thing cannot be chosen now, or ``None``: it does not fit, has no capacity, or the limits do not leave it."""
    if alive(stage.left) is not None:
        return None
    table = view.table
    found = alive(stage.ready)
    if found is not None:
        return stage.exceeded(table.pools[found[0]].name, table.wanted(*found))
    found = alive(stage.fit)
    if found is None:
        message = f"Nothing of {view.profile.title} that you may have goes with {what}."
        return Denial("incompatible", message, ask(table.facility), ("profiles", view.profile.name))
    return server_denial(table.facility, table.pools[found[0]], stage.states[found[0]], table.wanted(*found))


def profile_standing(view: ProfileView, stage: Stage) -> tuple[Standing, Denial | None]:
    """Whether a profile is offered, advertised or hidden, and why."""
    if not view.mine:
        return ("advertised" if view.profile.advertise else "hidden"), profile_denial(view)
    denial = stage_denial(view, stage, "it", _alive(view, -1, -1, -1))
    if denial is not None and denial.reason == "incompatible":
        message = f"Nothing of {view.profile.title} that you may have fits together."
        denial = Denial("not-entitled", message, denial.hint, denial.rule)
    return ("offered" if denial is None else "advertised"), denial


def items(view: ProfileView, stage: Stage, field: Field, filled: Filled | None) -> tuple[Item, ...]:
    """The entries of one field in the order of the file."""
    chosen = {"pool": filled.pool, "image": filled.image, "size": filled.size}[field] if filled else None
    return tuple(_item(view, stage, field, number, number == chosen) for number in range(len(view.table.entries[field])))


def _item(view: ProfileView, stage: Stage, field: Field, number: int, default: bool) -> Item:
    table = view.table
    things: dict[Field, Sequence[Pool | Image | Size]] = {"pool": table.pools, "image": table.images, "size": table.sizes}
    thing = things[field][number]
    standing, denial = _standing(view, stage, field, number)
    only_pools, only_images, only_sizes = _only(view, field, number)
    return Item(
        name=thing.name,
        title=thing.title,
        standing=standing,
        description=table.images[number].description if field == "image" else "",
        denial=denial,
        default=default,
        only_pools=only_pools,
        only_images=only_images,
        only_sizes=only_sizes,
        entry=table.rule(field, number),
    )


def _standing(view: ProfileView, stage: Stage, field: Field, number: int) -> tuple[Standing, Denial | None]:
    bit = 1 << number
    if not view.visible[field] & bit:
        return "hidden", entry_denial(view, field, number)
    if not view.mine:
        return ("advertised" if view.visible_profile else "hidden"), profile_denial(view)
    if not view.granted[field] & bit:
        return "advertised", entry_denial(view, field, number)
    masks = {"pool": -1, "image": -1, "size": -1} | {field: bit}
    what = f"{field} {view.table.entries[field][number].name}"
    denial = stage_denial(view, stage, what, _alive(view, masks["pool"], masks["image"], masks["size"]))
    return ("offered" if denial is None else "advertised"), denial


def _alive(view: ProfileView, pools: int, images: int, sizes: int) -> Alive:
    def first(sizes_on: Sequence[int]) -> tuple[int, int] | None:
        for pool in view.order["pool"]:
            fitting = sizes_on[pool] & sizes
            if pools >> pool & 1 and fitting and view.images_on[pool] & images:
                return pool, next(size for size in view.order["size"] if fitting >> size & 1)
        return None

    return first


def _only(view: ProfileView, field: Field, number: int) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None, tuple[str, ...] | None]:
    """With which pools, images, sizes an entry goes, of those that the person may see; ``None``: with all."""
    table, visible = view.table, view.visible
    if field == "pool":
        return None, _names(view, "image", table.images_on[number]), _names(view, "size", table.sizes_on[number])
    rows = table.images_on if field == "image" else table.sizes_on
    return _names(view, "pool", sum(1 << pool for pool in bits(visible["pool"]) if rows[pool] >> number & 1)), None, None


def _names(view: ProfileView, field: Field, mask: int) -> tuple[str, ...] | None:
    visible = view.visible[field]
    return None if mask & visible == visible else tuple(view.names(field, mask & visible))


def option_offers(view: ProfileView, stage: Stage, filled: Filled | None) -> tuple[OptionOffer, ...]:
    """The options of the profile in its order, each with all of its choices."""
    chosen = {option.name: choice.name for option, choice in filled.choices} if filled else {}
    return tuple(_option_offer(view, stage, facts, chosen.get(facts.option.name)) for facts in view.table.options)


def _option_offer(view: ProfileView, stage: Stage, facts: OptionFacts, chosen: str | None) -> OptionOffer:
    return OptionOffer(facts.option, tuple(_choice(view, stage, facts, each, chosen) for each in facts.choices))


def _choice(view: ProfileView, stage: Stage, facts: OptionFacts, each: ChoiceFacts, chosen: str | None) -> Item:
    choice = each.choice
    standing, denial = _choice_standing(view, stage, facts, each)
    return Item(
        name=choice.name,
        title=choice.title,
        standing=standing,
        description=choice.description,
        denial=denial,
        default=choice.name == chosen,
        only_pools=None if choice.pools is None else _names(view, "pool", each.pools),
        only_images=None if choice.images is None else _names(view, "image", each.images),
        only_sizes=None if choice.sizes is None else _names(view, "size", each.sizes),
        entry=("options", facts.option.name, "choices", choice.name),
    )


def _choice_standing(view: ProfileView, stage: Stage, facts: OptionFacts, each: ChoiceFacts) -> tuple[Standing, Denial | None]:
    choice, rule = each.choice, ("options", facts.option.name, "choices", each.choice.name, "allow")
    if not may(choice.allow, view.groups):
        message = f"{choice.name} of {facts.option.name} is not for you."
        return "hidden", Denial("not-entitled", message, ask(view.table.facility), rule)
    if not view.mine:
        return ("advertised" if view.visible_profile else "hidden"), profile_denial(view)
    denial = stage_denial(view, stage, f"{choice.name} of {facts.option.name}", _alive(view, each.pools, each.images, each.sizes))
    return ("offered" if denial is None else "advertised"), denial
