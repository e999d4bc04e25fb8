"""``afkit.cvmfs``: whether the CVMFS repositories of a session answer, why not, and what to do.

``python -m afkit.session.cvmfs`` does the same for whoever starts servers: one line of JSON, and exit code 1 where the facility
says that a server with dead repositories is to be refused.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, overload

from afkit.errors import MalformedError
from afkit.session.cvmfs_ask import Answer, ask
from afkit.session.cvmfs_words import heals, mounts_of, shape_of, words

__all__ = ["Checkup", "Health", "check"]

SECONDS: Final = 4.0
"""How long a repository has by default, so that everything is said within 5 s."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,126}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Health:
    """How one repository is.

    ``state`` is ``ok``, the kernel's word for an error (``ENOENT``, ``ELOOP``, ``ENOTCONN``, ``EIO``, …), ``hang`` (no answer in
    time), ``hidden`` (an empty folder where the repository should be), or ``unknown`` (it could not be looked at). ``message`` is
    the cause, ``remedy`` what to do (both empty where all is well). ``heals``: it comes back in this session without a new server.
    ``attributes``: what the client says of itself (``revision``, ``host``, ``proxy``, …), where it does.
    """

    repository: str
    path: str
    state: str
    message: str = ""
    remedy: str = ""
    heals: bool = True
    seconds: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        """Whether it answers."""
        return self.state == "ok"

    def __bool__(self) -> bool:
        return self.good

    def __str__(self) -> str:
        """The repository and its state; where it is not well, cause and remedy on lines of their own."""
        if self.good:
            known = dict(self.attributes)
            more = [f"revision {known['revision']}"] if "revision" in known else []
            return f"{self.repository}: " + ", ".join(["ok", *more, f"{self.seconds:.2f} s"])
        return "\n  ".join([f"{self.repository}: {self.state}", self.message, *([f"→ {self.remedy}"] if self.remedy else [])])

    def as_json(self) -> dict[str, Any]:
        """All fields, as plain data."""
        return {
            "repository": self.repository,
            "state": self.state,
            "message": self.message,
            "remedy": self.remedy,
            "heals": self.heals,
            "seconds": round(self.seconds, 3),
            "attributes": dict(self.attributes),
        }


@dataclass(frozen=True, slots=True)
class Checkup:
    """How all repositories of a session are. Shows itself as text, and as a table in a notebook."""

    folder: str
    repositories: tuple[Health, ...]

    @property
    def good(self) -> bool:
        """Whether all answer (none at all: yes)."""
        return not self.bad

    @property
    def bad(self) -> tuple[Health, ...]:
        """Those that do not answer."""
        return tuple(one for one in self.repositories if not one.good)

    def __bool__(self) -> bool:
        return self.good

    def __iter__(self) -> Iterator[Health]:
        return iter(self.repositories)

    def __str__(self) -> str:
        """One paragraph for each repository."""
        return "\n".join(map(str, self.repositories)) or "This session has no CVMFS repository."

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><td><strong>{one.state}</strong></td><td>{html.escape(one.repository)}</td>"
            f"<td style='text-align: left'>{html.escape(one.message)} <em>{html.escape(one.remedy)}</em></td></tr>"
            for one in self.repositories
        )
        return f"<table><tr><th></th><th>repository</th><th>found</th></tr>{''.join(cells)}</table>"


@overload
def check(repository: str, *, folder: str | None = ..., timeout: float = ...) -> Health: ...
@overload
def check(repository: None = ..., *, folder: str | None = ..., timeout: float = ...) -> Checkup: ...
def check(repository: str | None = None, *, folder: str | None = None, timeout: float = SECONDS) -> Health | Checkup:
    """Look at one CVMFS repository, or at all that this session was given; answers within 5 s, also where a mount hangs.

    ``repository`` is a full name (``cms.cern.ch``). ``folder`` is by default where this session has its repositories, as a rule
    ``/cvmfs``. ``timeout``: seconds that all of it may take, 4 by default. What was found is true where all is well.
    """
    if repository is None:
        return checkup(os.environ, folder=folder, timeout=timeout)
    place, _ = given(os.environ)
    return _looked(folder or place, (_name(repository),), timeout)[0]


