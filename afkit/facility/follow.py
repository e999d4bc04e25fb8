"""The facility file as what runs for long uses it: read again when it changes, the last good version kept when the new one has errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from afkit.errors import FacilityError, Problem
from afkit.facility.load import load_facility
from afkit.facility.model import Facility, IdentityRules
from afkit.facility.traits import Traits

__all__ = ["FacilitySource"]

_Signature = tuple[tuple[str, int, int, int] | tuple[str], ...]

logger = logging.getLogger("afkit.facility")


class FacilitySource:
    """One facility file and all that it is read from.

    ``people`` (login name → facility groups) are added to the file's own local people; ``traits`` knows KubeSpawner, where
    servers are its pods. Raises `FacilityError` where the file has errors at the start; later ones are kept in `problems` and the
    last good version stays in use.
    """

    def __init__(
        self,
        path: str | Path,
        people: Mapping[str, Iterable[str]] | None = None,
        log: logging.Logger = logger,
        traits: Traits | None = None,
    ) -> None:
        # as it is named, not where a link leads: in a Pod the file is a link into a folder that a new version replaces
        self.path = Path(path).absolute()
        self.people = {name: tuple(groups) for name, groups in (people or {}).items()}
        self.log = log
        self._traits = traits
        self.problems: tuple[Problem, ...] = ()
        """What is wrong with the file as it stands now; empty while the version in use is the one on the disk."""
        self._watched: tuple[Path, ...] = (self.path,)
        self._listeners: list[Callable[[Facility], None]] = []
        self._signature = self._look()
        self._facility = self._read()
        self._watch(self._facility.sources)

    def current(self) -> Facility:
        """The last good version; looks first whether a file changed (a few microseconds when none did)."""
        if self._look() != self._signature:
            self._read_again()
        return self._facility

    def on_change(self, listener: Callable[[Facility], None]) -> None:
        """Call ``listener`` with each new good version."""
        self._listeners.append(listener)

    def _read_again(self) -> None:
        # taken before reading: a change while it is read is seen the next time
        self._signature = self._look()
        try:
            facility = self._read()
        except FacilityError as error:
            self.problems = tuple(problem for problem in error.problems if problem.severity == "error")
            self.log.error("The facility file has errors, the last good version stays: %s", error)  # noqa: TRY400  # not ours: no traceback
            self._watch((*self._facility.sources, *(Path(problem.file) for problem in self.problems if problem.file)))
            return
        self.problems = ()
        self._facility = facility
        self._watch(facility.sources)
        self.log.info("The facility file was read again: %s, version %s", self.path, facility.digest)
        for listener in self._listeners:
            listener(facility)

    def _read(self) -> Facility:
        return self._with_people(load_facility(self.path, self._traits))

    def _watch(self, files: Iterable[Path]) -> None:
        watched = tuple(dict.fromkeys((self.path, *files)))
        if watched != self._watched:
            self._watched = watched
            self._signature = self._look()

    def _look(self) -> _Signature:
        return tuple(_stamp(file) for file in self._watched)

    def _with_people(self, facility: Facility) -> Facility:
        if not self.people:
            return facility
        identity = facility.identity or IdentityRules()
        local = dict(identity.local or {})
        for name, groups in self.people.items():
            local[name] = tuple(dict.fromkeys((*local.get(name, ()), *groups)))
        return replace(facility, identity=replace(identity, local=local))


def _stamp(file: Path) -> tuple[str, int, int, int] | tuple[str]:
    try:
        found = file.stat()
    except OSError:
        return (str(file),)
    return (str(file), found.st_mtime_ns, found.st_size, found.st_ino)
