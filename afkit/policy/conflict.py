"""What does not fit together in a choice, and what would: the sentence and the hint of ``incompatible``. Pure.

What was asked is added one by one in the order pool, image, size, options; the first with which nothing fits any more is at
fault, together with the earliest one that alone rules it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afkit.errors import IncompatibleError, NotEntitledError, RequestError
from afkit.facility.model import RulePath
from afkit.policy.fill import named_mask
from afkit.policy.fit import Misfit
from afkit.policy.references import is_typed
from afkit.policy.table import FIELDS, bits
from afkit.policy.text import ask, listing, quoted
from afkit.policy.view import ProfileView

__all__ = ["conflict"]


@dataclass(frozen=True, slots=True)
class _Wish:
    """One thing that was asked (or several together), as masks of what it leaves."""

    field: str
    value: str
    pools: int = -1
    images: int = -1
    sizes: int = -1

    def __and__(self, other: _Wish) -> _Wish:
        return _Wish(self.field, self.value, self.pools & other.pools, self.images & other.images, self.sizes & other.sizes)

    def __str__(self) -> str:
        return f"{self.field} {quoted(self.value) if is_typed(self.value) else self.value}"


def conflict(view: ProfileView, asked: Mapping[str, str]) -> RequestError:
    """The refusal of a choice whose parts are all granted and do not fit together."""
    granted = view.granted
    images = granted["image"] if "image" in asked else granted["image"] & ~view.table.typed
    everything = left = _Wish("", "", granted["pool"], images, granted["size"])
    before: list[_Wish] = []
    if not _feasible(view, everything):
        return _nothing(view)
    for wish in _wishes(view, asked):
        if not _feasible(view, left & wish):
            return _refused(view, everything, before, wish)
        left &= wish
        before.append(wish)
    return _nothing(view)


def _feasible(view: ProfileView, wish: _Wish) -> bool:
    return any(view.images_on[pool] & wish.images and view.sizes_on[pool] & wish.sizes for pool in bits(wish.pools & view.granted["pool"]))


def _nothing(view: ProfileView) -> RequestError:
    """For a profile of which nothing is left to a person before they ask for anything."""
    profile, typed = view.profile, view.table.typed & view.granted["image"]
    if view.fits and typed:
        patterns = [pattern for n in bits(typed) for pattern in view.table.images[n].match]
        hint = f"Write the whole reference of an image that matches {listing(patterns)}."
        message = f"{profile.title} has no image that is taken by itself."
        return IncompatibleError(message, hint, field="image", rule=("profiles", profile.name, "images"))
    message = f"Nothing of {profile.title} that you may have fits together."
    return NotEntitledError(message, ask(view.table.facility), field="profile", rule=("profiles", profile.name))


def _wishes(view: ProfileView, asked: Mapping[str, str]) -> list[_Wish]:
    wishes: list[_Wish] = []
    for field in FIELDS:
        if field in asked:
            mask = named_mask(view, field, asked[field]) & view.granted[field]
            wishes.append(_Wish(field, asked[field], **{f"{field}s": mask}))
    for name, option in view.options.items():
        facts = option.named.get(asked.get(name, ""))
        if facts is not None:
            wishes.append(_Wish(name, facts.choice.name, facts.pools, facts.images, facts.sizes))
    return wishes


def _refused(view: ProfileView, everything: _Wish, before: Sequence[_Wish], wish: _Wish) -> RequestError:
    partner = next((other for other in before if not _feasible(view, everything & other & wish)), None)
    left = everything
    for other in before:
        left &= other
    parts = [_alternatives(view, left, wish)]
    if partner is not None:
        parts.append(_alternatives(view, everything & wish, partner, f"With {wish} you may choose"))
    parts.append(_typed_way(view, (*before, wish)))
    alone = (partner is None or partner.field != "pool") and not _feasible(view, everything & wish)
    message, rule = (_alone(view, wish), _rule(view, wish)) if alone else _sentence(view, partner, wish)
    return IncompatibleError(f"{message[0].upper()}{message[1:]}.", " ".join(part for part in parts if part), field=wish.field, rule=rule)


def _typed_way(view: ProfileView, wishes: Sequence[_Wish]) -> str:
    """The patterns by which a typed image would make all of it fit, as a sentence; empty where none would."""
    if any(wish.field == "image" for wish in wishes):
        return ""
    left = _Wish("", "", images=view.table.typed & view.granted["image"])
    for wish in wishes:
        left &= wish
    images = 0
    for pool in bits(left.pools & view.granted["pool"]):
        images |= view.images_on[pool] & left.images if view.sizes_on[pool] & left.sizes else 0
    patterns = [pattern for number in bits(images) for pattern in view.table.images[number].match]
    return f"It goes with a typed image that matches {listing(patterns)}." if patterns else ""


def _alternatives(view: ProfileView, left: _Wish, wish: _Wish, start: str = "You may choose") -> str:
    """What could stand in the place of ``wish``, as a sentence; empty where nothing can."""
    names = [name for name, each in _values(view, wish.field) if _feasible(view, left & each)]
    return f"{start} {wish.field} {listing(names)}." if names else ""


def _values(view: ProfileView, field: str) -> list[tuple[str, _Wish]]:
    """All that may be written in a field, of what this person may have."""
    option = view.options.get(field)
    if option is not None:
        return [(facts.choice.name, _Wish(field, facts.choice.name, facts.pools, facts.images, facts.sizes)) for facts in option.choices]
    values: dict[str, int] = {}
    for known in FIELDS:
        if known == field:
            mask = view.granted[known] & ~view.table.typed if known == "image" else view.granted[known]
            values = {name: view.named[known][name] & mask for name in view.names(known, mask)}
    return [(name, _Wish(field, name, **{f"{field}s": mask})) for name, mask in values.items()]


def _alone(view: ProfileView, wish: _Wish) -> str:
    return f"nothing of {view.profile.title} that you may have goes with {wish}"


def _sentence(view: ProfileView, partner: _Wish | None, wish: _Wish) -> tuple[str, RulePath]:
    """Why the two do not go together (without the full stop), and the place in the file that decided."""
    title = view.profile.title
    rule = _rule(view, wish)
    if partner is None:
        return f"{wish} does not go with the rest of this choice of {title}", rule
    if wish.field in view.options:
        return f"{wish} is not offered with {partner}", rule
    if partner.field != "pool":
        return f"no pool of {title} that you may have takes both {partner} and {wish}", rule
    misfit = _misfit(view, partner, wish)
    if misfit is None:
        return f"{wish} does not go with {partner}", rule
    # what somebody typed is named as they did
    message = misfit.message.replace(f"image {misfit.rule[1]}", str(wish), 1) if is_typed(wish.value) else misfit.message
    return message, misfit.rule


def _misfit(view: ProfileView, pool: _Wish, wish: _Wish) -> Misfit | None:
    """The fact of the file that keeps an image or a size from a pool."""
    rows = view.table.image_misfits if wish.field == "image" else view.table.resources
    mask = wish.images if wish.field == "image" else wish.sizes
    cells = (rows[p][n] for p in bits(pool.pools) for n in bits(mask))
    return next((cell for cell in cells if isinstance(cell, Misfit)), None)


def _rule(view: ProfileView, wish: _Wish) -> RulePath:
    if wish.field in view.options:
        return ("options", wish.field, "choices", wish.value)
    masks = {"pool": wish.pools, "image": wish.images, "size": wish.sizes}
    for field in FIELDS:
        if field == wish.field:
            return view.table.rule(field, next(bits(masks[field])))
    return ()
