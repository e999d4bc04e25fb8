"""Raw options → a validated selection, or a refusal with a reason. The one judge of every choice. Pure.

The form, a link, the REST API, saved options, the Dask service and the command line all ask here. Nothing is clamped or
silently replaced. Order: is it a choice at all, may this person have the profile, do the names exist for them, may they have
them, do they fit together, can something run them now, do the limits leave room.
"""

from __future__ import annotations

from collections.abc import Mapping

from afkit.errors import RequestError
from afkit.policy import refuse
from afkit.policy.capacity import ready_sizes, states_of
from afkit.policy.fill import Filled, constrain, fill
from afkit.policy.limits import exceeded
from afkit.policy.model import Offer, Selection
from afkit.policy.parse import parse_options
from afkit.policy.view import People, ProfileView, views_of

__all__ = ["parse_options", "select"]


def select(offer: Offer, raw: object, server: str = "") -> Selection:
    """What ``raw`` user options lead to for the person of ``offer``, with everything left open filled in.

    ``server`` is the name of the server that is to start (empty: the default server). Raises `RequestError` of every reason
    of the contract, and nothing else, whatever ``raw`` is.
    """
    asked = parse_options(raw)
    people = views_of(offer.facility).of(offer.entitlements.groups)
    if not people.mine and asked.get("profile") not in people.named:
        raise refuse.no_profile(offer.facility)
    view, filled = _named(offer, people, asked) if "profile" in asked else _open(offer, people, asked)
    return _selection(offer, view, filled, asked, server)


def _named(offer: Offer, people: People, asked: Mapping[str, str]) -> tuple[ProfileView, Filled]:
    view = people.named.get(asked["profile"])
    if view is None:
        raise refuse.unknown_profile(people, asked["profile"])
    if not view.mine:
        raise refuse.not_mine(view)
    filled = _fill(offer, view, asked)
    if filled is None:
        raise _refusal(offer, view, asked)
    return view, filled


def _open(offer: Offer, people: People, asked: Mapping[str, str]) -> tuple[ProfileView, Filled]:
    """The first profile in the order of filling in which all that was asked can run now."""
    for view in people.mine:
        filled = _fill(offer, view, asked)
        if filled is not None:
            return view, filled
    raise refuse.refusal_of_all(people, [(view, _refusal(offer, view, asked)) for view in people.visible])


def _fill(offer: Offer, view: ProfileView, asked: Mapping[str, str]) -> Filled | None:
    constrained = constrain(view, asked)
    return None if constrained is None else fill(view, ready_sizes(view, states_of(view, offer.inventory)), constrained)


def _refusal(offer: Offer, view: ProfileView, asked: Mapping[str, str]) -> RequestError:
    states = states_of(view, offer.inventory)
    return refuse.refusal(view, states, ready_sizes(view, states), asked)


def _selection(offer: Offer, view: ProfileView, filled: Filled, asked: Mapping[str, str], server: str) -> Selection:
    table, facility, entitlements = view.table, offer.facility, offer.entitlements
    pool, image, size = table.pools[filled.pool], table.images[filled.image], table.sizes[filled.size]
    resources = table.wanted(filled.pool, filled.size)
    denial = exceeded(facility, entitlements, offer.allowance, offer.remaining, pool.name, resources)
    if denial is not None:
        raise refuse.raised(denial, "" if denial.rule[2:3] == ("servers",) else "size")
    storage, left_out = view.mounts(pool, image, filled.choices)
    return Selection(
        user=entitlements.user,
        server=server,
        profile=view.profile,
        pool=pool,
        image=image,
        reference=asked["image"] if image.match else image.image or "",
        size=size,
        resources=resources,
        choices=filled.choices,
        storage=storage,
        left_out=left_out,
    )
