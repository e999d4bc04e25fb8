from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from afkit.errors import NotEntitledError
from afkit.pods.placeholders import PLACEHOLDERS, Names, fill, fill_all

ADA = Names("Ada@example.org", "gpu 1", uid=5001, gid=50)


def test_every_placeholder() -> None:
    assert fill("{username}", ADA) == "ada-example-org---3b518a08"
    assert fill("{escaped_username}", ADA) == "-41da-40example-2eorg"
    assert fill("{unescaped_username}", ADA) == "Ada@example.org"
    assert fill("{servername}", ADA) == "gpu-1---19446927"
    assert fill("{initial}/{uid}/{gid}", ADA) == "a/5001/50"
    assert fill("{username}{servername}", Names("ada")) == "ada"


def test_everything_else_is_literal() -> None:
    for text in (
        "{",
        "{}",
        "{{username}",
        "{other}",
        "{username!r}",
        "{username:>9}",
        "{user name}",
        "{0}",
        "%s",
        "${HOME}",
        "${username}",
        "{Username}",
    ):
        expected = text.replace("{username}", "ada") if text == "{{username}" else text
        assert fill(text, Names("ada")) == expected


def test_they_are_replaced_once() -> None:
    assert fill("{unescaped_username}-{uid}", Names("{uid}", uid=7)) == "{uid}-7"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0", "a\nb", "\x1b"])
def test_a_login_name_that_is_no_plain_part_of_a_path(name: str) -> None:
    with pytest.raises(NotEntitledError):
        fill("/home/{unescaped_username}", Names(name))
    assert fill("/home/{uid}", Names(name, uid=1)) == "/home/1", "it is refused only where it stands"


def test_an_empty_server_name_takes_its_hyphen_along() -> None:
    assert fill("claim-{username}-{servername}", Names("ada")) == "claim-ada"
    assert fill("claim-{username}-{servername}", Names("ada", "x")) == "claim-ada-x"
    assert fill("{servername}-", Names("ada")) == "-"


def test_in_values_never_in_keys() -> None:
    data = {"{username}": ["{username}", {"a": "{uid}", "b": 3, "c": None, "d": True}]}
    assert fill_all(data, Names("ada", uid=9)) == {"{username}": ["ada", {"a": "9", "b": 3, "c": None, "d": True}]}
    assert data == {"{username}": ["{username}", {"a": "{uid}", "b": 3, "c": None, "d": True}]}


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_name_in_any_text(text: str, name: str) -> None:
    words = [f"{{{word}}}" for word in PLACEHOLDERS if word != "unescaped_username"]
    filled = fill(f"{text} {''.join(words)}", Names(name, name))
    assert not any(word in filled.removeprefix(text) for word in words)
