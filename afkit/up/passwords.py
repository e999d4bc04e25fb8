"""One generated password a person, kept between runs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from afkit.up.state import read_json, write_private

__all__ = ["ensure_passwords", "new_password"]

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""No letter that looks like another one or like a digit."""


def new_password() -> str:
    """Four groups of four characters: 79 bits, and still typed from a screen without a mistake."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def ensure_passwords(path: Path, people: Iterable[str]) -> dict[str, str]:
    """The passwords of ``people``, made where the file has none. The file keeps those of people who are not among them now.

    Raises ``OSError`` where the file cannot be written.
    """
    known = {name: word for name, word in read_json(path).items() if isinstance(word, str) and word}
    current = {name: known.get(name) or new_password() for name in people}
    if not path.exists() or any(known.get(name) != word for name, word in current.items()):
        write_private(path, json.dumps({**known, **current}, indent=1) + "\n")
    return current
