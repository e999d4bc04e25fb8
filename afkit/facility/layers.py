"""Where the keys of ``session`` may stand, and what a ``null`` means there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import RulePath
from afkit.facility.report import Report
from afkit.facility.tree import Document

LAYER_KEYS: Final = ("env", "files", "lifetime", "default_url", "storage", "cvmfs", "pod", "kubespawner")
"""The keys of ``session``."""


def split_layer(path: RulePath) -> tuple[RulePath, RulePath] | None:
    """The place of a layer and the rest of the path below it, or ``None`` where ``path`` is in no layer."""
    depth = {"session": 1, "pools": 2, "images": 2, "profiles": 2, "options": 4}.get(str(path[0]) if path else "", 0)
    if not depth or len(path) <= depth or path[depth] not in LAYER_KEYS or (depth == 4 and path[2] != "choices"):
        return None
    return path[:depth], path[depth:]


@dataclass(slots=True)
class Nulls:
    """What the nulls of a file mean: for each layer the whole keys that it removes, and what a wrong null has made unknown."""

    removed: dict[RulePath, set[str]] = field(default_factory=dict)
    broken: set[RulePath] = field(default_factory=set)


def judge_nulls(data: dict[str, Any], document: Document, report: Report) -> Nulls:
    """Judge every null: in a later layer it removes; in a file with ``extends`` it had nothing to remove (AF115); else AF112.

    Nulls that remove whole keys of a layer, and wrong ones, are taken out of ``data``; the others stay.
    """
    nulls = Nulls()
    for path in list(_nulls(data, ())):
        if not _is_there(data, path):
            # it went with a list that had another null
            continue
        layer = split_layer(path)
        if layer is not None and layer[0] != ("session",) and _removes(layer[1]):
            _in_layer(data, layer, nulls)
            continue
        place = document.place(path)
        if "extends" in document.root.items and place[0] == document.file and isinstance(path[-1], str):
            _removes_nothing(data, path, document, report)
            cut(data, path)
        else:
            hint = "Leave the key out; in a file with `extends`, and in a later layer of `session`, null removes."
            report.add("AF112", place, "Here a null has nothing to remove.", hint)
            nulls.broken.add(cut(data, path))
    return nulls


def _in_layer(data: dict[str, Any], layer: tuple[RulePath, RulePath], nulls: Nulls) -> None:
    """Note a null that removes a whole key of earlier layers; what removes one entry stays where it stands."""
    place, rest = layer
    whole = ".".join(str(part) for part in rest)
    if (whole in LAYER_KEYS and whole != "default_url") or rest[0] == "lifetime":
        nulls.removed.setdefault(place, set()).add(whole)
        cut(data, (*place, *rest))


def cut(data: dict[str, Any], path: RulePath) -> RulePath:
    """Take the value at ``path`` out of ``data``; for a part of a list the whole list. Returns what was taken out."""
    first = next((index for index, part in enumerate(path) if isinstance(part, int)), len(path))
    gone = path[:first]
    holder: Any = data
    for part in gone[:-1]:
        holder = holder.get(part) if isinstance(holder, dict) else None
    if isinstance(holder, dict):
        holder.pop(gone[-1], None)
    return gone


def _removes(rest: RulePath) -> bool:
    if rest[0] == "pod":
        return isinstance(rest[-1], str)
    deepest = {"env": 2, "files": 2, "kubespawner": 2, "lifetime": 2}.get(str(rest[0]), 1)
    return len(rest) <= deepest and (rest[0] != "lifetime" or rest[1:] in ((), ("idle",), ("max",)))


def _removes_nothing(data: dict[str, Any], path: RulePath, document: Document, report: Report) -> None:
    holder: Any = data
    for part in path[:-1]:
        holder = holder[part]
    close = report.near(str(path[-1]), [key for key, value in holder.items() if value is not None])
    hint = f"Did you mean {close!r}?" if close else "Remove this line."
    report.add("AF115", document.place(path), f"There is no {str(path[-1])[:60]!r} to remove here.", hint)


def _is_there(data: Any, path: RulePath) -> bool:
    for part in path[:-1]:
        if isinstance(data, dict) and part not in data:
            return False
        data = data[part]
    return isinstance(data, list) or path[-1] in data


def _nulls(value: Any, path: RulePath) -> Iterator[RulePath]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _nulls(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _nulls(child, (*path, index))
    elif value is None:
        yield path
