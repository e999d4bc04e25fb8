"""Plain data with blanks in its texts, from which copies with the blanks filled in are made quickly, or their JSON. Pure.

The data becomes a program that writes it down, with the blanks as variables: that is how Python makes the most objects in the
least time. Nothing but constants and these variables is in it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from types import CodeType
from typing import Any, Final

__all__ = ["Filler", "Slot", "Writer", "blank", "filler", "in_json", "writer"]

_BLANK: Final = re.compile(r"\0([a-z_]+)\0")
"""A blank in a text. No text of Kubernetes holds a NUL."""
in_json: Final = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
"""JSON of a value as a `Writer` writes it: short, and in ASCII."""


def blank(word: str) -> str:
    """What stands in a text for the value of ``word`` (small letters and ``_``)."""
    return f"\0{word}\0"


@dataclass(frozen=True, slots=True)
class Filler:
    """Data with blanks, ready to be copied; ``words`` are those of its blanks."""

    code: CodeType
    words: frozenset[str]

    def fill(self, values: Mapping[str, str]) -> Any:
        """A copy with the blanks filled in."""
        return eval(self.code, {"__builtins__": {}}, values)  # noqa: S307 - only what `filler` compiled from constants


@dataclass(frozen=True, slots=True)
class Slot:
    """A whole value that is left blank; only a `Writer` has such ones."""

    word: str


@dataclass(frozen=True, slots=True)
class Writer:
    """JSON with blanks, ready to be written; ``words`` are those of blanks in texts, ``slots`` those of whole values."""

    code: CodeType
    words: frozenset[str]
    slots: frozenset[str]

    def write(self, values: Mapping[str, str], whole: Mapping[str, str]) -> bytes:
        """The JSON of a copy; ``whole`` are the slots' values, in JSON already."""
        names = {**{word: in_json(values[word])[1:-1] for word in self.words}, **whole}
        text: str = eval(self.code, {"__builtins__": {}}, names)  # noqa: S307 - only what `writer` compiled from constants
        return text.encode("ascii")


def writer(data: Any) -> Writer:
    """Prepare plain data for its JSON. No slot may have the word of a blank."""
    words: set[str] = set()
    slots: set[str] = set()
    parts: list[ast.expr] = []
    for one in _tokens(data):
        if isinstance(one, Slot):
            slots.add(one.word)
            parts.append(_variable(one.word))
        else:
            parts += _parts(one, words)
    tree = ast.fix_missing_locations(ast.Expression(ast.JoinedStr(parts)))
    return Writer(compile(tree, "<blanks>", "eval"), frozenset(words), frozenset(slots))


def _tokens(value: Any) -> Iterator[str | Slot]:
    """The JSON of a value in pieces, with blanks left in it as they are."""
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, Mapping):
        yield from _listed("{", ((f"{in_json(key)}:", one) for key, one in value.items()), "}")
    elif isinstance(value, list | tuple):
        yield from _listed("[", (("", one) for one in value), "]")
    elif isinstance(value, str) and "\0" in value:
        yield '"'
        for number, part in enumerate(_BLANK.split(value)):
            yield blank(part) if number % 2 else in_json(part)[1:-1]
        yield '"'
    else:
        yield in_json(value)


def _listed(begin: str, values: Iterable[tuple[str, Any]], end: str) -> Iterator[str | Slot]:
    comma = begin
    for before, one in values:
        yield comma + before
        yield from _tokens(one)
        comma = ","
    yield end if comma == "," else begin + end


def filler(data: Any) -> Filler:
    """Prepare plain data (mappings, lists, texts, numbers, truth values) in which `blank` marks blanks."""
    words: set[str] = set()
    tree = ast.fix_missing_locations(ast.Expression(_node(data, words)))
    return Filler(compile(tree, "<blanks>", "eval"), frozenset(words))


def _node(value: Any, words: set[str]) -> ast.expr:
    if isinstance(value, Mapping):
        return ast.Dict([ast.Constant(intern(key)) for key in value], [_node(one, words) for one in value.values()])
    if isinstance(value, list | tuple):
        return ast.List([_node(one, words) for one in value], ast.Load())
    if isinstance(value, str) and "\0" in value:
        return ast.JoinedStr([*_parts(value, words)])
    # many programs share most of their texts
    return ast.Constant(intern(value) if isinstance(value, str) else value)


def _parts(text: str, words: set[str]) -> list[ast.expr]:
    parts: list[ast.expr] = []
    for number, part in enumerate(_BLANK.split(text)):
        if number % 2:
            words.add(part)
            parts.append(_variable(part))
        elif part:
            parts.append(ast.Constant(part))
    return parts


def _variable(word: str) -> ast.expr:
    return ast.FormattedValue(ast.Name(word, ast.Load()), -1)
