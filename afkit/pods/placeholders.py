"""Fills in the placeholders of ``storage`` and of the ``session`` keys, with KubeSpawner's meanings. Pure.

They are replaced once: what a name holds is never read again. Every other brace is literal, and so is ``${word}``, which
belongs to a shell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import NotEntitledError
from afkit.pods.slugs import escaped, safe

__all__ = ["PLACEHOLDER", "PLACEHOLDERS", "Names", "fill", "fill_all"]

PLACEHOLDERS: Final = ("username", "escaped_username", "unescaped_username", "servername", "initial", "uid", "gid")
"""All words that may stand in braces."""
PLACEHOLDER: Final = re.compile(rf"(?<!\$)\{{({'|'.join(PLACEHOLDERS)})\}}", re.ASCII)
"""One placeholder where it counts; its word is the group."""
_SERVER: Final = "{servername}"


@dataclass(frozen=True, slots=True)
class Names:
    """Who a server is for: login name, server name (empty: the default server), and the ids that it runs as."""

    user: str
    server: str = ""
    uid: int = 1000
    gid: int = 100

    def __getitem__(self, word: str) -> str:
        """The text of a placeholder. Raises `NotEntitledError` where the login name may not stand in a path as it is."""
        if word == "username":
            return safe(self.user)
        if word == "escaped_username":
            return escaped(self.user)
        if word == "unescaped_username":
            return self._plain()
        if word == "servername":
            return safe(self.server) if self.server else ""
        if word == "initial":
            return safe(self.user)[0]
        return str({"uid": self.uid, "gid": self.gid}[word])

    def _plain(self) -> str:
        name = self.user
        if not name or name in (".", "..") or "/" in name or not name.isprintable():
            raise NotEntitledError(
                "Your login name cannot be part of a path, and this facility uses it as one.", "Ask the administrators for another name."
            )
        return name


def fill(text: str, names: Names) -> str:
    """``text`` with every placeholder replaced, once.

    As in KubeSpawner, a ``-`` before an empty ``{servername}`` at the end goes away with it.
    """
    if "{" not in text:
        return text
    filled = PLACEHOLDER.sub(lambda match: names[match[1]], text)
    return filled.rstrip("-") if not names.server and text.endswith(_SERVER) and not text.endswith(f"${_SERVER}") else filled


def fill_all(value: Any, names: Names) -> Any:
    """Plain data with the placeholders of all its texts replaced; keys of mappings stay as they are. A new object."""
    if isinstance(value, str):
        return fill(value, names)
    if isinstance(value, Mapping):
        return {key: fill_all(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [fill_all(one, names) for one in value]
    return value
