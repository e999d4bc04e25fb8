"""How the resolver writes its sentences: what people typed, lists of names, whom to ask. Pure.

Text of a person reaches a message only through `quoted`: cut, in ASCII, without control characters, so that it cannot break
a line of a log, a header or a page, and look-alikes of other scripts show what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from afkit.facility.model import Facility
from afkit.names import near

__all__ = ["MOST_SHOWN", "ask", "listing", "quoted", "suggestion"]

MOST_SHOWN: Final = 80
"""So many characters of what a person sent are repeated to them at most."""
_MOST_LISTED: Final = 12


def quoted(text: str) -> str:
    """``text`` in quotes, as ASCII, with everything else escaped, and cut to `MOST_SHOWN` characters."""
    if len(text) <= MOST_SHOWN and text.isascii() and text.isprintable() and "\\" not in text:
        return f"'{text}'"
    shown = text[:MOST_SHOWN].encode("unicode_escape").decode("ascii")
    cut = "…" if len(text) > MOST_SHOWN or len(shown) > MOST_SHOWN else ""
    return f"'{shown[:MOST_SHOWN]}{cut}'"


def listing(names: Iterable[str], last: str = "or") -> str:
    """``a``, ``a or b``, ``a, b or c``; a long list ends in how many more there are."""
    shown = list(names)
    if len(shown) > _MOST_LISTED:
        return f"{', '.join(shown[:_MOST_LISTED])} {last} one of {len(shown) - _MOST_LISTED} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}" if shown else "nothing"


def suggestion(asked: str, visible: Sequence[str], choosable: Sequence[str]) -> str:
    """The hint for an unknown name: near matches among what the person may see, else what they may choose."""
    matches = near(asked, visible)
    if matches:
        return f"Did you mean {listing(matches)}?"
    return f"You may choose {listing(choosable)}." if choosable else ""


def ask(facility: Facility) -> str:
    """Whom to ask, as a sentence."""
    return f"Ask {facility.contact}." if facility.contact else f"Ask the administrators of {facility.title or facility.name}."
