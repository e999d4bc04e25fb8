"""Why a choice is refused, in words for the person who made it. Only what they may see is ever named. Pure.

A thing that is hidden from a person is answered exactly as a name that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from afkit.errors import (
    IncompatibleError,
    LimitExceededError,
    MalformedError,
    NoCapacityError,
    NotEntitledError,
    RequestError,
    UnknownChoiceError,
    UnknownOptionError,
)
from afkit.facility.model import Facility
from afkit.policy.capacity import server_denial
from afkit.policy.conflict import conflict
from afkit.policy.fill import Asked, constrain, fill, named_mask
from afkit.policy.model import Denial, PoolState
from afkit.policy.references import is_typed
from afkit.policy.table import FIELDS, Field, bits
from afkit.policy.text import ask, listing, quoted, suggestion
from afkit.policy.view import People, ProfileView

__all__ = ["no_profile", "raised", "refusal", "refusal_of_all", "unknown_profile"]

_ERRORS: Final[Mapping[str, type[RequestError]]] = {
    kind.reason: kind
    for kind in (
        MalformedError,
        UnknownOptionError,
        UnknownChoiceError,
        NotEntitledError,
        IncompatibleError,
        LimitExceededError,
        NoCapacityError,
    )
}
_TELLING: Final = ("unknown-option", "unknown-choice", "not-entitled", "incompatible", "no-capacity")
"""Where every profile refuses, the one that came furthest says why."""


def raised(denial: Denial, field: str = "") -> RequestError:
    """The error that says what a denial says."""
    return _ERRORS[denial.reason](denial.message, denial.hint, field=field, rule=denial.rule)


def no_profile(facility: Facility) -> RequestError:
    """For a person who may have no profile at all, whatever they ask."""
    return NotEntitledError("No profile of this facility is for you.", ask(facility), rule=("profiles",))


def unknown_profile(people: People, name: str) -> RequestError:
    """For a profile that does not exist or is hidden."""
    choosable = [view.profile.name for view in people.visible if view.mine]
    hint = suggestion(name, [view.profile.name for view in people.visible], choosable)
    return UnknownChoiceError(f"There is no profile {quoted(name)}.", hint, field="profile")


def not_mine(view: ProfileView) -> RequestError:
    """For a profile that is advertised to a person who may not have it."""
    return raised(profile_denial(view), "profile")


def profile_denial(view: ProfileView) -> Denial:
    """Why a profile is not a person's: nothing of what it would take is named but whom to ask."""
    profile = view.profile
    return Denial("not-entitled", f"{profile.title} is not for you.", ask(view.table.facility), ("profiles", profile.name, "allow"))


def entry_denial(view: ProfileView, field: Field, number: int) -> Denial:
    """Why an entry of a profile is not a person's."""
    entry = view.table.entries[field][number]
    message = f"{field.capitalize()} {entry.name} of {view.profile.title} is not for you."
    return Denial("not-entitled", message, ask(view.table.facility), view.table.rule(field, number, "allow"))


def refusal(view: ProfileView, states: tuple[PoolState, ...], ready: tuple[int, ...], asked: Mapping[str, str]) -> RequestError:
    """Why one visible profile refuses what was asked. To be called only where it does."""
    unknown = _unknown(view, asked)
    if unknown is not None:
        return unknown
    if not view.mine:
        return not_mine(view)
    for field in FIELDS:
        if field in asked and not named_mask(view, field, asked[field]) & view.granted[field]:
            number = next(bits(named_mask(view, field, asked[field])))
            return raised(entry_denial(view, field, number), field)
    constrained = constrain(view, asked)
    if constrained is None or fill(view, view.sizes_on, constrained) is None:
        return conflict(view, asked)
    return _no_capacity(view, states, ready, constrained)


def refusal_of_all(people: People, refusals: Sequence[tuple[ProfileView, RequestError]]) -> RequestError:
    """The one of many profiles' refusals that tells most; a name that no profile knows is answered for all of them at once."""

    def telling(refused: tuple[ProfileView, RequestError]) -> tuple[int, int]:
        _, error = refused
        order: tuple[str, ...] = FIELDS
        return _TELLING.index(error.reason), order.index(error.field) if error.field in order else len(order)

    _, best = max(refusals, key=telling)
    if len(people.visible) > 1 and best.reason in ("unknown-option", "unknown-choice"):
        same = [error for _, error in refusals if error.field == best.field and error.reason == best.reason]
        if len(same) == len(refusals):
            return _unknown_anywhere(people, best)
    return best


