"""Where the Dask service is, what is asked of it, and what of its answers is understood."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, strategies

from afkit.errors import AfkitError, PlatformError
from afkit.session.answers import Access, Capacity, State
from afkit.session.ask import ask, workers_python
from afkit.session.cluster import _DEFAULTS
from afkit.session.groups import parse_request
from afkit.session.service import here
from afkit.session.terms import service_address

FACILITY = {"AFKIT_DASK": json.dumps({"where": "facility"}), "AFKIT_SERVICES": "https://af.example.org/services/"}
GROUP = {
    "name": "default",
    "low": 0,
    "high": 2,
    "wanted": 1,
    "pods": 1,
    "ready": 1,
    "cores": 500,
    "memory": 1 << 30,
    "resources": {"GPU": 1},
}
STATE = {"name": "one", "id": "x", "version": 3, "phase": "running", "groups": [GROUP], "made": 1, "ended": None}


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        (FACILITY, "https://af.example.org/services/dask/"),
        (
            FACILITY | {"AFKIT_DASK": '{"where": "facility", "url": "http://dask.af:8080/services/dask/"}'},
            "http://dask.af:8080/services/dask/",
        ),
        (FACILITY | {"AFKIT_DASK": '{"where": "local"}'}, ""),
        (FACILITY | {"AFKIT_DASK": "null"}, ""),
        (FACILITY | {"AFKIT_DASK": "[]"}, ""),
        (FACILITY | {"AFKIT_DASK": "{"}, ""),
        (FACILITY | {"AFKIT_SERVICES": "file:///etc"}, ""),
        (FACILITY | {"AFKIT_SERVICES": ""}, ""),
        ({}, ""),
    ],
)
def test_where_it_is(environ: dict[str, str], address: str) -> None:
    assert service_address(environ) == address
    assert (here(environ) is not None) == bool(address)


def test_the_session_s_interpreter_goes_along_where_workers_may_see_it() -> None:
    mounts = {"/cvmfs/sft.example.org", "/", "/home/ada"}
    assert workers_python("/cvmfs/sft.example.org/v/bin/python", "/cvmfs/sft.example.org/v", mounts.__contains__) is not None
    assert workers_python("/home/ada/env/bin/python", "/home/ada/env", mounts.__contains__) == "/home/ada/env/bin/python"
    assert workers_python("/opt/conda/bin/python", "/opt/conda", mounts.__contains__) is None


def test_each_question_has_an_id_of_its_own() -> None:
    request = parse_request(_DEFAULTS | {"name": "mine", "python": sys.executable})
    first, second = (ask(request, None, {"JUPYTERHUB_SERVER_NAME": "gpu"}) for _ in range(2))
    assert first.name == second.name == "mine"
    assert first.id != second.id
    assert (first.body["server"], first.body["idle"], first.body["python"]) == ("gpu", None, sys.executable)
    assert first.body["groups"][0] == {
        "name": "default", "low": None, "high": None, "cores": None, "memory": None, "gpus": 0, "pool": None, "tags": {},
    }  # fmt: skip
    json.dumps(first.body)


def test_an_answer_is_read() -> None:
    state = State.read(STATE | {"waiting": [{"what": "worker", "message": "No node.", "hopeless": True}], "notes": ["A note."]})
    assert (state.name, state.version, state.adaptive, state.over) == ("one", 3, (0, 2), False)
    assert state.groups[0].resources == {"GPU": 1.0}
    assert (state.numbers["default"].ready, state.waiting[0].hopeless, state.waiting[0].group) == (1, True, None)
    assert State.read(STATE | {"phase": "failed", "ended": {"message": "Gone."}}).ended == "Gone."
    assert Capacity.read({"pools": {"cpu": {"free": {"cpu": 1}}, "gpu": {"free": None}}}).free == {"cpu": {"cpu": 1}, "gpu": None}
    access = Access.read({"name": "one", "address": "tls://x:1", "ca": "CA", "certificate": "CERT", "key": "KEY"})
    assert "KEY" not in repr(access)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"name": 7},
        {"version": "3"},
        {"version": True},
        {"groups": {}},
        {"groups": [7]},
        {"made": "x"},
        {"waiting": [[]]},
        {"ended": "x"},
    ],
)
def test_an_answer_of_another_kind_is_a_sentence(changes: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="cannot read"):
        State.read(STATE | changes)


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(max_size=5),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.sampled_from([*STATE, *GROUP]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_answered_is_read_or_a_sentence(answer: Any) -> None:
    for read in (State.read, Access.read, Capacity.read):
        try:
            read(answer)
        except AfkitError as error:
            assert "cannot read" in str(error)