def given(environment: Mapping[str, str]) -> tuple[str, tuple[str, ...] | None]:
    """Folder and repositories that a session was given; ``None``: all that lie in the folder."""
    said = environment.get("AFKIT_CVMFS", "")
    if said.startswith("/"):
        return said.rstrip("/") or "/", None
    return "/cvmfs", tuple(dict.fromkeys(name.strip() for name in said.split(",") if name.strip()))


def checkup(environment: Mapping[str, str], *, folder: str | None = None, timeout: float = SECONDS) -> Checkup:
    """`check` of all repositories that a session with these variables was given."""
    place, names = given(environment)
    place = folder or place
    if names is None:
        answer = ask(place, [""], timeout)[0]
        # a repository has a fully qualified name; what else may lie there (a README, folders of the configuration) has no dot
        listed = answer.found.get("names", ()) if answer.found else ()
        names = tuple(name for name in listed if "." in name.strip(".") and _NAME.fullmatch(name))
        if not names:
            return Checkup(place, (_health(place, "", answer, ""),))
    return Checkup(place, _looked(place, tuple(map(_name, names)), timeout))


def _name(repository: object) -> str:
    if not isinstance(repository, str) or not _NAME.fullmatch(repository):
        raise MalformedError(f"{repository!r} is no CVMFS repository.", 'Write its full name, "cms.cern.ch".', field="cvmfs")
    return repository


def _looked(folder: str, repositories: tuple[str, ...], seconds: float) -> tuple[Health, ...]:
    answers = ask(folder, repositories, seconds)
    mounts = _mountinfo()  # afterwards: looking may have mounted something
    return tuple(_health(folder, name, answer, mounts) for name, answer in zip(repositories, answers, strict=True))


def _health(folder: str, repository: str, answer: Answer, mountinfo: str) -> Health:
    path = f"{folder}/{repository}" if repository else folder
    found = answer.found or {}
    attributes = tuple(found.get("attributes", {}).items())
    state, shape = _state(answer), shape_of(mounts_of(mountinfo), folder, repository)
    if state == "ok":
        return Health(repository, path, state, seconds=answer.seconds, attributes=attributes)
    if state == "ENOENT" and (shape == "closed" or found.get("folder") == "empty"):
        state = "hidden"
    if attributes:
        shape = "whole"  # its client answers, so it is mounted here, whatever it shows
    said = words(state, shape, folder, repository)
    return Health(repository, path, state, said.message, said.remedy, heals(state, shape), answer.seconds, attributes)


def _state(answer: Answer) -> str:
    if answer.found is None:
        return "hang" if answer.step else "unknown"
    if "error" in answer.found:
        return str(answer.found["error"])
    return "ok" if answer.found.get("entries") else "hidden"


def _mountinfo() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return ""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Print one line of JSON; 1 where a repository does not answer and ``AFKIT_CVMFS_ON_FAILURE`` is not ``warn``."""
    parser = argparse.ArgumentParser(prog="python -m afkit.session.cvmfs", description="Whether CVMFS repositories answer.")
    parser.add_argument("repositories", metavar="REPOSITORY", nargs="*", help="by default those of AFKIT_CVMFS")
    parser.add_argument("--folder", help="by default that of AFKIT_CVMFS, else /cvmfs")
    parser.add_argument("--timeout", type=float, default=SECONDS, help="seconds that all of it may take (4)")
    asked = parser.parse_args(arguments)
    if asked.repositories:
        folder = asked.folder or given(environment)[0]
        seen = Checkup(folder, _looked(folder, tuple(map(_name, asked.repositories)), asked.timeout))
    else:
        seen = checkup(environment, folder=asked.folder, timeout=asked.timeout)
    refused = not seen.good and environment.get("AFKIT_CVMFS_ON_FAILURE") != "warn"
    print(json.dumps(_summary(seen, refused=refused), ensure_ascii=False), flush=True)  # noqa: T201  # it is a command
    return 1 if refused else 0


def _summary(seen: Checkup, *, refused: bool) -> dict[str, Any]:
    """What fits into an event of Kubernetes: the sentences of the first that does not answer, and only states of the others."""
    first = {"message": seen.bad[0].message, "remedy": seen.bad[0].remedy} if seen.bad else {}
    return {"good": seen.good, "refused": refused, **first, "repositories": {one.repository: one.state for one in seen}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
