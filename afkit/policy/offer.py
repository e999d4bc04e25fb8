"""What one person may choose now. Pure: the file, their groups, what exists now and what they run already go in.

The offers of profiles are kept with the view of the profile, by what exists now and by what the limits leave where they bind:
people in the same groups share them, and an offer costs little more than the tuple of its profiles.
"""

from __future__ import annotations

from functools import partial

from afkit.facility.model import Facility
from afkit.policy.capacity import States, ready_sizes, states_of
from afkit.policy.fill import Filled, constrain, fill
from afkit.policy.items import Over, Stage, items, option_offers, profile_standing
from afkit.policy.limits import allowance, exceeded, remaining
from afkit.policy.model import Allowance, Entitlements, Inventory, Item, Offer, ProfileOffer, Usage
from afkit.policy.table import bits
from afkit.policy.view import ProfileView, views_of

__all__ = ["nothing_to_choose", "offer"]

_MOST_KEPT = 64


def offer(facility: Facility, entitlements: Entitlements, inventory: Inventory | None = None, usage: Usage | None = None) -> Offer:
    """Everything that a person may choose now, what is advertised to them, and what is hidden from them, in the file's order.

    Without an inventory every pool is available with unknown capacity; ``usage`` is what the person runs now, without the
    server that is about to be started again.
    """
    inventory, usage = inventory or Inventory(), usage or Usage()
    allowed = allowance(facility, entitlements)
    left = remaining(allowed, usage)
    profiles = _profiles(facility, entitlements, inventory, (allowed, left))
    return Offer(facility, entitlements, profiles, allowed, left, inventory, usage)


def _profiles(
    facility: Facility, entitlements: Entitlements, inventory: Inventory, limits: tuple[Allowance, Allowance]
) -> tuple[ProfileOffer, ...]:
    people = views_of(facility).of(entitlements.groups)
    key = tuple(map(inventory.pools.get, facility.pools)) if people.need.within(limits[1]) else None
    if key is not None and key in people.offers:
        return people.offers[key]
    default = next((view for view in people.mine if _default(view, states_of(view, inventory)) is not None), None)
    profiles = tuple(_profile_offer(view, entitlements, inventory, limits, view is default) for view in people.views)
    if key is not None:
        if len(people.offers) >= _MOST_KEPT:
            people.offers.clear()
        people.offers[key] = profiles
    return profiles


def nothing_to_choose(offer: Offer) -> bool:
    """Whether exactly one whole choice is offered, and everything left open leads to it: no form is shown, the server starts.

    What is only advertised is no choice. Where something may be typed, there is one. Where the limits do not leave what is
    filled in, there is one too: something else has to be chosen.
    """
    offered = [each for each in offer.profiles if each.standing == "offered"]
    if len(offered) != 1 or not offered[0].default:
        return False
    one = offered[0]
    fields = (one.pools, one.images, one.sizes, *(option.choices for option in one.options))
    return all(map(_settled, fields)) and not _typed(offer.facility, one.images)


def _settled(field: tuple[Item, ...]) -> bool:
    """Whether at most one thing is offered, and it is what is filled in."""
    offered = [item for item in field if item.standing == "offered"]
    return len(offered) <= 1 and all(item.default for item in offered)


def _typed(facility: Facility, images: tuple[Item, ...]) -> bool:
    return any(facility.images[item.name].match for item in images if item.standing == "offered")


def _default(view: ProfileView, states: States) -> Filled | None:
    """What a choice of this profile takes when everything else is left open; ``None``: it cannot be left open now."""
    asked = constrain(view, {})
    return fill(view, ready_sizes(view, states), asked) if asked else None


def _profile_offer(
    view: ProfileView, entitlements: Entitlements, inventory: Inventory, limits: tuple[Allowance, Allowance], default: bool
) -> ProfileOffer:
    states = states_of(view, inventory)
    bound = None if view.need.within(limits[1]) else _bound(view, entitlements, *limits)
    key = (states, bound, default)
    kept = view.offers.get(key)
    if kept is None:
        if len(view.offers) >= _MOST_KEPT:
            view.offers.clear()
        kept = view.offers[key] = _make(view, entitlements, states, limits, default)
    return kept


def _bound(view: ProfileView, entitlements: Entitlements, allowed: Allowance, left: Allowance) -> tuple[object, ...]:
    """What tells two people's limits apart in this profile, where they do not leave room for everything in it."""
    mine = tuple((pool, allowed.accelerators.get(pool), left.accelerators.get(pool)) for pool in view.need.units)
    return (entitlements.groups, left.servers, left.cpu, left.memory, mine)


def _make(
    view: ProfileView, entitlements: Entitlements, states: States, limits: tuple[Allowance, Allowance], default: bool
) -> ProfileOffer:
    facility = view.table.facility
    over = partial(exceeded, facility, entitlements, *limits)
    ready = ready_sizes(view, states)
    left = tuple(_left(view, number, mask, over) for number, mask in enumerate(ready))
    stage = Stage(view.sizes_on, ready, left, states, over)
    standing, denial = profile_standing(view, stage)
    filled = _default(view, states) if view.mine else None
    return ProfileOffer(
        profile=view.profile,
        standing=standing,
        denial=denial,
        default=default,
        pools=items(view, stage, "pool", filled),
        images=items(view, stage, "image", filled),
        sizes=items(view, stage, "size", filled),
        options=option_offers(view, stage, filled),
        left_out=view.left_out(),
    )


def _left(view: ProfileView, number: int, ready: int, over: Over) -> int:
    """Of the sizes that a pool has room for now, those that the limits leave."""
    table = view.table
    return sum(1 << size for size in bits(ready) if over(table.pools[number].name, table.wanted(number, size)) is None)
