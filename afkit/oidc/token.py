"""A token, a code or a client's secret in a type that never shows it. Pure."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

__all__ = ["Token"]

_HIDDEN: Final = "Token(hidden)"


class Token:
    """A text that opens something. Only `reveal` gives it away; it is neither printed nor pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: to send it to whom it is for, or to look at what it says."""
        return self._text

    def __repr__(self) -> str:
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return NotImplemented
        return hmac.compare_digest(self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash((Token, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not pickled")
