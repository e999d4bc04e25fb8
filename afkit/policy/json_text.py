"""JSON that strangers send, read so that it means one thing and costs little. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from afkit.policy.text import quoted

__all__ = ["JsonError", "deepest", "one_of_two", "parse_json"]

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, or the beginning of one that never ends: so that no quote is looked at twice."""
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_STEP: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


class JsonError(ValueError):
    """What is wrong with a text that should be JSON, to be said after its name: ``is not UTF-8``."""


def parse_json(content: bytes, *, most_bytes: int, most_levels: int) -> Any:
    """The value that ``content`` says.

    Raises `JsonError` for more bytes or levels (both are counted before anything is parsed), for what is no UTF-8 or no JSON,
    and for a key that stands twice. Escapes may still make text that is no Unicode: whoever uses a text looks at it.
    """
    if len(content) > most_bytes:
        raise JsonError(f"has more than {most_bytes} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonError("is not UTF-8") from None
    if deepest(content) > most_levels:
        raise JsonError(f"is nested more than {most_levels} levels deep")
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except JsonError:
        raise
    except (ValueError, RecursionError):
        raise JsonError("is not JSON") from None


def deepest(content: bytes) -> int:
    """How many levels deep JSON is, without parsing it: a parser would stop at its own recursion limit."""
    steps = (_STEP[bracket] for bracket in _BRACKET.findall(_STRING.sub(b"", content)))
    return max(accumulate(steps), default=0)


def one_of_two(pairs: Sequence[tuple[str, Any]], made: dict[str, Any]) -> str | None:
    """A key that stands twice among ``pairs``, of which ``made`` is the object; ``None``: there is none."""
    if len(made) == len(pairs):
        return None
    seen: set[str] = set()
    return next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add returns nothing


def _no_constant(_: str) -> Any:
    raise JsonError("has NaN or Infinity, which are no JSON")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    twice = one_of_two(pairs, made)
    if twice is not None:
        raise JsonError(f"has {quoted(twice)} twice")
    return made
