"""What a scalar means is YAML 1.2's core schema, with ``true`` and ``false`` as the only booleans."""

from __future__ import annotations

import math
from typing import Any

import pytest

from afkit.facility.report import Report, StopReading
from afkit.facility.tree import Document, Positions, YamlFloat, plain
from afkit.facility.yaml12 import MOST_DEPTH, compose, resolve


def data(text: str) -> Any:
    report = Report()
    value = plain(compose(text, "f.yaml", report))
    assert report.problems == {}
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("True", "True"), ("TRUE", "TRUE"), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"),
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nil", "nil"),
        ("0", 0), ("-12", -12), ("+7", 7), ("010", 10), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("0b11", "0b11"),
        ("12:30:45", "12:30:45"), ("2026-11-30", "2026-11-30"), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0),
        ("-.inf", -math.inf),
        (".", "."), ("1.2.3", "1.2.3"), ("1Gi", "1Gi"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_scalars(text: str, value: object) -> None:
    assert resolve(text) == value
    assert isinstance(resolve(text), type(value)) or isinstance(value, float)


def test_nan_is_a_number() -> None:
    number = resolve(".nan")
    assert isinstance(number, float)
    assert math.isnan(number)


def test_a_number_remembers_how_it_was_written() -> None:
    number = resolve("12.10")
    assert isinstance(number, YamlFloat)
    assert str(number) == "12.10"


def test_a_number_of_a_million_digits_is_a_text() -> None:
    assert isinstance(resolve("9" * 1_000_000), str)


def test_quoted_scalars_are_text() -> None:
    assert data('a: "5"\nb: \'true\'\nc: ""\nd: |\n  5\n') == {"a": "5", "b": "true", "c": "", "d": "5\n"}


def test_aliases_are_copies_and_merges_keep_what_is_written() -> None:
    value = data("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [{b: 9, c: 4}, *x], d: *x}\n")
    assert value["y"] == {"a": 1, "b": 3}
    assert value["z"] == {"b": 9, "c": 4, "a": 1, "d": {"a": 1, "b": 2}}
    assert value["z"]["d"] is not value["x"]
    assert list(value["y"]) == ["a", "b"]


def test_a_quoted_merge_key_is_a_key() -> None:
    assert data('a: {"<<": 1}') == {"a": {"<<": 1}}


def test_merging_what_is_no_mapping_is_an_error() -> None:
    report = Report()
    compose("a: {<<: 5}", "f.yaml", report)
    assert [problem.code for problem in report.ordered()] == ["AF203"]


def test_places() -> None:
    text = "a:\n  - one\n  - b: {c: 5}\n    d:\n      e: f\nlast: 'x'\n"
    document = Document(compose(text, "f.yaml", Report()), "f.yaml")
    places = Positions(document)
    assert places["a",] == ("f.yaml", 1, 1)  # a block list is where its key is
    assert places["a", 0] == ("f.yaml", 2, 5)
    assert places["a", 1] == ("f.yaml", 3, 5)
    assert places["a", 1, "b"] == ("f.yaml", 3, 8)  # a flow mapping is where it opens
    assert places["a", 1, "b", "c"] == ("f.yaml", 3, 12)
    assert places["a", 1, "d"] == ("f.yaml", 4, 5)
    assert places["last",] == ("f.yaml", 6, 7)
    assert len(places) == 8
    assert set(places) >= {("a",), ("a", 1, "d", "e")}
    with pytest.raises(KeyError):
        places["nowhere",]
    assert document.place(("a", 1, "d", "nowhere")) == ("f.yaml", 4, 5)  # the nearest thing that is there
    assert document.place(("nowhere",)) == ("f.yaml", 1, 1)


def test_columns_count_characters() -> None:
    document = Document(compose("é: {ü: ß}\n", "f.yaml", Report()), "f.yaml")
    assert document.place(("é", "ü")) == ("f.yaml", 1, 8)


def test_nesting_is_bounded() -> None:
    compose("a: " + "[" * (MOST_DEPTH - 1) + "]" * (MOST_DEPTH - 1), "f.yaml", Report())
    with pytest.raises(StopReading):
        compose("a: " + "[" * MOST_DEPTH + "]" * MOST_DEPTH, "f.yaml", Report())


def test_ten_thousand_expanded_nodes_are_taken_and_not_more() -> None:
    # the anchored list has 98 entries and itself
    anchored = f"a: &a [{','.join('x' * 98)}]\n"
    compose(anchored + f"b: [{','.join(['*a'] * 101)}]", "f.yaml", Report())
    with pytest.raises(StopReading):
        compose(anchored + f"b: [{','.join(['*a'] * 102)}]", "f.yaml", Report())


def test_what_is_not_aliased_is_not_counted() -> None:
    compose("a: [" + ",".join("x" * 20_000) + "]", "f.yaml", Report())


def test_a_tagged_value_is_reported_once_and_loses_nothing_else() -> None:
    report = Report()
    assert plain(compose("a: !!int 5\nb: 1\nc: [!x y, z]\n", "f.yaml", report)) == {"b": 1}
    assert [(problem.code, problem.line) for problem in report.ordered()] == [("AF106", 1), ("AF106", 3)]
