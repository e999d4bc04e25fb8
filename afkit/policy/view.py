"""One profile as one set of groups may use it: the table of what fits, behind the masks of what is granted and what is visible.

Views are kept for a facility and a set of groups (only groups that the profile mentions tell views apart), so that a thousand
people in five groups share five views of each profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from afkit.facility.model import Audience, Choice, Facility, Image, Layer, Option, Pool, Profile
from afkit.names import EVERYONE
from afkit.policy.keep import kept
from afkit.policy.layers import layers_of, mounts
from afkit.policy.model import Allowance, PoolState, ProfileOffer
from afkit.policy.table import FIELDS, ChoiceFacts, Field, OptionFacts, ProfileTable, bits

__all__ = ["FacilityViews", "OptionView", "People", "ProfileView", "may", "views_of"]

_MOST_VIEWS = 4096
_MOST_KEPT = 256


@dataclass(frozen=True, slots=True)
class Need:
    """The most CPU, memory and accelerators of each pool that any size asks for that somebody may have."""

    cpu: int
    memory: int
    units: Mapping[str, int]

    def within(self, left: Allowance) -> bool:
        """Whether limits that leave so much leave room for everything."""
        return (
            (left.servers is None or left.servers > 0)
            and (left.cpu is None or left.cpu >= self.cpu)
            and (left.memory is None or left.memory >= self.memory)
            and all(_at_least(left.accelerators.get(pool), units) for pool, units in self.units.items())
        )


def _at_least(left: int | None, wanted: int) -> bool:
    return left is None or left >= wanted


class OptionView:
    """An option as these groups may use it: only the choices that they may have; others are never mentioned."""

    __slots__ = ("choices", "named", "option", "ordered")

    def __init__(self, facts: OptionFacts, groups: frozenset[str]) -> None:
        self.option = facts.option
        self.choices: tuple[ChoiceFacts, ...] = tuple(each for each in facts.choices if may(each.choice.allow, groups))
        self.named: dict[str, ChoiceFacts] = {each.choice.name: each for each in self.choices}
        self.ordered = tuple(sorted(self.choices, key=lambda each: not each.choice.default))
        """In the order in which a choice left open is filled: defaults first, else as in the file."""


class ProfileView:
    """A profile for one set of groups. ``granted`` and ``visible`` are masks of entries; ``order`` is that of filling."""

    __slots__ = (
        "fits",
        "granted",
        "groups",
        "images_on",
        "mine",
        "named",
        "need",
        "offers",
        "options",
        "order",
        "profile",
        "ready",
        "sizes_on",
        "stored",
        "table",
        "visible",
        "visible_profile",
    )

    def __init__(self, table: ProfileTable, groups: frozenset[str]) -> None:
        self.table = table
        self.profile: Profile = table.profile
        self.groups = groups
        self.mine = may(self.profile.allow, groups)
        self.visible_profile = self.mine or self.profile.advertise
        self.granted: dict[Field, int] = {}
        self.visible: dict[Field, int] = {}
        self.named: dict[Field, dict[str, int]] = {}
        self.order: dict[Field, tuple[int, ...]] = {}
        for field in FIELDS:
            self._field(field)
        self.images_on = _within(table.images_on, self.granted["image"])
        self.sizes_on = _within(table.sizes_on, self.granted["size"])
        self.fits = self._fits()
        """Pools with which some image and some size go, all of them granted."""
        self.ready: dict[tuple[PoolState, ...], tuple[int, ...]] = {}
        """Kept by `afkit.policy.capacity`: what exists now of the pools → for each pool the sizes that it has room for."""
        self.need = self._need()
        self.options = self._options()
        self.offers: dict[tuple[object, ...], ProfileOffer] = {}
        """Kept by `afkit.policy.offer`: what exists now and what the limits leave → what is shown."""
        self.stored: dict[tuple[object, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def _need(self) -> Need:
        table = self.table
        wanted = [(table.pools[pool].name, table.wanted(pool, size)) for pool in bits(self.fits) for size in bits(self.sizes_on[pool])]
        units: dict[str, int] = {}
        for name, cell in wanted:
            units[name] = max(units.get(name, 0), cell.accelerators)
        cpu, memory = (max(amounts, default=0) for amounts in ([cell.cpu for _, cell in wanted], [cell.memory for _, cell in wanted]))
        return Need(cpu, memory, {name: count for name, count in units.items() if count})

    def _fits(self) -> int:
        return sum(1 << pool for pool in bits(self.granted["pool"]) if self.images_on[pool] and self.sizes_on[pool])

    def _options(self) -> dict[str, OptionView]:
        views = (OptionView(facts, self.groups) for facts in self.table.options)
        return {view.option.name: view for view in views if view.choices}

    def mounts(self, pool: Pool, image: Image, choices: tuple[tuple[Option, Choice], ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The shared mounts of a whole choice, and those that are listed and not for these groups."""
        key = (pool.name, image.name, *(choice.name for _, choice in choices))
        found = self.stored.get(key)
        if found is None:
            if len(self.stored) >= _MOST_KEPT:
                self.stored.clear()
            facility = self.table.facility
            found = self.stored[key] = mounts(facility, layers_of(facility, pool, image, self.profile, choices), self.groups)
        return found

    def left_out(self) -> tuple[str, ...]:
        """The shared mounts that the profile (else the session) lists and these groups may not have."""
        return mounts(self.table.facility, (self.table.facility.session, Layer(), Layer(), self.profile.layer), self.groups)[1]

    def _field(self, field: Field) -> None:
        entries = self.table.entries[field]
        granted = visible = 0
        named: dict[str, int] = {}
        for number, entry in enumerate(entries):
            allowed = may(entry.allow, self.groups)
            granted |= allowed << number
            if allowed or entry.advertise:
                visible |= 1 << number
                named[entry.name] = named.get(entry.name, 0) | 1 << number
        self.granted[field], self.visible[field], self.named[field] = granted, visible, named
        self.order[field] = tuple(sorted(bits(granted), key=lambda number: (not entries[number].default, number)))

    def names(self, field: Field, mask: int) -> list[str]:
        """The names of the entries of a mask, each once, in the order of the file."""
        entries = self.table.entries[field]
        return list(dict.fromkeys(entries[number].name for number in bits(mask)))


