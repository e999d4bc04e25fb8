from __future__ import annotations

import pytest

from afkit.errors import MalformedError
from afkit.policy.select import parse_options


def malformed(raw: object) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        parse_options(raw)
    return caught.value


@pytest.mark.parametrize(
    "raw", [None, [], ["cpu"], 0, 7, 1.5, "", "cpu", True, False, b"{}", object(), {1: "a"}, {None: "a"}, {("a",): "b"}]
)
def test_no_choice_at_all(raw: object) -> None:
    assert malformed(raw).reason == "malformed"


@pytest.mark.parametrize("value", [None, [], {}, 0, 1, True, 2.5, ["cpu"], {"a": "b"}, b"cpu"])
def test_every_value_is_text(value: object) -> None:
    error = malformed({"size": "small", "pool": value})
    assert error.field == "pool"
    assert "'pool'" in error.message


def test_nothing_is_a_choice() -> None:
    assert parse_options({}) == {}


def test_the_order_of_a_request_does_not_count() -> None:
    assert list(parse_options({"b": "1", "size": "s", "a": "2", "profile": "p"})) == ["profile", "size", "a", "b"]
    assert malformed({"z": 1, "pool": 1, "a": 1}).field == "pool"
    assert malformed({"z": 1, "a": 1}).field == "a"


def test_long_text() -> None:
    assert parse_options({"pool": "x" * 1024})
    error = malformed({"pool": "x" * 1025})
    assert len(str(error)) < 300
    assert len(str(malformed({"k" * 10**6: 1}))) < 300


def test_image_references_are_ones() -> None:
    assert parse_options({"image": "r.example.org/a:1"}) == {"image": "r.example.org/a:1"}
    assert malformed({"image": "r.example.org/a b"}).field == "image"
    assert parse_options({"image": "a b"}) == {"image": "a b"}, "a name that does not exist is not malformed"


def test_text_with_methods_of_its_own() -> None:
    class Strange(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    value = parse_options({"pool": Strange("cpu")})["pool"]
    assert type(value) is str


@pytest.mark.parametrize("text", ["\n", "\0", "\x1b[31m", "\u202e", "\ud800", "{userid.__class__}", "{0}", "{{", "%s", "<b>", "сpu"])
def test_hostile_text_is_shown_escaped(text: str) -> None:
    error = malformed({text: 1})
    assert error.message.isprintable()
    assert error.message.isascii()
