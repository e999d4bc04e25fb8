"""The contract read literally and slowly: every combination is tried. It shares only the facts of pairs with the resolver."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from afkit.facility.model import Choice, Entry, Facility, Profile
from afkit.policy.capacity import server_denial
from afkit.policy.fit import Misfit, image_misfit, resources_of
from afkit.policy.model import Inventory, PoolState


@dataclass(frozen=True)
class Combination:
    pool: str
    image: str
    size: str


@dataclass(frozen=True)
class Person:
    """Who asks, and what exists now."""

    facility: Facility
    groups: frozenset[str]
    inventory: Inventory

    def may(self, allow: Iterable[str]) -> bool:
        return any(group == "everyone" or group in self.groups for group in allow)

    def combinations(self, profile: Profile) -> Iterator[Combination]:
        """All that this person may have and that can run now."""
        for pool in filter(lambda one: self.may(one.allow), profile.pools):
            for image in filter(lambda one: self.may(one.allow), profile.images):
                for size in filter(lambda one: self.may(one.allow), profile.sizes):
                    if self._fits(pool, image, size):
                        yield Combination(pool.name, image.name, size.name)

    def _fits(self, pool: Entry, image: Entry, size: Entry) -> bool:
        file = self.facility
        wanted = resources_of(file.sizes[size.name], file.pools[pool.name])
        state = self.inventory.pools.get(pool.name, PoolState())
        return (
            not isinstance(wanted, Misfit)
            and image_misfit(file.images[image.name], file.pools[pool.name]) is None
            and all(one.pools is None or pool.name in one.pools for one in (image, size))
            and server_denial(file, file.pools[pool.name], state, wanted) is None
        )

    def fill(self, asked: Mapping[str, str]) -> dict[str, str] | None:
        """The whole choice that ``asked`` leads to, without limits; ``None``: it is refused."""
        for profile in first_defaults(self.facility.profiles.values()):
            if self.may(profile.allow) and asked.get("profile", profile.name) == profile.name:
                filled = self._fill(profile, asked)
                if filled is not None:
                    return filled
        return None

    def _fill(self, profile: Profile, asked: Mapping[str, str]) -> dict[str, str] | None:
        if set(asked) - {"profile", "pool", "image", "size", *profile.options}:
            return None
        left = [one for one in self.combinations(profile) if self._asked(one, profile, asked)]
        filled: dict[str, str] = {"profile": profile.name}
        typed = is_typed(asked.get("image", ""))
        for field in ("pool", "image", "size"):
            entries = getattr(profile, f"{field}s")
            for entry in entries if typed and field == "image" else first_defaults(entries):
                fitting = [one for one in left if getattr(one, field) == entry.name]
                if fitting:
                    left, filled[field] = fitting, entry.name
                    break
            else:
                return None
        (one,) = left
        if typed:
            filled["image"] = asked["image"]
        for option in profile.options:
            for choice in first_defaults(self._choices(option)):
                if choice_fits(choice, one) and asked.get(option, choice.name) == choice.name:
                    filled[option] = choice.name
                    break
        return filled

    def _choices(self, option: str) -> list[Choice]:
        return [one for one in self.facility.options[option].choices.values() if self.may(one.allow)]

    def _asked(self, one: Combination, profile: Profile, asked: Mapping[str, str]) -> bool:
        match = self.facility.images[one.image].match
        if is_typed(asked.get("image", "")):
            image = any(takes(pattern, asked["image"]) for pattern in match)
        else:
            image = not match and asked.get("image", one.image) == one.image
        choices = [
            [choice for choice in self._choices(option) if choice.name == asked[option]] for option in profile.options if option in asked
        ]
        return (
            image
            and asked.get("pool", one.pool) == one.pool
            and asked.get("size", one.size) == one.size
            and all(named and choice_fits(named[0], one) for named in choices)
        )


def first_defaults(things: Iterable) -> list:  # type: ignore[type-arg]
    many = list(things)
    return [one for one in many if one.default] + [one for one in many if not one.default]


def choice_fits(choice: Choice, one: Combination) -> bool:
    pairs = ((choice.pools, one.pool), (choice.images, one.image), (choice.sizes, one.size))
    return all(names is None or name in names for names, name in pairs)


def is_typed(value: str) -> bool:
    return any(mark in value for mark in "/:@")


def takes(pattern: str, reference: str) -> bool:
    pieces = re.split(r"(\*\*|\*)", pattern)
    expression = "".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces)
    return re.fullmatch(expression, reference) is not None
