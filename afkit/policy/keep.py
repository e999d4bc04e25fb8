"""What is worked out once for a facility and used for every choice after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from afkit.facility.model import Facility

__all__ = ["kept"]

_MOST_FACILITIES: Final = 8
_KEPT: Final[dict[int, tuple[Facility, dict[Callable[[Facility], Any], Any]]]] = {}
_Made = TypeVar("_Made")


def kept(facility: Facility, make: Callable[[Facility], _Made]) -> _Made:
    """``make(facility)``, made once and kept for the facilities that were asked for last.

    They are found by the identity of the object, which is held alive here: a facility is never changed, only replaced.
    """
    entry = _KEPT.get(id(facility))
    if entry is None:
        entry = (facility, {})
        if len(_KEPT) >= _MOST_FACILITIES:
            _KEPT.pop(next(iter(_KEPT)), None)
        _KEPT[id(facility)] = entry
    made = entry[1].get(make)
    if made is None:
        made = entry[1][make] = make(facility)
    return cast("_Made", made)
