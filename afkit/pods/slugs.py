"""The safe forms of names that KubeSpawner writes into objects, without KubeSpawner. Pure.

Source: kubespawner 7 (``slugs.py``) and escapism: homes and claims that a facility has must be found again, so every result
is equal to theirs; a contract test compares them on every kind of name.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

__all__ = ["escaped", "label", "safe", "server_slug"]

_LONGEST: Final = 48
_HASH: Final = 8
_OBJECT: Final = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_LABEL: Final = re.compile(r"[a-zA-Z0-9](?:[-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", re.ASCII)
_HASHED: Final = 32
"""Length of a label's value that is no value of a label itself."""
_UNSAFE: Final = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=4096)
def safe(name: str, longest: int = _LONGEST) -> str:
    """``name`` itself where it is a DNS label without ``--``, else a readable part of it, ``---`` and a hash."""
    if "--" not in name and len(name) <= longest and _OBJECT.fullmatch(name):
        return name
    return _hashed(name, longest)


@lru_cache(maxsize=4096)
def label(name: str) -> str:
    """``name`` itself where it may be a label's value and has no ``--``, else as in `safe`, of at most 32 characters."""
    return name if not name or ("--" not in name and _LABEL.fullmatch(name)) else _hashed(name, _HASHED)


@lru_cache(maxsize=4096)
def server_slug(user: str, server: str) -> str:
    """The safe form of a person's server: ``USER--SERVER``, ``USER`` for the default one; where that is too long, with one hash."""
    mine, its = safe(user), safe(server) if server else ""
    if len(mine) + len(its) + 2 <= _LONGEST:
        return f"{mine}--{its}" if its else mine
    parts = [part.encode("utf-8", "surrogatepass") for part in (user, server)]
    each = (_LONGEST - _HASH - 1) // 2 - 2
    digest = hashlib.sha256(b"\xff".join(parts)).hexdigest()[:_HASH]
    return f"{_readable(user, each)}--{_readable(server, each)}---{digest}"


def _hashed(name: str, longest: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{_readable(name, longest - _HASH - 3)}---{digest}"


def _readable(name: str, longest: int) -> str:
    part = _UNSAFE.sub("-", name.lower()).lstrip("-")[:longest].rstrip("-")
    if part and not "a" <= part[0] <= "z":
        part = f"x-{part[: longest - 2]}"
    return part or "x"


@lru_cache(maxsize=4096)
def escaped(name: str) -> str:
    """The older form: everything but ``a`` to ``z`` and ``0`` to ``9`` as ``-`` and the hexadecimal of its UTF-8 bytes."""
    return "".join(one if one.isascii() and (one.isdigit() or "a" <= one <= "z") else _bytes(one) for one in name)


def _bytes(one: str) -> str:
    return "".join(f"-{byte:x}" for byte in one.encode("utf-8", "surrogatepass"))
