"""The arguments of `afkit.cluster`: what they may be, and what is said about what they may not be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as some

from afkit.errors import MalformedError, RequestError, UnknownChoiceError
from afkit.session.cluster import _DEFAULTS
from afkit.session.groups import Group, Request, parse_request


def ask(**arguments: Any) -> Request:
    return parse_request(_DEFAULTS | arguments)


def test_defaults() -> None:
    request = ask()
    (group,) = request.groups
    assert (group.name, group.low, group.high, group.cores, group.memory, group.gpus) == ("default", None, None, None, None, 0)
    assert (request.idle, request.life, request.wait, request.timeout, request.where) == (1800, "kernel", 0.3, 300, "auto")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 << 30),
        ("2Gi", 2 << 30),
        ("2GB", 2 * 10**9),
        ("2G", 2 * 10**9),
        ("512MiB", 512 << 20),
        (1 << 30, 1 << 30),
        ("1073741824B", 1 << 30),
    ],
)
def test_memory_is_written_as_dask_or_kubernetes_write_it(text: object, size: int) -> None:
    assert ask(memory=text).groups[0].memory == size


@pytest.mark.parametrize(("written", "millicores"), [(1, 1000), (0.5, 500), ("500m", 500), (1.5, 1500)])
def test_cores(written: object, millicores: int) -> None:
    assert ask(cores=written).groups[0].cores == millicores


@pytest.mark.parametrize(("written", "ends"), [(3, (3, 3)), ((0, 8), (0, 8)), ([1, 2], (1, 2))])
def test_workers_are_a_number_or_a_pair(written: object, ends: tuple[int, int]) -> None:
    group = ask(workers=written).groups[0]
    assert (group.low, group.high) == ends


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workers", "two"),
        ("workers", -1),
        ("workers", True),
        ("workers", (4, 1)),
        ("workers", (1, 2, 3)),
        ("workers", 0),
        ("workers", (0, 0)),
        ("workers", 1.0),
        ("cores", "one"),
        ("cores", -1),
        ("cores", 0),
        ("cores", 0.0001),
        ("memory", "2 GiB"),
        ("memory", 0),
        ("memory", []),
        ("gpus", -1),
        ("gpus", "1"),
        ("gpus", True),
        ("pool", 7),
        ("pool", ""),
        ("image", 7),
        ("cvmfs", 7),
        ("cvmfs", ["../etc"]),
        ("cvmfs", [7]),
        ("groups", {}),
        ("groups", {"gpu": 1}),
        ("groups", {"Not OK": Group()}),
        ("groups", ["gpu"]),
        ("python", 3),
        ("env", ["A"]),
        ("env", {"A": 1}),
        ("env", {"A=B": "x"}),
        ("env", {"": "x"}),
        ("env", {"A": "\0"}),
        ("idle", "soon"),
        ("idle", -1),
        ("idle", 0),
        ("idle", float("nan")),
        ("wait", 2),
        ("wait", -0.1),
        ("wait", "all"),
        ("wait", True),
        ("timeout", None),
        ("timeout", "none"),
        ("timeout", 0),
        ("name", "No Name"),
        ("name", 1),
    ],
)
def test_what_is_no_choice_is_malformed(field: str, value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        ask(**{field: value})
    assert caught.value.field == field
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize(
    ("field", "value", "near"), [("life", "kernal", "kernel"), ("where", "lokal", "local"), ("where", "facilty", "facility")]
)
def test_unknown_words_are_answered_with_the_nearest(field: str, value: str, near: str) -> None:
    with pytest.raises(UnknownChoiceError) as caught:
        ask(**{field: value})
    assert caught.value.field == field
    assert near in caught.value.hint


@pytest.mark.parametrize(
    ("written", "address"),
    [("tcp://a:1", "tcp://a:1"), ("tls://[::1]:1", "tls://[::1]:1"), ("host.example:8786", "tcp://host.example:8786")],
)
def test_where_is_an_address_too(written: str, address: str) -> None:
    assert ask(where=written).where == address


def test_the_value_of_an_environment_variable_is_never_repeated() -> None:
    with pytest.raises(MalformedError) as caught:
        ask(env={"TOKEN": b"very-secret"})
    assert "very-secret" not in str(caught.value)


def test_idle_may_be_never() -> None:
    assert ask(idle=None).idle is None
    assert ask(idle="none").idle is None
    assert ask(idle=90).idle == 90


def test_groups_take_what_they_leave_out_from_the_call() -> None:
    request = ask(
        workers=1, cores=2, memory="1GiB", groups={"gpu": Group(gpus=1), "big": Group(workers=(0, 2), memory="4GiB", tags={"big": 2})}
    )
    main, gpu, big = request.groups
    assert (main.name, main.high) == ("default", 1)
    assert (gpu.high, gpu.cores, gpu.memory, gpu.gpus) == (None, 2000, 1 << 30, 1)
    assert (big.low, big.high, big.cores, big.memory, big.tags) == (0, 2, 2000, 4 << 30, {"big": 2.0})


def test_without_a_number_of_its_own_there_are_only_the_groups() -> None:
    assert [group.name for group in ask(groups={"gpu": Group(gpus=1)}).groups] == ["gpu"]


def test_tags_may_be_names() -> None:
    assert ask(groups={"a": Group(tags=["fast", "near"])}).groups[0].tags == {"fast": 1.0, "near": 1.0}
    assert ask(groups={"a": Group(tags="fast")}).groups[0].tags == {"fast": 1.0}


@pytest.mark.parametrize("tags", [{"a": -1}, {"a": "x"}, {"": 1}, 7, [7], {"a": float("inf")}])
def test_bad_tags(tags: Any) -> None:
    with pytest.raises(MalformedError, match="tags"):
        ask(groups={"a": Group(tags=tags)})


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.binary(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3) | some.tuples(inner, inner),
    max_leaves=6,
)


@given(some.dictionaries(some.sampled_from(sorted(_DEFAULTS)), anything, max_size=4))
def test_whatever_is_written_is_a_request_or_a_refusal_with_a_reason(arguments: dict[str, Any]) -> None:
    try:
        assert isinstance(ask(**arguments), Request)
    except RequestError as error:
        assert error.reason in {"malformed", "unknown-choice"}
        assert error.field in _DEFAULTS or error.field == "tags"
        assert error.message
