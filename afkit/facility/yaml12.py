"""YAML 1.2 by libyaml's parser: events become nodes that know their place, and what a facility file may not have is reported.

Only ``true`` and ``false`` are booleans, a date is text, ``<<`` merges. A recursive or huge alias, deep nesting and a second
document end the reading; a duplicate key, a tag, a key that is no text and a missing anchor are reported and reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from afkit.facility.report import Report, StopReading
from afkit.facility.tree import Item, Mapping, Node, Place, Scalar, Sequence, YamlFloat, is_lost

# every wheel of PyYAML has libyaml; a build without it has the same events, slower
_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST_NODES: Final = 10_000
"""Most nodes that aliases may expand to."""
MOST_DEPTH: Final = 64
"""Deepest nesting; a Pod with every part that Kubernetes knows stays below 20."""

_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_MOST_DIGITS: Final = 400


def resolve(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means in YAML 1.2 (the core schema, with ``true`` and ``false`` as its only booleans)."""
    if text in _NULL:
        return None
    if text in ("true", "false"):
        return text == "true"
    if text[0] not in _NUMBER_STARTS or len(text) > _MOST_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        number = YamlFloat(text.replace(".inf", "inf").replace(".nan", "nan") if "n" in text.lower() else text)
        number.text = text
        return number
    return text


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; ``key`` is the key that waits for its value."""

    node: Mapping | Sequence
    anchor: str | None
    lost: bool = False
    key: Node | None = None
    merges: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class _Composer:
    """Turns events into nodes. ``expanded`` counts the nodes that aliases stand for."""

    file: str
    report: Report
    anchors: dict[str, Node] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    expanded: int = 0
    root: Node | None = None

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """What to do with each kind of event; the others mean nothing here."""
        return {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def _document(self, event: Any) -> None:
        if self.root is not None:
            place = self._place(event)
            raise self.report.stop("AF111", place, "The file has a second document.", "Remove everything from this `---` on.")

    def _mapping(self, event: Any) -> None:
        self._open(event, Mapping(self._place(event), event.flow_style))

    def _sequence(self, event: Any) -> None:
        self._open(event, Sequence(self._place(event), event.flow_style))

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return (self.file, mark.line + 1, mark.column + 1)

    def _tagged(self, event: Any) -> bool:
        """Whether there is a tag, which is refused; its value is lost."""
        if event.tag is None:
            return False
        hint = "Remove the tag; a text that looks like a number is written in quotes."
        self.report.add("AF106", self._place(event), f"The tag {event.tag[:60]!r} is not taken.", hint)
        return True

    def _scalar(self, event: Any) -> None:
        quoted = event.style is not None and event.style != ""
        value = event.value if quoted else resolve(event.value)
        node = Scalar(value, event.value, self._place(event), quoted, lost=self._tagged(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._add(node)

    def _open(self, event: Any, node: Mapping | Sequence) -> None:
        lost = self._tagged(event)
        if len(self.stack) >= MOST_DEPTH:
            message = f"Values are nested more than {MOST_DEPTH} deep here."
            raise self.report.stop("AF109", node.place, message, "Nothing in a facility file is that deep.")
        if event.anchor is not None:
            # until it is closed, an alias of it would hold itself
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Open(node, event.anchor, lost))

    def _close(self, _event: Any) -> None:
        done = self.stack.pop()
        node: Node = done.node
        if done.merges and isinstance(node, Mapping):
            self._merge(node, done.merges)
        if done.lost or (isinstance(node, Sequence) and any(is_lost(one) for one in node.items)):
            # an entry that is missing would give all later ones another index
            node = Scalar(None, "", node.place, lost=True, size=node.size)
        if done.anchor is not None:
            self.anchors[done.anchor] = node
        self._add(node)

    def _alias(self, event: Any) -> None:
        place = self._place(event)
        node = self.anchors.get(event.anchor)
        if node is None:
            around = any(open_.anchor == event.anchor for open_ in self.stack)
            message = f"The alias *{event.anchor[:40]} " + ("stands inside its own anchor." if around else "has no anchor before it.")
            self.report.add("AF108", place, message, f"Write &{event.anchor[:40]} before the value that is meant, above this line.")
            self._add(Scalar(None, "", place, lost=True))
            return
        self.expanded += node.size
        if self.expanded > MOST_NODES:
            message = f"Aliases expand to more than {MOST_NODES:,} nodes.".replace(",", " ")
            raise self.report.stop("AF107", place, message, "Write what is meant without aliases of aliases.")
        self._add(node)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        top.node.size += node.size
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
        elif top.key is None:
            top.key = node
        else:
            key, top.key = top.key, None
            self._entry(top, key, node)

    def _entry(self, top: _Open, key: Node, node: Node) -> None:
        assert isinstance(top.node, Mapping)  # noqa: S101 - the caller has looked
        if isinstance(key, Scalar) and key.value == "<<" and not key.quoted:
            top.merges.append(node)
            return
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            self._no_text(key)
            return
        first = top.node.items.get(key.value)
        if first is not None:
            message = f"The key {key.value[:60]!r} stands twice here, first in line {first.place[1]}."
            self.report.add("AF105", key.place, message, "Remove one of them.")
            return
        top.node.items[key.value] = Item(key.place, node)

    def _no_text(self, key: Node) -> None:
        if not isinstance(key, Scalar):
            self.report.add("AF110", key.place, "A list or mapping is the key here.", "A key is one word.")
        elif not key.lost:
            hint = f'Write "{key.text[:40]}" in quotes if that is the key.'
            self.report.add("AF110", key.place, f"The key {key.text[:40] or 'null'} is no text.", hint)

    def _merge(self, node: Mapping, merges: list[Node]) -> None:
        merged: dict[str, Item] = {}
        for source in merges:
            for one in source.items if isinstance(source, Sequence) else [source]:
                if isinstance(one, Mapping):
                    # of several, the earlier has precedence
                    merged |= {key: item for key, item in one.items.items() if key not in merged}
                elif not is_lost(one):
                    self.report.add("AF203", one.place, "`<<` merges mappings only.", "Write an alias of a mapping: `<<: *name`.")
        node.items = merged | node.items


def compose(text: str, file: str, report: Report) -> Mapping:
    """The root mapping of a YAML text. Adds AF104 to AF111 to ``report``; raises `StopReading` where nothing more can be read."""
    composer = _Composer(file, report)
    parser = _PARSER(text)
    try:
        handlers = composer.handlers()
        while (event := parser.get_event()) is not None:
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
    except yaml.YAMLError as error:
        raise _no_yaml(error, file, report) from error
    root = composer.root
    if not isinstance(root, Mapping):
        empty = root is None or (isinstance(root, Scalar) and root.value is None)
        what = "is empty" if empty else "is no mapping of sections"
        raise report.stop("AF111", (file, 1, 1), f"The file {what}.", "Begin with `version: 1`.")
    return root


def _no_yaml(error: yaml.YAMLError, file: str, report: Report) -> StopReading:
    if not isinstance(error, yaml.MarkedYAMLError):
        return report.stop("AF104", (file, 0, 0), "This is no YAML.", "Save it as UTF-8 text without control characters.")
    mark = error.problem_mark or error.context_mark
    place = (file, mark.line + 1, mark.column + 1) if mark else (file, 0, 0)
    return report.stop("AF104", place, f"This is no YAML: {error.problem or error.context}.", _yaml_hint(str(error.problem)))


def _yaml_hint(problem: str) -> str:
    if "tab" in problem or "cannot start any token" in problem:
        return "Indent with spaces, never with tabs; a text that begins with @, ` or % needs quotes."
    if "mapping values are not allowed" in problem:
        return "A text with a colon and a space needs quotes; or the line is indented wrongly."
    return "Look at the indentation, the quotes and the brackets above this place."
