"""One profile as the file has it, ready for questions: what fits together, as bit masks, the same for everybody.

Which image runs on which pool and which size fits which pool are facts of pairs; a choice of an option restricts pools,
images and sizes each by itself. So a combination fits exactly when its pairs do, and every question is an AND of masks: bit
``n`` of a mask stands for the ``n``-th entry of the profile's list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from afkit.facility.model import Choice, Entry, Facility, Image, Option, Pool, Profile, RulePath, Size
from afkit.policy.fit import Misfit, image_misfit, resources_of
from afkit.policy.model import Resources

__all__ = ["FIELDS", "ChoiceFacts", "Field", "OptionFacts", "ProfileTable", "bits"]

Field = Literal["pool", "image", "size"]
FIELDS: tuple[Field, ...] = ("pool", "image", "size")
_Cell = TypeVar("_Cell")


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


@dataclass(frozen=True, slots=True)
class ChoiceFacts:
    """A choice and with which pools, images and sizes of the profile it goes, as masks."""

    choice: Choice
    pools: int
    images: int
    sizes: int


@dataclass(frozen=True, slots=True)
class OptionFacts:
    """An option of the profile with its choices."""

    option: Option
    choices: tuple[ChoiceFacts, ...]


class ProfileTable:
    """What fits together in one profile. Made once for a facility; nothing in it depends on a person."""

    def __init__(self, facility: Facility, profile: Profile) -> None:
        self.facility = facility
        self.profile = profile
        self.entries: dict[Field, tuple[Entry, ...]] = {"pool": profile.pools, "image": profile.images, "size": profile.sizes}
        self.pools: tuple[Pool, ...] = tuple(facility.pools[entry.name] for entry in profile.pools)
        self.images: tuple[Image, ...] = tuple(facility.images[entry.name] for entry in profile.images)
        self.sizes: tuple[Size, ...] = tuple(facility.sizes[entry.name] for entry in profile.sizes)
        self.image_misfits = tuple(self._images(pool) for pool in self.pools)
        self.resources = tuple(self._sizes(pool) for pool in self.pools)
        self.images_on = tuple(_mask(row, lambda cell: cell is None) for row in self.image_misfits)
        self.sizes_on = tuple(_mask(row, lambda cell: isinstance(cell, Resources)) for row in self.resources)
        self.typed = _mask(self.images, lambda image: bool(image.match))

    @cached_property
    def options(self) -> tuple[OptionFacts, ...]:
        """The options of the profile, in its order."""
        return tuple(self._option(self.facility.options[name]) for name in self.profile.options)

    def wanted(self, pool: int, size: int) -> Resources:
        """What a server of a size has on a pool that the size fits."""
        cell = self.resources[pool][size]
        if isinstance(cell, Misfit):
            raise TypeError(cell.message)
        return cell

    def rule(self, field: Field, number: int, *more: str) -> RulePath:
        """Where an entry of the profile stands in the file."""
        return ("profiles", self.profile.name, f"{field}s", number, *more)

    def _images(self, pool: Pool) -> tuple[Misfit | None, ...]:
        return tuple(self._image(pool, number) for number in range(len(self.images)))

    def _sizes(self, pool: Pool) -> tuple[Resources | Misfit, ...]:
        return tuple(self._size(pool, number) for number in range(len(self.sizes)))

    def _image(self, pool: Pool, number: int) -> Misfit | None:
        entry = self.profile.images[number]
        if entry.pools is not None and pool.name not in entry.pools:
            return Misfit(f"{self.profile.title} does not have image {entry.name} on pool {pool.name}", self.rule("image", number, "pools"))
        return image_misfit(self.images[number], pool)

    def _size(self, pool: Pool, number: int) -> Resources | Misfit:
        entry = self.profile.sizes[number]
        if entry.pools is not None and pool.name not in entry.pools:
            return Misfit(f"{self.profile.title} does not have size {entry.name} on pool {pool.name}", self.rule("size", number, "pools"))
        return resources_of(self.sizes[number], pool)

    def _option(self, option: Option) -> OptionFacts:
        return OptionFacts(option, tuple(self._choice(choice) for choice in option.choices.values()))

    def _choice(self, choice: Choice) -> ChoiceFacts:
        return ChoiceFacts(
            choice,
            _named(self.profile.pools, choice.pools),
            _named(self.profile.images, choice.images),
            _named(self.profile.sizes, choice.sizes),
        )


def _mask(cells: Iterable[_Cell], wanted: Callable[[_Cell], bool]) -> int:
    return sum(1 << number for number, cell in enumerate(cells) if wanted(cell))


def _named(entries: tuple[Entry, ...], names: tuple[str, ...] | None) -> int:
    return _mask(entries, lambda entry: names is None or entry.name in names)
