"""A file of claims, as ``afkit explain --claims`` takes it: the JSON object of a token, or of an answer of the provider."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from afkit.errors import CallError

__all__ = ["MOST_BYTES", "MOST_LEVELS", "read_claims"]

MOST_BYTES: Final = 512 * 1024
MOST_LEVELS: Final = 32
_TOKEN: Final = re.compile(rb"\s*[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\s*")
_HINT: Final = "Write one JSON object of claims: what a token of the provider says when decoded, or its answer at userinfo."


def read_claims(path: str) -> dict[str, Any]:
    """The claims in a file of at most 512 KiB and 32 levels. Raises `CallError` with a sentence that repeats nothing of a token."""
    from afkit.policy.json_text import JsonError, parse_json

    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "the name cannot be used"
        raise CallError(f"{path} cannot be read: {why}.", "Name a file of claims.") from error
    if _TOKEN.fullmatch(content):
        raise CallError(f"{path} is a token, not its claims.", _HINT)
    try:
        claims = parse_json(content, most_bytes=MOST_BYTES, most_levels=MOST_LEVELS)
    except JsonError as error:
        raise CallError(f"{path} {error}.", _HINT) from error
    if not isinstance(claims, dict):
        raise CallError(f"{path} is no JSON object.", _HINT)
    return claims
