"""Bodies of requests: what is one is read, what is none is refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from afkit.errors import RequestError
from afkit.policy.cluster_ask import parse_cluster, parse_numbers
from afkit.quantities import UNSET
from tests.unit.dask.asking import ID, body


def test_everything_of_a_request_is_read() -> None:
    group = {"low": 0, "high": 50, "cores": 1500, "memory": 2**31, "gpus": 1, "pool": "gpu", "tags": {"big": 2}}
    more = {
        "image": "plain",
        "cvmfs": ["cms.cern.ch"] * 2,
        "python": "/cvmfs/x/bin/python",
        "env": {"A": "ü"},
        "life": "detached",
        "idle": 90.5,
    }
    ask = parse_cluster(body(group, server="two", **more))
    assert (ask.name, ask.id, ask.life, ask.idle, ask.server, ask.client) == ("mine", ID, "detached", 91, "two", "afkit-1")
    assert (ask.image, ask.cvmfs, ask.python, dict(ask.env)) == ("plain", ("cms.cern.ch",), "/cvmfs/x/bin/python", {"A": "ü"})
    [one] = ask.groups
    assert (one.low, one.high, one.cores, one.memory, one.gpus, one.pool, one.tags) == (0, 50, 1500, 2**31, 1, "gpu", {"big": 2.0})


def test_idle_may_be_left_out_or_be_never() -> None:
    assert parse_cluster(body()).idle is UNSET
    assert parse_cluster(body(idle=None)).idle is None


WRONG: list[tuple[dict[str, Any], str]] = [
    (body(name="a" * 200), "name"),
    (body(name="Müller"), "name"),
    (body(name="../../secrets"), "name"),
    (body(name=None), "name"),
    (body(name="a\n"), "name"),
    (body(id="1"), "id"),
    (body(id=ID.upper()), "id"),
    (body(surprise=1), "surprise"),
    (body({"workers": 3}), "workers"),
    (body({"low": 3, "high": 2}), "workers"),
    (body({"low": 0, "high": 0}), "workers"),
    (body({"low": 0, "high": True}), "workers"),
    (body({"low": 0, "high": 10**9}), "workers"),
    (body({"low": 1.5, "high": 2}), "workers"),
    (body({"low": 1}), "workers"),
    (body({"cores": 0}), "cores"),
    (body({"cores": "1"}), "cores"),
    (body({"memory": -1}), "memory"),
    (body({"memory": float("nan")}), "memory"),
    (body({"gpus": -1}), "gpus"),
    (body({"pool": ""}), "pool"),
    (body({"tags": {"a b": 1}}), "tags"),
    (body({"tags": {"a=1,b": 1}}), "tags"),
    (body({"tags": {"a": float("inf")}}), "tags"),
    (body({"name": "default"}, {"name": "default"}), "groups"),
    (body({"name": "g" * 40}, name="n" * 30), "name"),
    (body(groups=[]), "groups"),
    (body(groups={}), "groups"),
    (body(image="a b"), ""),
    (body(image="docker.io/../x:1"), "image"),
    (body(cvmfs="cms.cern.ch"), "cvmfs"),
    (body(python="python3"), "python"),
    (body(python="/cvmfs/../usr/bin/python"), "python"),
    (body(env={"LD PRELOAD": "x"}), "env"),
    (body(env={"A": 1}), "env"),
    (body(env={"A": "\0"}), "env"),
    (body(env={"A": "\ud800"}), "env"),
    (body(env={"AFKIT_POOL": "gpu"}), "env"),
    (body(env={"JUPYTERHUB_API_TOKEN": "x"}), "env"),
    (body(env={"NVIDIA_VISIBLE_DEVICES": "all"}), "env"),
    (body(env={"DASK_SCHEDULER_ADDRESS": "tcp://x:1"}), "env"),
    (body(env={"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "/x"}), "env"),
    (body(life="for ever"), "life"),
    (body(life=["kernel"]), "life"),
    (body(idle=0), "idle"),
    (body(idle="30m"), "idle"),
    (body(client=None), "client"),
    (body(client={"name": "somebody"}), "client"),
    (body(client={"name": "afkit-1", "versions": {"dask": "$(reboot)"}}), "client"),
    (body(dry_run=1), "dry_run"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG, ids=lambda value: str(value)[:60] if isinstance(value, str) else "")
def test_what_is_no_request_is_refused(wrong: dict[str, Any], field: str) -> None:
    if field == "":
        assert parse_cluster(wrong).image == "a b", "a name that nobody has is the resolver's"
        return
    with pytest.raises(RequestError) as caught:
        parse_cluster(wrong)
    assert caught.value.field == field
    assert caught.value.message.endswith(".")
    assert caught.value.reason in ("malformed", "unknown-option")


def test_a_value_of_the_environment_is_never_repeated() -> None:
    with pytest.raises(RequestError) as caught:
        parse_cluster(body(env={"AFKIT_X": "the secret"}))
    assert "the secret" not in str(caught.value)
    assert "the secret" not in repr(parse_cluster(body(env={"A": "the secret"})))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(body())) | st.text(max_size=6), plain, max_size=6) | plain)
def test_nothing_else_than_a_refusal_comes_of_anything(raw: Any) -> None:
    for parse in (parse_cluster, parse_numbers):
        try:
            parse({**body(), **raw} if isinstance(raw, dict) else raw)
        except RequestError as error:
            assert error.message


def test_numbers() -> None:
    [one] = parse_numbers({"groups": [{"name": "gpu", "low": 0, "high": 8}]})
    assert (one.name, one.low, one.high) == ("gpu", 0, 8)
    for wrong in ([], [{"name": "gpu", "low": 0}], [{"name": "gpu", "low": 2, "high": 1}], [{"name": "g", "low": 0, "high": 1}] * 2):
        with pytest.raises(RequestError):
            parse_numbers({"groups": wrong})