@dataclass(frozen=True, slots=True)
class People:
    """What the people of one set of groups have: all profiles in the order of the file, and those that are theirs.

    ``mine`` are in the order in which a profile left open is filled. ``named`` has only what they may see.
    """

    views: tuple[ProfileView, ...]
    visible: tuple[ProfileView, ...]
    mine: tuple[ProfileView, ...]
    named: Mapping[str, ProfileView]
    need: Need
    offers: dict[tuple[PoolState | None, ...], tuple[ProfileOffer, ...]]
    """Kept by `afkit.policy.offer`: what exists now → what is shown where the limits leave room for everything."""


class FacilityViews:
    """All profiles of one facility, for whoever asks."""

    def __init__(self, facility: Facility) -> None:
        self.facility = facility
        self.tables = tuple(ProfileTable(facility, profile) for profile in facility.profiles.values())
        self._mentioned = tuple(_mentioned(table) for table in self.tables)
        self._views: dict[tuple[int, frozenset[str]], ProfileView] = {}
        self._people: dict[tuple[str, ...], People] = {}

    def of(self, groups: tuple[str, ...]) -> People:
        """The views of all profiles for somebody in these groups."""
        people = self._people.get(groups)
        if people is None:
            if len(self._people) >= _MOST_VIEWS:
                self._people.clear()
                self._views.clear()
            people = self._people[groups] = self._make(frozenset((*groups, EVERYONE)))
        return people

    def _make(self, groups: frozenset[str]) -> People:
        views = tuple(self._view(number, groups & mentioned) for number, mentioned in enumerate(self._mentioned))
        visible = tuple(view for view in views if view.visible_profile)
        mine = sorted((view for view in views if view.mine), key=lambda view: not view.profile.default)
        return People(views, visible, tuple(mine), {view.profile.name: view for view in visible}, _most(view.need for view in mine), {})

    def _view(self, number: int, groups: frozenset[str]) -> ProfileView:
        view = self._views.get((number, groups))
        if view is None:
            view = self._views[number, groups] = ProfileView(self.tables[number], groups)
        return view


def views_of(facility: Facility) -> FacilityViews:
    """The views of a facility, kept with it."""
    return kept(facility, FacilityViews)


def may(allow: Audience, groups: frozenset[str]) -> bool:
    """Whether somebody in ``groups`` is in this audience."""
    return EVERYONE in allow or not groups.isdisjoint(allow)


def _within(masks: tuple[int, ...], granted: int) -> tuple[int, ...]:
    return tuple(mask & granted for mask in masks)


def _most(needs: Iterable[Need]) -> Need:
    """What all of these need at most."""
    many = tuple(needs)
    units: dict[str, int] = {}
    for need in many:
        for pool, count in need.units.items():
            units[pool] = max(units.get(pool, 0), count)
    return Need(max((need.cpu for need in many), default=0), max((need.memory for need in many), default=0), units)


def _mentioned(table: ProfileTable) -> frozenset[str]:
    audiences: Iterable[Audience] = (
        table.profile.allow,
        *(entry.allow for field in FIELDS for entry in table.entries[field]),
        *(each.choice.allow for facts in table.options for each in facts.choices),
        *(mount.allow for mount in table.facility.storage.shared.values()),
    )
    return frozenset(group for audience in audiences for group in audience) | {EVERYONE}
