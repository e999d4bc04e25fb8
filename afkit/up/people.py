"""Who can log in: the facility's own local people, and those that ``--user`` adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from afkit.errors import CallError
from afkit.facility.model import Facility
from afkit.names import EVERYONE, near

__all__ = ["added_people", "everybody"]

_LONGEST: Final = 255
"""Characters that the hub's database has for a name."""


def added_people(words: Iterable[str], facility: Facility) -> dict[str, list[str]]:
    """``NAME=GROUP,…`` as it was typed, in the order given; a name that stands twice has the groups of both.

    Raises `CallError` for anything else, and for a group that the facility does not have.
    """
    people: dict[str, list[str]] = {}
    for word in words:
        name, groups = _split(word, facility)
        if not _is_login(name):
            hint = "Write it as one part of a web address, such as ada or ada@example.org."
            raise CallError(f"--user: {name[:60]!r} cannot be a login name.", hint)
        own = people.setdefault(name, [])
        for group in groups:
            _known(group, facility)
            if group not in own:
                own.append(group)
    return people


def everybody(facility: Facility, added: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Every person who can log in here with the groups that the file or ``--user`` gives them, in the order of the file.

    Raises `CallError` where that is nobody.
    """
    local = facility.identity.local if facility.identity and facility.identity.local else {}
    people = {name: list(groups) for name, groups in local.items()}
    for name, groups in added.items():
        own = people.setdefault(name, [])
        own.extend(group for group in groups if group not in own)
    if not people:
        raise CallError(
            f"Nobody could log in: the facility {facility.name} has no people of its own under identity.local.",
            f"Add some with --user, for example --user ada={_example(facility)}.",
        )
    return people


def _split(word: str, facility: Facility) -> tuple[str, list[str]]:
    name, sign, groups = word.partition("=")
    names = [group.strip() for group in groups.split(",")]
    if not sign or not all(names):
        raise CallError(f"--user {word!r} is not NAME=GROUP,GROUP.", f"Write for example --user {name or 'ada'}={_example(facility)}.")
    return name, names


def _is_login(name: str) -> bool:
    """The facility file's rule for login names, and what a web address and the hub can hold."""
    return name.isprintable() and name == name.strip() and "/" not in name and 0 < len(name) <= _LONGEST and name not in {".", ".."}


def _known(group: str, facility: Facility) -> None:
    if group == EVERYONE or group in facility.groups:
        return
    close = near(group, (*facility.groups, EVERYONE))
    hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join((*facility.groups, EVERYONE))}."
    raise CallError(f"--user: the facility {facility.name} has no group {group!r}.", hint)


def _example(facility: Facility) -> str:
    return next(iter(facility.groups), EVERYONE)
