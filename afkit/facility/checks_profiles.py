"""Checks of what each profile offers: whether something can be chosen at all, and whether each thing that it lists can."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from afkit.facility.fit import Amounts, amounts, driver_fits, runs_on
from afkit.facility.model import Audience, Entry, Facility, Pool, Profile, RulePath, Size
from afkit.facility.parse import Parsed
from afkit.facility.report import Report
from afkit.facility.tree import Document
from afkit.names import EVERYONE


class TooLarge(Exception):
    """More pairs would have to be compared than anybody would wait for."""


@dataclass(slots=True)
class ProfileChecks:
    """A facility under check. Facts about pairs are worked out once; profiles with something broken in them are left alone."""

    facility: Facility
    parsed: Parsed
    document: Document
    report: Report
    budget: int = 500_000
    """How many pairs may still be compared: a hostile file must not take minutes."""
    _amounts: dict[tuple[str, str], Amounts | None] = field(default_factory=dict)

    def whole(self, name: str) -> bool:
        """Whether the profile and everything that it refers to are there and have no error of their own."""
        profile = self.facility.profiles[name]
        if not self.parsed.whole("profiles", name):
            return False
        parts = (("pools", profile.pools), ("images", profile.images), ("sizes", profile.sizes))
        return all(
            entry.name in getattr(self.facility, section) and self.parsed.whole(section, entry.name)
            for section, entries in parts
            for entry in entries
        )

    def spend(self, pairs: int = 1) -> None:
        """Count comparisons. Raises `TooLarge` where there were too many."""
        self.budget -= pairs
        if self.budget < 0:
            raise TooLarge

    def amounts(self, size: Size, pool: Pool) -> Amounts | None:
        """`afkit.facility.fit.amounts`, remembered."""
        self.spend()
        pair = (size.name, pool.name)
        if pair not in self._amounts:
            self._amounts[pair] = amounts(size, pool)
        return self._amounts[pair]

    def add(self, code: str, path: RulePath, message: str, hint: str) -> None:
        """Add a problem."""
        self.report.add(code, self.document.place(path), message, hint)


def check_profiles(checks: ProfileChecks) -> None:
    """Check every profile that has no error of its own."""
    for name, profile in checks.facility.profiles.items():
        if checks.whole(name):
            _one(checks, profile)


@dataclass(slots=True)
class _Offered:
    """What fits what in one profile: positions of entries that fit some pool, and names of pools that some entry fits."""

    entries: set[int] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)


def offered_in(entry: Entry, pools: dict[str, Pool]) -> list[Pool]:
    """The pools, of those given, in which an entry is offered."""
    return list(pools.values()) if entry.pools is None else [pools[name] for name in entry.pools if name in pools]


def _match(pools: dict[str, Pool], entries: tuple[Entry, ...], fits: Callable[[Entry, Pool], bool]) -> _Offered:
    found = _Offered()
    for index, entry in enumerate(entries):
        for pool in offered_in(entry, pools):
            # what is known to have a partner is not looked at again
            if not (index in found.entries and pool.name in found.pools) and fits(entry, pool):
                found.entries.add(index)
                found.pools.add(pool.name)
                if len(found.pools) == len(pools):
                    break
    return found


def _one(checks: ProfileChecks, profile: Profile) -> None:
    facility = checks.facility

    def runs(entry: Entry, pool: Pool) -> bool:
        checks.spend()
        return runs_on(facility.images[entry.name], pool)

    pools = {entry.name: facility.pools[entry.name] for entry in profile.pools}
    images = _match(pools, profile.images, runs)
    sizes = _match(pools, profile.sizes, lambda entry, pool: checks.amounts(facility.sizes[entry.name], pool) is not None)
    lonely = sorted(set(range(len(profile.images))) - images.entries)
    too_new = [index for index in lonely if _is_too_new(checks, profile.images[index], pools)]
    _too_new(checks, profile, pools, too_new)
    _zero_accelerators(checks, profile, pools)
    if images.pools & sizes.pools:
        _partners(checks, profile, sorted(set(lonely) - set(too_new)), images, sizes)
    elif not too_new or len(too_new) < len(profile.images):
        message = f"The profile {profile.name!r} has no combination of pool, image and size that can run."
        checks.add("AF501", ("profiles", profile.name), message, _why_nothing(profile, pools, images))


def _too_new(checks: ProfileChecks, profile: Profile, pools: dict[str, Pool], positions: list[int]) -> None:
    for index in positions:
        entry = profile.images[index]
        message = f"The image {entry.name!r} needs a newer driver than every pool of the profile {profile.name!r} has."
        checks.add("AF504", ("profiles", profile.name, "images", index), message, _driver_hint(checks, pools, entry))


def _is_too_new(checks: ProfileChecks, entry: Entry, pools: dict[str, Pool]) -> bool:
    image = checks.facility.images[entry.name]
    checks.spend(len(pools))
    same = [pool for pool in offered_in(entry, pools) if pool.arch in image.arch]
    return bool(same) and not any(driver_fits(image, pool) for pool in same)


def _driver_hint(checks: ProfileChecks, pools: dict[str, Pool], entry: Entry) -> str:
    image = checks.facility.images[entry.name]
    needs = [f"{key.upper()} {_version(value)}" for key, value in (("cuda", image.cuda), ("rocm", image.rocm)) if value is not None]
    have = {
        f"{pool.name}: {key.upper()} {_version(value)}"
        for pool in offered_in(entry, pools)
        if pool.accelerator is not None
        for key, value in (("cuda", pool.accelerator.cuda), ("rocm", pool.accelerator.rocm))
        if value is not None
    }
    offers = f" ({', '.join(sorted(have)[:5])})" if have else ""
    return f"It needs {' or '.join(needs)}; add a pool that has it{offers}, or take an older image."


def _version(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _zero_accelerators(checks: ProfileChecks, profile: Profile, pools: dict[str, Pool]) -> None:
    for index, entry in enumerate(profile.sizes):
        if checks.facility.sizes[entry.name].accelerators != 0:
            continue
        checks.spend(len(pools))
        accelerated = [pool.name for pool in offered_in(entry, pools) if pool.accelerator is not None]
        if accelerated:
            message = f"The size {entry.name!r} takes no accelerator, and the pool {accelerated[0]!r} is for servers that have one."
            hint = "Leave `accelerators` out (1 on such pools, none on others), or offer the size only in other `pools`."
            checks.add("AF506", ("profiles", profile.name, "sizes", index), message, hint)


def _partners(checks: ProfileChecks, profile: Profile, lonely: list[int], images: _Offered, sizes: _Offered) -> None:
    facility = checks.facility
    for index in lonely:
        entry = profile.images[index]
        hint = f"It is built for {', '.join(facility.images[entry.name].arch)}; add a pool that fits, or remove it here."
        message = f"The image {entry.name!r} runs on no pool of the profile {profile.name!r}."
        checks.add("AF502", ("profiles", profile.name, "images", index), message, hint)
    for index, pool in enumerate(profile.pools):
        if pool.name not in images.pools:
            message = f"No image of the profile {profile.name!r} runs on the pool {pool.name!r}."
            hint = f"Add one that is built for {facility.pools[pool.name].arch}, or remove the pool here."
        elif pool.name not in sizes.pools:
            message = f"No size of the profile {profile.name!r} fits a node of the pool {pool.name!r}."
            hint = "Add a smaller one, or remove the pool here."
        else:
            continue
        checks.add("AF503", ("profiles", profile.name, "pools", index), message, hint)
    for index, entry in enumerate(profile.sizes):
        if facility.sizes[entry.name].accelerators != 0 and index not in sizes.entries:
            message = f"The size {entry.name!r} fits no node of the pools of the profile {profile.name!r}."
            hint = "Compare its amounts with `node` and `accelerator` of the pools; a share needs the CPU and memory of `node`."
            checks.add("AF505", ("profiles", profile.name, "sizes", index), message, hint)


def _why_nothing(profile: Profile, pools: dict[str, Pool], images: _Offered) -> str:
    for key, entries in (("pools", profile.pools), ("images", profile.images), ("sizes", profile.sizes)):
        if not entries:
            return f"It has no {key}: name at least one."
    reasons = [
        f"no size fits a node of {name}" if name in images.pools else f"no image runs on {name} ({pool.arch})"
        for name, pool in list(pools.items())[:5]
    ]
    shown = "; ".join(reasons)
    return f"{shown[:1].upper()}{shown[1:]}. Add what is missing."


def sees(allow: Audience, groups: Iterable[str]) -> bool:
    """Whether people of these groups may have what ``allow`` guards."""
    return EVERYONE in allow or any(group in allow for group in groups)