def _unknown_anywhere(people: People, best: RequestError) -> RequestError:
    where = "any profile that you may choose"
    if isinstance(best, UnknownOptionError):
        return UnknownOptionError(f"There is no option {quoted(best.field)} in {where}.", _known_keys(people.visible), field=best.field)
    return UnknownChoiceError(best.message.rpartition(" in ")[0] + f" in {where}.", best.hint, field=best.field)


def _unknown(view: ProfileView, asked: Mapping[str, str]) -> RequestError | None:
    """The first key or name that this profile does not have for this person: keys first, in the order of the alphabet."""
    strange = [key for key in asked if key != "profile" and key not in FIELDS and key not in view.options]
    if strange:
        message = f"There is no option {quoted(strange[0])} in {view.profile.title}."
        return UnknownOptionError(message, _known_keys((view,)), field=strange[0])
    for field in FIELDS:
        if field in asked and not named_mask(view, field, asked[field]):
            return _unknown_name(view, field, asked[field])
    return _unknown_option_choice(view, asked)


def _unknown_option_choice(view: ProfileView, asked: Mapping[str, str]) -> RequestError | None:
    for name, option in view.options.items():
        if name in asked and asked[name] not in option.named:
            names = list(option.named)
            message = f"There is no choice {quoted(asked[name])} of {name} in {view.profile.title}."
            return UnknownChoiceError(message, suggestion(asked[name], names, names), field=name)
    return None


def _unknown_name(view: ProfileView, field: Field, value: str) -> RequestError:
    typed = view.table.typed
    where = f"in {view.profile.title}"
    if field == "image" and is_typed(value):
        patterns = [pattern for n in bits(typed & view.granted["image"]) for pattern in view.table.images[n].match]
        hint = f"It has to match {listing(patterns)}." if patterns else _choosable(view, "image", "")
        return UnknownChoiceError(f"Image {quoted(value)} may not be typed {where}.", hint, field=field)
    hint = _choosable(view, field, value)
    pattern = view.named["image"].get(value, 0) & typed if field == "image" else 0
    if pattern:
        hint = f"Write the whole reference of an image that matches {listing(view.table.images[next(bits(pattern))].match)}."
        return UnknownChoiceError(f"Image {value} is not chosen by its name {where}.", hint, field=field)
    return UnknownChoiceError(f"There is no {field} {quoted(value)} {where}.", hint, field=field)


def _choosable(view: ProfileView, field: Field, value: str) -> str:
    untyped = ~view.table.typed if field == "image" else -1
    granted = view.granted[field] if view.mine else 0
    return suggestion(value, view.names(field, view.visible[field] & untyped), view.names(field, granted & untyped))


def _known_keys(views: Iterable[ProfileView]) -> str:
    options = dict.fromkeys(name for view in views for name in view.options)
    return f"You may set {listing(('profile', *FIELDS, *options), 'and')}."


def _no_capacity(view: ProfileView, states: tuple[PoolState, ...], ready: tuple[int, ...], asked: Asked) -> RequestError:
    """Granted and possible, but not now: why not, for the pool that would be taken, and what can be had instead."""
    filled = fill(view, view.sizes_on, asked)
    if filled is None:
        raise TypeError("a choice that fits nothing is a conflict, not a lack of capacity")
    table = view.table
    denial = server_denial(table.facility, table.pools[filled.pool], states[filled.pool], table.wanted(filled.pool, filled.size))
    if denial is None:
        denial = Denial("no-capacity", f"Nothing can run this choice of {view.profile.title} now.", ask(table.facility))
    pools = view.granted["pool"]
    for facts in asked.choices.values():
        pools &= facts.pools
    others = sum(1 << n for n in bits(pools) if ready[n] & asked.sizes and view.images_on[n] & asked.images)
    if others:
        denial = Denial(
            denial.reason, denial.message, f"You may choose pool {listing(view.names('pool', others))} now. {denial.hint}", denial.rule
        )
    return raised(denial, "pool")
