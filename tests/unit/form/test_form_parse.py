"""From a form's fields to raw options."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as some

from afkit.errors import MalformedError, RequestError
from afkit.hub.form import parse
from afkit.policy.select import select
from tests.unit.form import states
from tests.unit.form.page import form_of


def test_only_the_fields_of_the_chosen_profile_count() -> None:
    body = {"profile": ["training"], "training.pool": ["a100"], "analysis.pool": ["cpu"], "analysis.size": ["small"]}
    assert parse(body) == {"profile": "training", "pool": "a100"}


def test_plain_names_are_taken() -> None:
    assert parse({"profile": ["analysis"], "pool": ["cpu"], "interface": ["lab"]}) == {
        "profile": "analysis",
        "pool": "cpu",
        "interface": "lab",
    }


def test_an_empty_field_is_left_open() -> None:
    assert parse({"profile": [""], "pool": [""], "size": ["small"]}) == {"size": "small"}
    assert parse({}) == {}


def test_the_hubs_own_fields_and_uploads_are_no_options() -> None:
    body = {"_xsrf": ["x"], "next": ["/hub/"], "display_name": ["d"], "pool_file": [{"body": b""}], "pool": ["cpu"]}
    assert parse(body) == {"pool": "cpu"}


@pytest.mark.parametrize("name", ['{"profile":"training"}', "<x>", "a b", ""])
def test_what_is_no_form_is_malformed(name: str) -> None:
    with pytest.raises(MalformedError):
        parse({name: [""]})


def test_what_is_unknown_is_left_to_the_resolver() -> None:
    assert parse({"profile": ["analysis"], "colour": ["red"], "analysis.shape": ["round"]}) == {
        "profile": "analysis",
        "colour": "red",
        "shape": "round",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"pool": ["cpu", "arm"]},
        {"profile": ["analysis"], "analysis.pool": ["cpu"], "pool": ["arm"]},
        {"profile": ["analysis", "training"]},
    ],
)
def test_one_field_with_two_values_is_malformed(body: dict[str, list[str]]) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(body)
    assert caught.value.field in {"pool", "profile"}
    assert caught.value.hint


def test_the_same_value_twice_is_one() -> None:
    assert parse({"profile": ["analysis"], "analysis.pool": ["cpu"], "pool": ["cpu"]}) == {"profile": "analysis", "pool": "cpu"}


def test_a_typed_reference_is_used_whatever_image_is_marked() -> None:
    body = {"profile": ["analysis"], "analysis.image": ["scientific"], "analysis.image:typed": [" registry.example.org/groups/a/b:1 "]}
    assert parse(body)["image"] == "registry.example.org/groups/a/b:1"


def test_the_text_field_marked_and_empty_is_said_at_the_image() -> None:
    with pytest.raises(MalformedError) as caught:
        parse({"profile": ["analysis"], "analysis.image": [":typed"], "analysis.image:typed": [" "]})
    assert caught.value.field == "image"


@pytest.mark.parametrize("name", sorted(states.states()))
def test_what_the_form_shows_comes_back_as_what_the_resolver_takes(name: str) -> None:
    state = states.states()[name]
    form = form_of(state.form)
    sent = {radio["name"]: [radio["value"]] for radio in form.radios if "checked" in radio and "disabled" not in radio}
    sent |= {field: [text] for field, text in form.texts.items()}
    if "profile" not in sent:
        return
    if state.refusal is None:
        assert select(state.offer, parse(sent)).user_options().items() >= dict(state.chosen).items()
    elif name == "misfit":
        with pytest.raises(RequestError):
            select(state.offer, parse(sent))


_TEXT = some.text(max_size=20) | some.sampled_from(["profile", "analysis", "analysis.pool", "pool", "cpu", ":typed", "image:typed", ""])


@given(some.dictionaries(_TEXT, some.lists(_TEXT | some.binary(max_size=4), max_size=3), max_size=8))
def test_any_body_gives_options_or_a_refusal(body: dict[str, list[object]]) -> None:
    try:
        options = parse(body)
    except MalformedError as error:
        assert error.hint
    else:
        assert all(isinstance(key, str) and isinstance(value, str) and value for key, value in options.items())
