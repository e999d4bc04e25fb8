"""Image references that people type: what is one, and which patterns of the file take it. Pure.

Source of the grammar: the reference grammar of the OCI distribution project (``reference.go``): a domain with an optional
port, path components, a tag of at most 128 characters, a digest; a whole repository name of at most 255 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

__all__ = ["is_reference", "is_typed", "matches"]

_MOST: Final = 255 + 1 + 128 + 1 + 256
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN: Final = (
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?"
)
_REFERENCE: Final = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128})?",
    re.ASCII,
)


def is_typed(value: str) -> bool:
    """Whether a value of ``image`` is a reference that was typed and not a name: references have ``/``, ``:`` or ``@``."""
    return "/" in value or ":" in value or "@" in value


def is_reference(value: str) -> bool:
    """Whether ``value`` is an image reference that a container runtime can read."""
    if len(value) > _MOST:
        return False
    match = _REFERENCE.fullmatch(value)
    return match is not None and len(match["name"]) <= 255


def matches(reference: str, patterns: Iterable[str]) -> bool:
    """Whether one of ``patterns`` takes the whole reference: ``*`` within a path part, ``**`` across parts.

    Everything else in a pattern stands for itself, and the case of letters counts. It takes time linear in the pattern
    times the reference, whatever both are: nobody can hold up the hub with a reference.
    """
    return any(_takes(_pieces(pattern), reference) for pattern in patterns)


@lru_cache(maxsize=1024)
def _pieces(pattern: str) -> tuple[str, ...]:
    return tuple(piece for piece in re.split(r"(\*+)", pattern) if piece)


def _takes(pieces: tuple[str, ...], reference: str) -> bool:
    """Follows all ways through the reference at once: bit ``n`` of ``reached`` says that its first ``n`` characters are taken."""
    reached = 1
    for piece in pieces:
        if piece == "*":
            reached = _within_parts(reached, reference)
        elif piece[0] == "*":
            reached = _from_lowest(reached, len(reference))
        else:
            reached = (reached & _starts(reference, piece)) << len(piece)
        if not reached:
            return False
    return bool(reached >> len(reference) & 1)


def _starts(reference: str, text: str) -> int:
    """Bit ``n``: ``text`` stands at ``n``."""
    found, at = 0, reference.find(text)
    while at >= 0:
        found |= 1 << at
        at = reference.find(text, at + 1)
    return found


def _from_lowest(reached: int, end: int) -> int:
    """All bits from the lowest one that is set up to ``end``."""
    lowest = reached & -reached
    return (2 << end) - lowest if lowest else 0


def _within_parts(reached: int, reference: str) -> int:
    """The same within each path part: a way may go on up to the next ``/``, not over it."""
    more, start = 0, 0
    for part in reference.split("/"):
        end = start + len(part)
        more |= _from_lowest(reached & ((2 << end) - (1 << start)), end)
        start = end + 1
    return more
