"""A YAML file as nodes that know where they stand, and the plain data that they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.model import RulePath

Place = tuple[str, int, int]
"""File, line and column; both count from 1, 0 means the file as a whole."""


class YamlFloat(float):
    """A number with a point or an exponent that remembers how it was written (``12.10`` is a version, not 12.1)."""

    __slots__ = ("text",)
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True, eq=False)
class Scalar:
    """One plain value. ``text`` is what was written; ``lost`` marks a value that another problem already reports."""

    value: str | int | float | bool | None
    text: str
    place: Place
    quoted: bool = False
    lost: bool = False
    size: int = 1


@dataclass(slots=True, eq=False)
class Item:
    """One entry of a mapping: where its key stands, and its value."""

    place: Place
    node: Node


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping in the order of the file; ``size`` counts its nodes with every alias expanded."""

    place: Place
    flow: bool
    items: dict[str, Item] = field(default_factory=dict)
    size: int = 1


@dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    place: Place
    flow: bool
    items: list[Node] = field(default_factory=list)
    size: int = 1


Node = Scalar | Mapping | Sequence

NOWHERE: Final[Place] = ("", 0, 0)


@dataclass(slots=True)
class Document:
    """The root mapping of a facility file, ``extends`` already done, and all files that it came from."""

    root: Mapping
    file: str

    def node(self, path: RulePath) -> Node | None:
        """The node at ``path``, or ``None``."""
        node: Node | None = self.root
        for part in path:
            node = _child(node, part)
            if node is None:
                return None
        return node

    def key_place(self, path: RulePath) -> Place:
        """Where the key of the value at ``path`` stands; for entries of lists, and for the root, where the value stands."""
        if not path:
            return (self.file, 1, 1)
        parent = self.node(path[:-1])
        if isinstance(parent, Mapping) and isinstance(path[-1], str) and path[-1] in parent.items:
            return parent.items[path[-1]].place
        return self.place(path)

    def place(self, path: RulePath) -> Place:
        """Where the value at ``path`` stands, or the nearest thing around it that is there.

        A block mapping or list is named by its key: that is the line that a reader looks for.
        """
        while path:
            found = self._exact(path)
            if found is not None:
                return found
            path = path[:-1]
        return (self.file, 1, 1)

    def _exact(self, path: RulePath) -> Place | None:
        parent = self.node(path[:-1])
        part = path[-1]
        if isinstance(parent, Mapping) and isinstance(part, str):
            item = parent.items.get(part)
            if item is None:
                return None
            return item.node.place if isinstance(item.node, Scalar) or item.node.flow else item.place
        node = _child(parent, part)
        return None if node is None else node.place

    def text(self, path: RulePath) -> str:
        """The value at ``path`` as it was written, empty for mappings and lists."""
        node = self.node(path)
        return node.text if isinstance(node, Scalar) else ""


class Positions(AbstractMapping[RulePath, Place]):
    """(file, line, column) of every value of a document, by its path; found when asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def __getitem__(self, path: RulePath) -> Place:
        if self._document.node(path) is None:
            raise KeyError(path)
        return self._document.place(path)

    def __iter__(self) -> Iterator[RulePath]:
        return walk(self._document.root)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def walk(node: Node, path: RulePath = ()) -> Iterator[RulePath]:
    """The paths of everything below ``node``, in the order of the file."""
    children: Iterator[tuple[str | int, Node]]
    if isinstance(node, Mapping):
        children = ((key, item.node) for key, item in node.items.items())
    elif isinstance(node, Sequence):
        children = iter(enumerate(node.items))
    else:
        return
    for part, child in children:
        here = (*path, part)
        yield here
        yield from walk(child, here)


def plain(node: Node) -> Any:
    """The data that a node means: ``dict``, ``list``, text, numbers, booleans, ``None``. Every alias becomes a copy of its own."""
    if isinstance(node, Mapping):
        return {key: plain(item.node) for key, item in node.items.items() if not is_lost(item.node)}
    if isinstance(node, Sequence):
        return [plain(child) for child in node.items]
    return node.value


def is_lost(node: Node | None) -> bool:
    """Whether another problem reports this value already, so that nothing more is said about it."""
    return isinstance(node, Scalar) and node.lost


def _child(node: Node | None, part: str | int) -> Node | None:
    if isinstance(node, Mapping) and isinstance(part, str):
        item = node.items.get(part)
        return None if item is None else item.node
    if isinstance(node, Sequence) and isinstance(part, int) and 0 <= part < len(node.items):
        return node.items[part]
    return None
