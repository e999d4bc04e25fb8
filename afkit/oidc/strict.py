"""JSON and base64url of strangers, read so that each means one thing and costs little. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from afkit.policy.json_text import JsonError, deepest, parse_json

__all__ = ["MOST_LEVELS", "StrictError", "decode_base64url", "read_object"]

MOST_LEVELS: Final = 16
"""Levels of objects and lists in each other; honest tokens and keys have three or four."""
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class StrictError(ValueError):
    """What is wrong with a text, to be said after its name: ``is not UTF-8``. ``large``: it is too much of it."""

    def __init__(self, what: str, *, large: bool = False) -> None:
        super().__init__(what)
        self.large = large


def decode_base64url(text: str) -> bytes:
    """The bytes of base64url without padding, which has exactly one spelling. Raises `StrictError`."""
    if _BASE64URL.fullmatch(text) is None:
        raise StrictError("is not base64url")
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise StrictError("is not base64url") from None
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != text:
        raise StrictError("is base64url in another spelling")
    return content


def read_object(content: bytes, most_bytes: int) -> dict[str, Any]:
    """The JSON object that ``content`` is.

    Raises `StrictError` for more than ``most_bytes``, more than `MOST_LEVELS` (both are counted before anything is parsed), what
    is no UTF-8, no JSON, no object, for a key that stands twice, for NaN, and for text that has NUL or is no Unicode.
    """
    try:
        value = parse_json(content, most_bytes=most_bytes, most_levels=MOST_LEVELS)
    except JsonError as error:
        large = len(content) > most_bytes or deepest(content) > MOST_LEVELS
        raise StrictError(str(error), large=large) from None
    if not isinstance(value, dict):
        raise StrictError("is no object")
    _check_texts(value)
    return value


def _check_texts(value: Any) -> None:
    """Escapes may make text that no UTF-8 can say, or that ends early in a program of C."""
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise StrictError("has text with NUL, or that is no Unicode")
    elif isinstance(value, dict):
        for key, one in value.items():
            _check_texts(key)
            _check_texts(one)
    elif isinstance(value, list):
        for one in value:
            _check_texts(one)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
