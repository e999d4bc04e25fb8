"""Follows the facility file while the hub runs: who is added to it gets a password, without a new start.

The hub reads the file again by itself, by the same `FacilitySource`; a file with errors changes nothing here either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from afkit.facility.follow import FacilitySource

__all__ = ["Follower"]

_SILENT = logging.Logger("afkit.up.follow")  # outside the tree: the hub reports what is wrong with the file
_SILENT.addHandler(logging.NullHandler())


class Follower:
    """Knows the people of a facility file; `look` says when there are others."""

    def __init__(self, file: Path, added: Mapping[str, Sequence[str]]) -> None:
        self._source = FacilitySource(file, added, _SILENT)
        self.people = self._current()

    def look(self, changed: Callable[[Sequence[str]], None]) -> None:
        """Read the file again where it has changed; ``changed`` is called with the names that are new, after `people` has them."""
        before, self.people = self.people, self._current()
        if self.people.keys() != before.keys():
            changed([name for name in self.people if name not in before])

    def _current(self) -> dict[str, tuple[str, ...]]:
        identity = self._source.current().identity
        return dict(identity.local or {}) if identity else {}
