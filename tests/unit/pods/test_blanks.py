"""Copies of plain data with blanks filled in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings, strategies as st

from afkit.pods.blanks import Slot, blank, filler, writer

plain = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
texts = st.lists(plain | st.sampled_from([blank("one"), blank("two_words")]), max_size=4).map("".join)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def by_hand(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: by_hand(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [by_hand(one, values) for one in value]
    if isinstance(value, str):
        for word, text in values.items():
            value = value.replace(blank(word), text)
    return value


@settings(max_examples=200, deadline=None)
@given(data, plain, plain)
def test_a_copy_has_the_values_and_nothing_else_changes(value: Any, one: str, two: str) -> None:
    made = filler(value)
    assert made.words <= {"one", "two_words"}
    values = {"one": one, "two_words": two}
    first, second = made.fill(values), made.fill(values)
    assert first == second == by_hand(value, values)
    if isinstance(first, dict | list) and first:
        assert first is not second


def test_what_is_filled_in_is_never_read_again() -> None:
    made = filler({"a": f"{blank('one')} {blank('two')}"})
    assert made.fill({"one": blank("two"), "two": "{x}"}) == {"a": f"{blank('two')} {{x}}"}


def test_texts_are_no_code() -> None:
    text = "{1 + 1} {__import__('os')} \\N{DIGIT ONE} %s " + blank("one")
    assert filler([text]).fill({"one": "'+x+'"}) == [text.replace(blank("one"), "'+x+'")]


@settings(max_examples=200, deadline=None)
@given(data, plain | st.just('\ud800 \\u0000 "'), plain, data)
def test_the_json_of_a_copy_is_its_json(value: Any, one: str, two: str, whole: Any) -> None:
    values = {"one": one, "two_words": two}
    made = writer({"a": value, "slot": Slot("slot"), "b": [value, Slot("slot")]})
    assert made.slots == {"slot"} and made.words == filler(value).words
    filled = by_hand(value, values)
    written = made.write(values, {"slot": json.dumps(whole)})
    assert json.loads(written) == {"a": filled, "slot": whole, "b": [filled, whole]}
    assert b"\n" not in written and written.isascii()
