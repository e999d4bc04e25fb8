"""What is sent, read with care: bounded, strict, before anything of it is used."""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp import web

from afkit.errors import MalformedError

__all__ = ["MOST_BODY", "read"]

MOST_BODY: Final = 64 << 10
_DEEPEST: Final = 16
_EXAMPLE: Final = "Send one JSON object in UTF-8."


async def read(request: web.Request) -> Any:
    """The body as JSON. Raises `MalformedError` for everything that is none, or too large."""
    try:
        content = await request.content.readexactly(MOST_BODY + 1)
    except EOFError as error:
        content = getattr(error, "partial", b"")
    if len(content) > MOST_BODY:
        raise MalformedError(f"The request is larger than {MOST_BODY >> 10} KiB.", "Send less.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("The request is no UTF-8.", _EXAMPLE) from None
    if _depth(text) > _DEEPEST:
        raise MalformedError("The request is nested too deeply.", _EXAMPLE)
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise MalformedError("The request is no JSON.", _EXAMPLE) from None


def _depth(text: str) -> int:
    """How deep lists and objects lie in each other at most; brackets in texts count too, which only makes it more."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made
