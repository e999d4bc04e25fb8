"""Every name that must exist somewhere else in the file, judged on the plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import RulePath
from afkit.facility.report import Report
from afkit.facility.rules import Data, entries, mapping
from afkit.facility.tree import Document
from afkit.names import EVERYONE

_CODES: Final = {
    "group": "AF301",
    "pool": "AF302",
    "image": "AF303",
    "size": "AF304",
    "option": "AF305",
    "shared mount": "AF306",
    "issuer": "AF307",
}
_LISTS: Final = {"pools": "pool", "images": "image", "sizes": "size"}


@dataclass(slots=True)
class References:
    """The names that there are, by kind; a kind whose section is missing is not judged."""

    document: Document
    report: Report
    known: dict[str, dict[str, None]] = field(default_factory=dict)

    def one(self, kind: str, name: Any, path: RulePath, *, at_key: bool = False) -> None:
        """Add a problem where there is no ``kind`` of that name."""
        if not isinstance(name, str) or kind not in self.known or name in self.known[kind]:
            return
        if kind == "shared mount" and name in ("home", "scratch"):
            message, hint = f"{name!r} is no shared mount: every server has it.", "Remove it from this list."
        else:
            message = f"There is no {kind} {name[:60]!r}."
            hint = self._hint(kind, name)
        place = self.document.key_place(path) if at_key else self.document.place(path)
        self.report.add(_CODES[kind], place, message, hint)

    def _hint(self, kind: str, name: str) -> str:
        known = self.known[kind]
        close = self.report.near(name, known)
        if close:
            return f"Did you mean {close!r}?"
        if not known:
            return f"The file has no {kind} at all."
        return f"There are {', '.join(list(known)[:10])}{' and others' if len(known) > 10 else ''}."

    def many(self, kind: str, names: Any, path: RulePath) -> None:
        """Judge a list of names."""
        for index, name in enumerate(_list(names)):
            self.one(kind, name, (*path, index))

    def groups(self, holder: Data, keys: Iterable[str], path: RulePath) -> None:
        """Judge the lists of groups that stand under ``keys``."""
        for key in keys:
            self.many("group", holder.get(key), (*path, key))


def check_references(data: Data, document: Document, report: Report) -> None:
    """Judge every reference of the file."""
    references = References(document, report)
    for kind, path in (
        ("pool", ("pools",)),
        ("image", ("images",)),
        ("size", ("sizes",)),
        ("option", ("options",)),
        ("shared mount", ("storage", "shared")),
        ("issuer", ("identity", "issuers")),
    ):
        if path[0] in data or kind in ("option", "shared mount", "issuer"):
            references.known[kind] = dict.fromkeys(mapping(data, *path))
    references.known["group"] = dict.fromkeys((EVERYONE, *mapping(data, "groups")))
    _people(data, references)
    _choices(data, references)
    _layers(data, references)
    _places(data, references)


def _people(data: Data, references: References) -> None:
    references.groups(mapping(data, "identity"), ("allow",), ("identity",))
    for path, user in entries(data, "identity", "local", "users"):
        references.groups(user, ("groups",), path)
    for path, group in entries(data, "groups"):
        for index, source in enumerate(_list(group.get("from"))):
            if isinstance(source, str) and ":" in source:
                references.one("issuer", source.split(":", 1)[0], (*path, "from", index))
    _limits(data, references)


def _list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []


def _limits(data: Data, references: References) -> None:
    for name in mapping(data, "limits"):
        references.one("group", name, ("limits", name), at_key=True)
    for path, limit in entries(data, "limits"):
        for pool in mapping(limit, "accelerators"):
            here = (*path, "accelerators", pool)
            references.one("pool", pool, here, at_key=True)
            if pool in mapping(data, "pools") and "accelerator" not in mapping(data, "pools", pool):
                place = references.document.key_place(here)
                references.report.add("AF214", place, f"The pool {pool!r} has no accelerators to limit.", "Remove this line.")


def _choices(data: Data, references: References) -> None:
    for path, option in entries(data, "options"):
        for key, choice in mapping(option, "choices").items():
            here = (*path, "choices", key)
            if isinstance(choice, dict):
                references.groups(choice, ("allow",), here)
                for name, kind in _LISTS.items():
                    references.many(kind, choice.get(name), (*here, name))
    for path, profile in entries(data, "profiles"):
        references.groups(profile, ("allow",), path)
        references.many("option", profile.get("options"), (*path, "options"))
        for key, kind in _LISTS.items():
            _entries(profile.get(key), kind, (*path, key), _pool_names(profile), references)
        dask = profile.get("dask")
        if isinstance(dask, dict):
            _entries(dask.get("pools"), "pool", (*path, "dask", "pools"), None, references)


def _pool_names(profile: Data) -> list[Any] | None:
    pools = profile.get("pools")
    if not isinstance(pools, list):
        return None
    return [entry.get("name") if isinstance(entry, dict) else entry for entry in pools]


def _entries(values: Any, kind: str, path: RulePath, pools: list[Any] | None, references: References) -> None:
    for index, entry in enumerate(_list(values)):
        here = (*path, index)
        if not isinstance(entry, dict):
            references.one(kind, entry, here)
            continue
        references.one(kind, entry.get("name"), (*here, "name"))
        references.groups(entry, ("allow",), here)
        only = entry.get("pools")
        references.many("pool", only, (*here, "pools"))
        for position, name in enumerate(_list(only) if pools is not None else ()):
            if isinstance(name, str) and name in references.known.get("pool", ()) and name not in (pools or ()):
                message = f"The profile does not offer the pool {name!r}."
                hint = "Add it to the profile's pools, or remove it here."
                references.report.add("AF302", references.document.place((*here, "pools", position)), message, hint)


def layer_data(data: Data) -> Iterator[tuple[RulePath, Data]]:
    """Every place of the file that has the keys of ``session``, with what stands there."""
    if isinstance(data.get("session"), dict):
        yield ("session",), data["session"]
    for section in ("pools", "images", "profiles"):
        yield from entries(data, section)
    for path, option in entries(data, "options"):
        for key, choice in mapping(option, "choices").items():
            if isinstance(choice, dict):
                yield (*path, "choices", key), choice


def _layers(data: Data, references: References) -> None:
    declared = mapping(data, "cvmfs", "repositories")
    for path, layer in layer_data(data):
        references.many("shared mount", layer.get("storage"), (*path, "storage"))
        for index, name in enumerate(_list(layer.get("cvmfs"))):
            if isinstance(name, str) and name not in declared:
                close = references.report.near(name, declared)
                hint = f"Did you mean {close!r}?" if close else "Add it to `cvmfs.repositories`."
                place = references.document.place((*path, "cvmfs", index))
                references.report.add("AF308", place, f"No `cvmfs` section declares the repository {name[:80]!r}.", hint)


def _places(data: Data, references: References) -> None:
    storage = mapping(data, "storage")
    for name in ("home", "scratch"):
        references.groups(mapping(storage, name), ("allow", "write"), ("storage", name))
    for path, mount in entries(data, "storage", "shared"):
        references.groups(mount, ("allow", "write"), path)
    references.many("pool", mapping(data, "dask", "scheduler").get("pools"), ("dask", "scheduler", "pools"))
    image = mapping(data, "dask").get("image")
    references.one("image", image, ("dask", "image"))
    if isinstance(image, str) and "match" in mapping(data, "images", image):
        message = f"The image {image[:60]!r} has patterns and no reference."
        references.report.add("AF303", references.document.place(("dask", "image")), message, "Name one that has `image`.")
