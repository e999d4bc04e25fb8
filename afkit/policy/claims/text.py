"""Strict reading of single claims: their types, their size, their characters. Nothing here knows a provider. Pure.

Source of the limits: a claim has at most 1,000 entries of at most 255 bytes; OpenID Connect Core 1.0 section 2 (``sub``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from afkit.errors import IdentityError
from afkit.policy.model import Ignored
from afkit.policy.text import quoted

__all__ = ["MOST_BYTES", "MOST_ENTRIES", "Claims", "checked", "entries", "flaw", "ignored", "kind", "malformed", "mapping", "text"]

Claims = Mapping[str, Any]
MOST_ENTRIES: Final = 1000
MOST_BYTES: Final = 255


def malformed(what: str) -> IdentityError:
    """The refusal of a claim that is not what it should be; ``what`` begins with its name."""
    return IdentityError(f"The claim {what}.", "Ask the administrators: the provider sends it in another form.", reason="malformed")


@lru_cache(maxsize=4096)
def ignored(value: str, why: str) -> Ignored:
    """What a provider said and counts for nothing; kept, since it says the same at each login."""
    return Ignored(value, f"{quoted(value)} {why}")


def text(claims: Claims, name: str) -> str | None:
    """A claim that is one text; ``None`` where it is missing or null. Raises `IdentityError` for another type, and over 255 bytes."""
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise malformed(f"{quoted(name)} of your login is {kind(value)}, not a text")
    if len(value) > MOST_BYTES or not value.isascii():
        _check_size(name, value)
    return value


def entries(claims: Claims, name: str) -> Sequence[str]:
    """A claim that is a list of texts; empty where it is missing or null.

    Raises `IdentityError` for everything else (one text is no list of one), over 1,000 entries, and an entry over 255 bytes.
    """
    value = claims.get(name)
    return () if value is None else checked(name, value)


def checked(name: str, value: object) -> Sequence[str]:
    """``value`` as a list of texts; errors are those of `entries`."""
    if not isinstance(value, list | tuple):
        raise malformed(f"{quoted(name)} of your login is {kind(value)}, not a list of texts")
    if len(value) > MOST_ENTRIES:
        raise malformed(f"{quoted(name)} of your login has {len(value)} entries; at most {MOST_ENTRIES} are read")
    for one in value:
        if not isinstance(one, str):
            raise malformed(f"{quoted(name)} of your login has {kind(one)} among its texts")
        if len(one) > MOST_BYTES or not one.isascii():
            _check_size(name, one)
    return value


def mapping(value: object, name: str) -> Claims:
    """A claim that holds others; empty where it is missing or null. Raises `IdentityError` for everything else, and over 1,000 of them."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise malformed(f"{quoted(name)} of your login is {kind(value)}, not an object")
    if len(value) > MOST_ENTRIES:
        raise malformed(f"{quoted(name)} of your login has {len(value)} entries; at most {MOST_ENTRIES} are read")
    return value


@lru_cache(maxsize=4096)
def flaw(group: str) -> str:
    """What is wrong with the text of a group that a provider names freely; empty: nothing.

    Such a text is compared as it is, so what looks like another one is left out: control and invisible characters, spaces
    around it, and what compatibility normalisation (NFKC) would change.
    """
    if group.isascii() and group.isprintable() and group.strip(" ") == group:
        return "stands for everybody in a facility file, and is no group" if group == "*" else "" if group else "is empty"
    if not group.isprintable():
        return "has characters that cannot be seen"
    if group.strip() != group:
        return "begins or ends with a space"
    return "is written with characters that look like others" if unicodedata.normalize("NFKC", group) != group else ""


def _check_size(name: str, value: str) -> None:
    if len(value) > MOST_BYTES:
        raise malformed(f"{quoted(name)} of your login has a text of over {MOST_BYTES} bytes")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise malformed(f"{quoted(name)} of your login has text that is not Unicode") from None
    if size > MOST_BYTES:
        raise malformed(f"{quoted(name)} of your login has a text of over {MOST_BYTES} bytes")


def kind(value: object) -> str:
    """What JSON calls a value, for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (str, "one text"),
        ((int, float), "a number"),
        (Mapping, "an object"),
        ((list, tuple), "a list"),
    )
    return next((word for types, word in kinds if isinstance(value, types)), "something else")
