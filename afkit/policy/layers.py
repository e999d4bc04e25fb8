"""Which layers of ``session`` keys a choice has, and the lists that need no merging: mounts and how long a server lives. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from afkit.facility.model import Choice, Facility, Image, Layer, Lifetime, Option, Pool, Profile
from afkit.names import EVERYONE
from afkit.quantities import UNSET

__all__ = ["layers_of", "mounts", "shortest", "unclaimed_mounts"]

_SESSION, _PROFILE = 0, 3
"""Places in the order of `layers_of`."""


def layers_of(
    facility: Facility, pool: Pool, image: Image, profile: Profile, choices: Iterable[tuple[Option, Choice]] = ()
) -> tuple[Layer, ...]:
    """The layers in their order: session, pool, image, profile, choices (in the order of the profile's ``options``)."""
    return (facility.session, pool.layer, image.layer, profile.layer, *(choice.layer for _, choice in choices))


def shortest(layers: Iterable[Layer]) -> Lifetime:
    """The shortest lifetimes of the layers in seconds; ``None``, no end, is the longest of all.

    A ``null`` of a later layer takes away what the earlier ones said.
    """
    idle: list[int] = []
    most: list[int] = []
    for layer in layers:
        for seconds, field, value in ((idle, "lifetime.idle", layer.lifetime.idle), (most, "lifetime.max", layer.lifetime.max)):
            if "lifetime" in layer.removed or field in layer.removed:
                seconds.clear()
            if value is not None:
                seconds.append(value)
    return Lifetime(min(idle, default=None), min(most, default=None))


def unclaimed_mounts(facility: Facility) -> tuple[str, ...]:
    """The shared mounts that no pool, image or choice names: what a profile without a list has, where the session has none."""
    layers = [pool.layer for pool in facility.pools.values()]
    layers += [image.layer for image in facility.images.values()]
    layers += [choice.layer for option in facility.options.values() for choice in option.choices.values()]
    claimed = {name for layer in layers if layer.storage is not UNSET for name in layer.storage}
    return tuple(name for name in facility.storage.shared if name not in claimed)


def mounts(facility: Facility, layers: tuple[Layer, ...], groups: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The shared mounts of a choice in the order of the file, and those that are listed but not for these groups.

    The profile's list, else the session's, else all that no pool, image or choice names; the other layers add theirs. What
    nobody listed and the person may not have is not mentioned.
    """
    base, added = _listed(layers)
    listed = set(base or ()) | added
    wanted = listed if base is not None else listed.union(unclaimed_mounts(facility))
    shared = facility.storage.shared
    mine = tuple(name for name in shared if name in wanted and _may(shared[name].allow, groups))
    return mine, tuple(name for name in shared if name in listed and name not in mine)


def _listed(layers: tuple[Layer, ...]) -> tuple[tuple[str, ...] | None, set[str]]:
    """The list of the profile, else of the session (``None``: neither has one), and what the other layers add."""
    base: tuple[str, ...] | None = None
    added: set[str] = set()
    for number, layer in enumerate(layers):
        if "storage" in layer.removed:
            base, added = None, set()
        if layer.storage is UNSET:
            continue
        if number in (_SESSION, _PROFILE):
            base = layer.storage
        else:
            added.update(layer.storage)
    return base, added


def _may(allow: tuple[str, ...], groups: frozenset[str]) -> bool:
    return EVERYONE in allow or not groups.isdisjoint(allow)
