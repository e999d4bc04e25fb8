"""The form as HTML.

Cards are rendered once and kept: what a card shows follows from immutable records, so its HTML is looked up by them. Only
the card of the profile that is marked, and what is left of a person's limits, are made anew for each request.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup, escape

from afkit.errors import RequestError
from afkit.hub.form.left import left
from afkit.hub.form.marks import is_reference, marked, marked_profile
from afkit.hub.form.parse import TYPED
from afkit.hub.form.view import Card, card
from afkit.policy.model import Offer, PoolState, ProfileOffer

__all__ = ["render"]

_MOST_CARDS: Final = 2000
"""Cards that are kept: 30 profiles as some 60 different groups of people see them; some 10 MB."""

_KEPT: Final[dict[tuple[object, ...], tuple[ProfileOffer, Markup]]] = {}
"""The HTML of cards. The offer is kept beside it, so that no other object can have its identity."""

_UNKNOWN: Final = PoolState()


def render(offer: Offer, *, chosen: Mapping[str, str], refusal: RequestError | None = None, notes: Sequence[str] = ()) -> str:
    """The inside of the hub's spawn form: a card a profile, what is left of the limits, and the button that starts.

    ``chosen`` is what is marked (a link's, a refused or a saved choice; anything in it that this person may not choose is
    not). ``refusal`` is said at the field that it names. ``notes`` are sentences for the foot of the page. Pure, but for
    what is kept between calls.
    """
    shown = offer.visible()
    name = marked_profile(offer, chosen)
    place = _place(shown, name, refusal)
    cards = [_card(offer, each, chosen, refusal if place == each.profile.name else None, mark=each.profile.name == name) for each in shown]
    return _template("form.html").render(
        cards=cards,
        startable=bool(name),
        refusal=refusal if not place else None,
        notes=[_code(note) for note in notes],
        left=left(offer),
        contact=offer.facility.contact,
        documentation=offer.facility.documentation,
    )


def _code(note: str) -> Markup:
    """A note with its `` `keys` `` set as code; everything else in it is literal."""
    parts = note.split("`")
    if len(parts) % 2 == 0:
        return escape(note)
    return Markup("").join(Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts))


def _place(shown: Sequence[ProfileOffer], name: str, refusal: RequestError | None) -> str:
    """The profile in whose card the refusal is said; empty: above all cards."""
    if refusal is None or not refusal.field or refusal.field == "profile":
        return ""
    offer = next((each for each in shown if each.profile.name == name), None)
    fields = {"pool", "image", "size"} | ({each.option.name for each in offer.options} if offer else set())
    return name if offer and refusal.field in fields else ""


def _card(offer: Offer, each: ProfileOffer, chosen: Mapping[str, str], refusal: RequestError | None, *, mark: bool) -> Markup:
    """The HTML of one card. What somebody typed is not kept, nor is what was refused."""
    asked = {key: value for key, value in chosen.items() if key != "profile"} if mark else {}
    typed = asked.get("image", "")
    if refusal is None and not is_reference(typed):
        return _kept(offer, each, asked, mark)
    return _html(card(offer, each), marked(offer, each, asked), mark, typed if is_reference(typed) else "", refusal)


def _kept(offer: Offer, each: ProfileOffer, asked: Mapping[str, str], mark: bool) -> Markup:
    """A card, kept by the identity of the profile's offer, which the resolver shares between people and requests."""
    now = tuple(offer.inventory.pools.get(name, _UNKNOWN) for name in _pools(each))
    marks = marked(offer, each, asked) if asked else {}
    key = (id(each), offer.entitlements.groups, now, mark, *marks.items())
    kept = _KEPT.get(key)
    if kept is None:
        if len(_KEPT) >= _MOST_CARDS:
            _KEPT.clear()
        kept = _KEPT[key] = (each, _html(card(offer, each), marks or marked(offer, each, {}), mark, "", None))
    return kept[1]


def _pools(each: ProfileOffer) -> list[str]:
    """The pools whose state a card shows: the profile's, and those of its Dask."""
    dask = each.profile.dask
    return [item.name for item in each.pools] + ([entry.name for entry in dask.pools] if dask else [])


def _html(view: Card, marks: Mapping[str, str], mark: bool, typed: str, refusal: RequestError | None) -> Markup:
    text = _template("card.html").render(card=view, marks=marks, marked=mark, typed=typed, refusal=refusal, typed_value=TYPED)
    return Markup(text)  # noqa: S704  # made by a template that escapes


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "parts")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)


@functools.cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)
