"""When what is known of an issuer is used, asked for again, or of no use. Pure: times are arguments, in seconds of one clock.

Source: WLCG Common JWT Profiles 1.3, cache lifetimes: keys are asked for again after 6 hours and thrown away after 2 days, so
that an issuer may be away for that long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["EXPIRE", "PAUSE", "REFRESH", "UNKNOWN_PAUSE", "Known", "may_ask", "usable"]

REFRESH: Final = 6 * 3600.0
EXPIRE: Final = 48 * 3600.0
PAUSE: Final = 60.0
"""After an answer that was none, the issuer is left alone for so long."""
UNKNOWN_PAUSE: Final = 300.0
"""Between two questions that only tokens with an unknown key were the reason for: anybody can make up such a token."""
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Known:
    """Times of one issuer: of the last good answer, of the last try, and of the last try because of an unknown key."""

    fetched: float = _NEVER
    tried: float = _NEVER
    unknown: float = _NEVER


def usable(known: Known, now: float) -> bool:
    """Whether what was fetched still counts. What is said to come from the future counts as long as a slow clock explains it."""
    return -PAUSE <= now - known.fetched < EXPIRE


def may_ask(known: Known, now: float, *, unknown_key: bool = False) -> bool:
    """Whether the issuer is to be asked now. A good answer from the future (the clock was wrong) is asked for again."""
    failed = known.tried > known.fetched
    if failed and 0 <= now - known.tried < PAUSE:
        return False
    if not 0 <= now - known.fetched < REFRESH:
        return True
    return unknown_key and not 0 <= now - known.unknown < UNKNOWN_PAUSE
