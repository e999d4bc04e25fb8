"""Modules that an analyst edits beside a notebook or script, in the scheduler and the workers as they are in the session.

The session sends the text of those that it has imported, whenever one of them has changed. Here they are written into a folder that is
looked at first; what was imported of them before is forgotten, so that the next task takes them as they are now.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

__all__ = ["MOST", "Modules"]

MOST = 8 << 20
"""Characters of all modules together."""


class Modules:
    """The folder. ``files`` are all texts that were put there, by path below it (``package/module.py``)."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, str] = {}
        self._folder = folder
        self._lock = threading.Lock()

    def put(self, files: Mapping[str, str]) -> int:
        """Take further texts, or newer ones; returns how many have changed. Raises `ValueError` for what is no module, or too much."""
        with self._lock:
            changed = {path: text for path, text in files.items() if self.files.get(path) != text}
            for path, text in changed.items():
                _check(path, text)
            if sum(map(len, (self.files | changed).values())) > MOST:
                raise ValueError(f"modules of more than {MOST >> 20} MiB")
            for path, text in changed.items():
                place = self._folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            self.files |= changed
            if changed:
                self._renew(changed)
            return len(changed)

    def _renew(self, changed: Mapping[str, str]) -> None:
        if str(self._folder) not in sys.path:
            sys.path.insert(0, str(self._folder))
        importlib.invalidate_caches()
        # the whole package: its modules have names of each other's
        roots = {PurePosixPath(path).parts[0].removesuffix(".py") for path in changed}
        for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
            del sys.modules[name]


def _check(path: object, text: object) -> None:
    good = isinstance(path, str) and isinstance(text, str) and path.endswith(".py")
    if not good or not all(part.isidentifier() for part in str(path).removesuffix(".py").split("/")):
        raise ValueError(f"{path!r} is no module")
