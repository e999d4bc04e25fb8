"""``extends``: one file is laid over another one beside it, and a problem still names the file in which a value stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from afkit.facility.layers import split_layer
from afkit.facility.model import RulePath
from afkit.facility.report import Report
from afkit.facility.source import decode, read_bytes
from afkit.facility.tree import Document, Item, Mapping, Place, Scalar
from afkit.facility.yaml12 import compose

VERSION: Final = 1
"""The only version of the format."""


@dataclass(slots=True)
class Sources:
    """The files that were read, in order, with their content."""

    content: dict[Path, bytes] = field(default_factory=dict)

    def read(self, path: Path, report: Report, place: Place) -> bytes:
        """The content of a file; it is one of the sources from now on, whether it can be read or not."""
        self.content[path] = b""
        self.content[path] = read_bytes(path, report, place)
        return self.content[path]


def read_document(path: Path, report: Report, sources: Sources) -> Document:
    """The file at ``path``, laid over the one that it extends. Raises `StopReading` where nothing can be read."""
    root = _read(path, report, sources, (str(path), 0, 0))
    item = root.items.get("extends")
    if item is None:
        return Document(root, str(path))
    base_path = _base_path(path, item, report)
    base = _read(base_path, report, sources, item.node.place)
    if "extends" in base.items:
        place = base.items["extends"].place
        raise report.stop(
            "AF114", place, f"A file that is extended extends another one; {path.name!r} extends it.", "Lay all in two files."
        )
    base.items = {key: one for key, one in base.items.items() if not key.startswith("x-")}
    return Document(_lay(base, root, ()), str(path))


def _read(path: Path, report: Report, sources: Sources, place: Place) -> Mapping:
    root = compose(decode(sources.read(path, report, place), str(path), report), str(path), report)
    version = root.items.get("version")
    if version is None:
        report.add("AF113", (str(path), 1, 1), "The version of the format is missing.", "Begin with `version: 1`.")
    elif not isinstance(version.node, Scalar) or version.node.value is not VERSION or isinstance(version.node.value, bool):
        report.add("AF113", version.node.place, "This version of the format is not known.", "Write `version: 1`.")
    return root


def _base_path(path: Path, item: Item, report: Report) -> Path:
    name = item.node.value if isinstance(item.node, Scalar) else None
    place = item.node.place
    if not isinstance(name, str) or not name or "\0" in name:
        raise report.stop("AF114", place, "`extends` names one file.", "Write the name of a file beside this one.")
    if Path(name).name != name.removeprefix("./") or name in (".", ".."):
        raise report.stop("AF114", place, "`extends` names a file that is not beside this one.", "Write a name without a folder.")
    base = path.parent / name
    try:
        same = base.samefile(path)
    except OSError:
        same = base == path
    if same:
        raise report.stop("AF114", place, "A file cannot extend itself.", "Name another file beside this one.")
    return base


def _one_value(path: RulePath) -> bool:
    """Whether the mapping at ``path`` is one value in every merge: a secret, a volume, a trait's value."""
    if path[-1] == "secret" and path[-2:-1] == ("client",):
        return True
    if path[0] == "storage":
        return path[-1] == "volume" and len(path) in (3, 4)
    layer = split_layer(path)
    return layer is not None and len(layer[1]) == 2 and layer[1][0] in ("env", "kubespawner")


def _lay(base: Mapping, over: Mapping, path: RulePath) -> Mapping:
    merged = Mapping(over.place, over.flow, dict(base.items))
    for key, item in over.items.items():
        below = base.items.get(key)
        here = (*path, key)
        if below is None:
            merged.items[key] = item
        elif isinstance(item.node, Scalar) and item.node.value is None and not item.node.lost:
            del merged.items[key]
        elif isinstance(item.node, Mapping) and isinstance(below.node, Mapping) and not _one_value(here):
            merged.items[key] = Item(item.place, _lay(below.node, item.node, here))
        else:
            merged.items[key] = item
    return merged
