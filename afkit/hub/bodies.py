"""What a request may carry, checked before the hub reads it. Pure.

A body of the REST API is a JSON object or nothing: at most 64 KiB, at most 32 levels deep (counted before it is parsed),
strict UTF-8, every key once, numbers that are numbers. JupyterHub itself answers many of the others with a 500, or takes
``[]``, ``0`` and ``""`` for "the default server".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from afkit.errors import MalformedError
from afkit.policy.json_text import deepest, one_of_two

__all__ = ["MOST_BYTES", "MOST_LEVELS", "check_arguments", "check_fields", "check_size", "check_title", "parse_object", "server_request"]

MOST_BYTES: Final = 64 * 1024
MOST_LEVELS: Final = 32

_HINT: Final = 'Send a JSON object such as {"profile": "analysis"}, or nothing.'
_MOST_NUMBER: Final = 2**53
"""Beyond this, JSON numbers of different programs differ, and databases refuse them soon after."""


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The object in a body, ``None`` where it is empty. Raises `MalformedError` for anything else."""
    check_size(len(body))
    if not body.strip():
        return None
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("The body is not UTF-8.", _HINT) from None
    check_depth(body)
    value = _parse(text)
    if not isinstance(value, dict):
        raise MalformedError(f"The body is {_kind(value)}, not an object.", _HINT)
    _check_text(text, value)
    return value


def check_size(size: int, hint: str = _HINT) -> None:
    """Raise `MalformedError` for more than 64 KiB."""
    if size > MOST_BYTES:
        raise MalformedError(f"The request has {size} bytes; at most {MOST_BYTES} are read.", hint)


def check_title(text: str) -> None:
    """Raise `MalformedError` for what cannot be shown as the name of a server, or kept by every database."""
    if len(text) > 255 or not text.isprintable():
        raise MalformedError("display_name is no name.", "Write one line of at most 255 characters.", field="display_name")


def check_depth(body: bytes) -> None:
    """Raise `MalformedError` for JSON deeper than 32 levels, without parsing it: a parser would stop at its own recursion limit."""
    if deepest(body) > MOST_LEVELS:
        raise MalformedError(f"The body is nested more than {MOST_LEVELS} levels deep.", _HINT)


def check_fields(body: Mapping[str, Any], fields: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raise `MalformedError` for a field that ``fields`` does not have, or that is of another type."""
    for name, value in body.items():
        if name not in fields:
            known = ", ".join(fields)
            raise MalformedError(
                f"The body has an unknown field {_shown(name)}.", f"Known here: {known}." if known else "", field=name[:80]
            )
        wanted = fields[name]
        # a JSON true is no number, though Python's bool is an int
        if not isinstance(value, wanted) or (isinstance(value, bool) and not _takes_bool(wanted)):
            raise MalformedError(f"{_shown(name)} is {_kind(value)}.", f"It has to be {_wanted(wanted)}.", field=name)


def check_arguments(arguments: Mapping[str, Iterable[bytes]], what: str) -> None:
    """Raise `MalformedError` where a name or value of a query or a form is not UTF-8. Tornado gives names as Latin-1 text."""
    for name, values in arguments.items():
        try:
            name.encode("latin-1").decode("utf-8")
            for value in values:
                value.decode("utf-8")
        except (UnicodeDecodeError, UnicodeEncodeError):
            raise MalformedError(f"The {what} has text that is not UTF-8.", "Send UTF-8.") from None


def server_request(body: Mapping[str, Any] | None) -> tuple[str | None, dict[str, Any] | None]:
    """Display name and raw options of a request to start or make a server; ``None``: not given, so the saved ones count.

    As JupyterHub 6 reads it: ``{"user_options": {…}, "display_name": …}``, or else the body is the options.
    """
    if not body:
        return None, None if body is None else {}
    if "user_options" not in body and "display_name" not in body:
        return None, dict(body)
    check_fields(body, {"display_name": str, "user_options": (dict, type(None))})
    return body.get("display_name"), body.get("user_options")


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_float, parse_int=_int, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise MalformedError("The body is not JSON.", _HINT) from None


def _check_text(text: str, value: Any) -> None:
    """Escapes can smuggle in half of a surrogate pair, which no database and no UTF-8 can hold."""
    if "\\u" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedError("The body has text that is not Unicode.", _HINT) from None


def _no_constant(_: str) -> Any:
    raise MalformedError("NaN and Infinity are no JSON.", _HINT)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedError("The body has a number that is too large.", _HINT)
    return value


def _int(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _MOST_NUMBER:
        raise MalformedError("The body has a number that is too large.", _HINT)
    return int(text)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    twice = one_of_two(pairs, found)
    if twice is not None:
        raise MalformedError(f"The body has {_shown(twice)} twice.", _HINT)
    return found


def _takes_bool(wanted: type | tuple[type, ...]) -> bool:
    return wanted is bool or (isinstance(wanted, tuple) and bool in wanted)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        ((int, float), "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for types, name in names if isinstance(value, types)), "something else")


def _wanted(wanted: type | tuple[type, ...]) -> str:
    examples = {bool: True, int: 1, float: 1.5, str: "", list: [], dict: {}, type(None): None}
    types = wanted if isinstance(wanted, tuple) else (wanted,)
    return " or ".join(dict.fromkeys(_kind(examples[each]) for each in types))


def _shown(name: str) -> str:
    text = name[:40].encode("unicode_escape").decode("ascii")
    return f"'{text}{'…' if len(name) > 40 else ''}'"
