"""When a session ends, and what to say before it does. Pure: the clock and the activity are arguments.

The rule is the hub's: a session ends when it has been idle for ``idle`` seconds, or when it is ``max`` seconds old.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afkit.quantities import format_duration

__all__ = ["NO_END", "WARN", "Lifetime", "Warned", "lifetime_of", "next_look", "warnings"]

WARN: Final = 600
"""Seconds before an end at which it is warned of."""

_LOOK: Final = 60.0  # seconds between two looks of the browser: a laptop that slept, or a clock that was set, is noticed by then


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The limits of one session: ``idle`` and ``longest`` in seconds, ``ends`` in seconds since the epoch; ``None``: none."""

    idle: int | None = None
    longest: int | None = None
    ends: float | None = None


NO_END: Final = Lifetime()
"""A session that nobody ends."""


@dataclass(frozen=True, slots=True)
class Warned:
    """One end that is near: ``kind`` (``idle`` or ``max``), ``ends`` (seconds since the epoch), ``left`` (seconds), ``message``."""

    kind: str
    ends: float
    left: float
    message: str


def lifetime_of(environment: Mapping[str, str]) -> Lifetime:
    """The limits that the hub wrote into a session's environment (``AFKIT_LIFETIME``); without it, or with nonsense in it: none."""
    try:
        raw = json.loads(environment.get("AFKIT_LIFETIME", "null"))
    except ValueError:
        return NO_END
    if not isinstance(raw, dict):
        return NO_END
    idle, longest, started, ends = (_number(raw.get(key)) for key in ("idle", "max", "started", "ends"))
    if ends is None and longest is not None and started is not None:
        ends = started + longest
    return Lifetime(None if idle is None else int(idle), None if longest is None else int(longest), ends)


def warnings(lifetime: Lifetime, *, now: float, active: float, before: float = WARN) -> tuple[Warned, ...]:
    """The ends that are less than ``before`` seconds away, at time ``now``, after activity at ``active`` (both in seconds since the epoch).

    A short idle limit is warned of when half of it is over, for a person who pauses for a moment is not idle.
    """
    found = []
    if lifetime.idle is not None:
        ends = active + lifetime.idle
        left = max(0.0, ends - now)
        if left <= min(before, lifetime.idle / 2):
            text = f"This session has been idle and ends in {_about(left)}. What is not saved then is lost."
            found.append(Warned("idle", ends, left, text))
    if lifetime.ends is not None:
        left = max(0.0, lifetime.ends - now)
        if left <= before:
            most = f", after {format_duration(lifetime.longest)}, the longest allowed" if lifetime.longest else ""
            text = f"This session ends in {_about(left)}{most}. Save your work; files stay."
            found.append(Warned("max", lifetime.ends, left, text))
    return tuple(found)


def next_look(lifetime: Lifetime, *, now: float, active: float, before: float = WARN) -> float | None:
    """Seconds after which the warnings may have changed, from 1 to 60; ``None``: they never will."""
    if lifetime.idle is None and lifetime.ends is None:
        return None
    times = []
    if lifetime.idle is not None:
        times.append(active + lifetime.idle - min(before, lifetime.idle / 2))
    if lifetime.ends is not None:
        times.append(lifetime.ends - before)
    if any(time <= now for time in times):
        # a warning stands: the minutes in it count down, and activity may take it away
        return min(_LOOK, max(1.0, before / 60))
    return min(_LOOK, max(1.0, min(times) - now))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _about(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute"
    minutes = math.ceil(seconds / 60)
    if minutes > 90:
        return f"{math.floor(minutes / 60 + 0.5)} hours"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
