from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from afkit.errors import MalformedError
from afkit.hub.bodies import MOST_BYTES, MOST_LEVELS, check_arguments, check_fields, parse_object, server_request
from afkit.hub.fields import check_body, check_numbers

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_an_object_of_json_comes_back_as_it_is(body: dict[str, Any]) -> None:
    try:
        text = json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    if deep(body) <= MOST_LEVELS and len(text) <= MOST_BYTES:
        assert parse_object(text) == body


def deep(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(deep, inner), default=0)


@given(st.binary(max_size=300))
def test_nothing_but_an_object_nothing_or_a_refusal_comes_out(body: bytes) -> None:
    try:
        parsed = parse_object(body)
    except MalformedError as error:
        assert error.reason == "malformed" and error.message.endswith(".") and "\n" not in error.message
    else:
        assert parsed is None or isinstance(parsed, dict)


@pytest.mark.parametrize("body", [b"", b"  ", b"\n\t "])
def test_an_empty_body_is_nothing(body: bytes) -> None:
    assert parse_object(body) is None


def test_depth_is_counted_outside_of_strings_and_at_its_edge() -> None:
    nested = b'{"a":' * MOST_LEVELS + b"1" + b"}" * MOST_LEVELS
    assert parse_object(nested) is not None
    with pytest.raises(MalformedError, match="levels deep"):
        parse_object(b'{"a":' + nested + b"}")
    assert parse_object(json.dumps({"a": "[" * 1000 + '"{' * 50}).encode()) is not None


def test_size_is_counted_at_its_edge() -> None:
    body = b'{"a": "%s"}' % (b"x" * (MOST_BYTES - 9))
    assert len(body) == MOST_BYTES and parse_object(body) is not None
    with pytest.raises(MalformedError, match="at most 65536"):
        parse_object(body + b" ")


@pytest.mark.parametrize(
    "body, parsed",
    [
        (None, (None, None)),
        ({}, (None, {})),
        ({"profile": "x"}, (None, {"profile": "x"})),
        ({"user_options": {"profile": "x"}}, (None, {"profile": "x"})),
        ({"user_options": {}}, (None, {})),
        ({"user_options": None}, (None, None)),
        ({"display_name": "Mine"}, ("Mine", None)),
        ({"display_name": "Mine", "user_options": {"a": "b"}}, ("Mine", {"a": "b"})),
    ],
)
def test_a_request_for_a_server_is_read_as_jupyterhub_6_does(body: dict[str, Any] | None, parsed: tuple[Any, Any]) -> None:
    assert server_request(body) == parsed


@pytest.mark.parametrize("body", [{"user_options": []}, {"user_options": "x"}, {"display_name": 1}, {"user_options": {}, "profile": "x"}])
def test_half_a_request_for_a_server_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        server_request(body)


def test_a_true_is_no_number_and_names_are_shown_cut_and_escaped() -> None:
    with pytest.raises(MalformedError, match="'n' is true or false") as caught:
        check_fields({"n": True}, {"n": int})
    assert caught.value.hint == "It has to be a number." and caught.value.field == "n"
    with pytest.raises(MalformedError) as caught:
        check_fields({"x\n" + "y" * 100: 1}, {"n": int})
    assert r"'x\ny" in caught.value.message and "\n" not in caught.value.message and len(caught.value.message) < 120
    check_fields({"n": None, "t": "x", "b": True}, {"n": (int, type(None)), "t": str, "b": bool})


def test_arguments_have_to_be_utf8() -> None:
    check_arguments({"profile": ["anälysis".encode()], "ä".encode().decode("latin-1"): [b""]}, "link")
    for bad in ({"profile": [b"\xff"]}, {"\xff": [b"x"]}):
        with pytest.raises(MalformedError, match="link"):
            check_arguments(bad, "link")


SCOPES = {"self", "access:servers", "inherit"}


@pytest.mark.parametrize(
    "handler, method, body",
    [
        ("UserTokenListAPIHandler", "POST", {"note": "x", "expires_in": 60, "scopes": ["access:servers!server=ada/"], "roles": None}),
        ("UserTokenListAPIHandler", "POST", {"scopes": ["access:servers!user"]}),
        ("ActivityAPIHandler", "POST", {"last_activity": "2026-03-01T12:00:00.5Z", "servers": {"": {"last_activity": "2026-03-01"}}}),
        ("UserListAPIHandler", "POST", {"usernames": ["a", "b"], "admin": False}),
        ("ServerShareAPIHandler", "POST", {"user": "grace", "group": None, "scopes": None}),
        ("SomeOtherHandler", "POST", {"any": {"thing": [1]}}),
    ],
)  # fmt: skip
def test_what_the_hub_reads_is_let_through(handler: str, method: str, body: dict[str, Any]) -> None:
    check_body(handler, method, body, SCOPES)


def test_numbers_of_an_address_are_short_enough_for_a_database() -> None:
    check_numbers({"offset": [b"100"], "limit": [b"10"], "id": [b"sc_12"]}, ["ada", "a17", "", None])
    for query, path in (({"offset": [b"9" * 20]}, []), ({"id": [b"sc_" + b"9" * 20]}, []), ({}, ["ada", "a" + "9" * 20])):
        with pytest.raises(MalformedError):
            check_numbers(query, path)


@pytest.mark.parametrize("start", [b'{"a": "', b'"', b'["'])
def test_a_text_that_never_ends_is_looked_at_once(start: bytes) -> None:
    """A regular expression that begins anew at each quote takes more than a minute for this, and the hub waits as long."""
    body = start + b'\\"' * ((MOST_BYTES - len(start)) // 2)
    begun = time.process_time()
    with pytest.raises(MalformedError, match="not JSON"):
        parse_object(body)
    assert time.process_time() - begun < 10
