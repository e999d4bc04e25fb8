"""What the hub's own REST handlers read of a body, with the types and values that they do not check themselves. Pure.

JupyterHub 5.3 and 6.1 answer many of these with a 500: a list where text belongs, a scope that does not exist, a time before
the year 1, a number that no database can hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from afkit.errors import MalformedError
from afkit.hub.bodies import check_fields

__all__ = ["check_body", "check_numbers"]

_Types = type | tuple[type, ...]
_NONE: Final = type(None)
_TEXTS: Final = (list, _NONE)
_SHARE: Final[Mapping[str, _Types]] = {"user": (str, _NONE), "group": (str, _NONE), "scopes": _TEXTS}

_FIELDS: Final[Mapping[tuple[str, str], Mapping[str, _Types]]] = {
    ("UserListAPIHandler", "POST"): {"usernames": list, "admin": bool},
    ("UserAPIHandler", "POST"): {"admin": bool},
    # groups and roles are in the hub's own list too, and setting them so fails; groups are the facility file's
    ("UserAPIHandler", "PATCH"): {"name": str, "admin": bool},
    ("UserTokenListAPIHandler", "POST"): {
        "auth": dict,
        "note": (str, _NONE),
        "roles": _TEXTS,
        "scopes": _TEXTS,
        "expires_in": (int, _NONE),
    },
    ("ActivityAPIHandler", "POST"): {"last_activity": (str, _NONE), "servers": (dict, _NONE)},
    ("ServerShareAPIHandler", "POST"): _SHARE,
    ("ServerShareAPIHandler", "PATCH"): _SHARE,
    ("ServerShareCodeAPIHandler", "POST"): {"scopes": _TEXTS, "expires_in": int},
}
"""By the hub's class and the method. Other bodies are checked by the hub, or are only read by administrators' tools."""

_YEARS: Final = range(1970, 2200)
_MOST_SECONDS: Final = 100 * 365 * 86400
_MOST_DIGITS: Final = 15
_TOKEN_ID: Final = re.compile(r"a\d+")


def check_body(handler: str, method: str, body: Mapping[str, Any], scopes: Collection[str]) -> None:
    """Check the body of one of the hub's handlers (the name of its class); raises `MalformedError`. ``scopes``: those that exist."""
    fields = _FIELDS.get((handler, method))
    if fields is None:
        return
    check_fields(body, fields)
    for name in ("usernames", "roles", "scopes"):
        _check_texts(name, body.get(name))
    for scope in body.get("scopes") or ():
        _check_scope(scope, scopes)
    _check_seconds(body.get("expires_in"))
    _check_time(body.get("last_activity"))
    for server in (body.get("servers") or {}).values():
        _check_time(server.get("last_activity") if isinstance(server, dict) else None)


def check_numbers(query: Mapping[str, Iterable[bytes]], path: Iterable[str | None]) -> None:
    """Ids and offsets go to the database as numbers, which refuses those that are too large with an error of its own."""
    numbers = [value.decode("utf-8", "replace") for name in ("offset", "limit", "id") for value in query.get(name, ())]
    numbers += [part for part in path if part and _TOKEN_ID.fullmatch(part)]
    if any(len(digits) > _MOST_DIGITS for number in numbers for digits in re.findall(r"\d+", number)):
        raise MalformedError("The address has a number that is too large.", "Check the address.")


def _check_texts(name: str, items: object) -> None:
    if isinstance(items, list) and not all(isinstance(item, str) for item in items):
        raise MalformedError(f"{name} has something else than strings in it.", f"Send {name} as a list of strings.", field=name)


def _check_scope(scope: str, known: Collection[str]) -> None:
    name, _, restriction = scope.partition("!")
    if name not in known or (restriction and not re.match(r"(user|service|server|group)(=|$)", restriction)):
        raise MalformedError("scopes has a scope that does not exist.", "See the scopes in JupyterHub's documentation.", field="scopes")


def _check_seconds(seconds: object) -> None:
    if isinstance(seconds, int) and not 0 < seconds <= _MOST_SECONDS:
        raise MalformedError("expires_in is out of range.", "Send seconds, at least 1 and at most 100 years.", field="expires_in")


def _check_time(text: object) -> None:
    if text is None:
        return
    try:
        year = datetime.fromisoformat(text).year if isinstance(text, str) else 0
    except ValueError:
        year = 0
    if year not in _YEARS:
        raise MalformedError("last_activity is no time.", "Send it as 2026-03-01T12:00:00Z, for example.", field="last_activity")
