"""Variables: literal for Kubernetes, and who wins."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from afkit.facility.model import Layer, SecretKey
from afkit.pods.environment import env_list, limits_env, literal
from afkit.pods.site import Site
from afkit.policy.model import Resources
from tests.unit.pods.asking import env, loaded, main, server


def expanded(text: str, known: dict[str, str]) -> str:
    """What Kubernetes makes of a value (third_party/forked/golang/expansion): ``$(NAME)`` is replaced where known, ``$$`` is ``$``."""
    made, place = "", 0
    while place < len(text):
        one, rest = text[place], text[place + 1 :]
        if one != "$" or not rest:
            made, place = made + one, place + 1
        elif rest[0] == "$":
            made, place = made + "$", place + 2
        elif rest[0] == "(" and ")" in rest:
            name = rest[1 : rest.index(")")]
            made += known.get(name, f"$({name})")
            place += len(name) + 3
        else:
            made, place = made + one + rest[0], place + 2
    return made


@given(st.text("$()AB x", max_size=20))
@example("$(A)")
@example("$$(A)")
@example("$$$(A)$")
@example("$")
@example("$(")
def test_a_value_reaches_the_container_as_it_is_written(text: str) -> None:
    assert expanded(literal(text), {"A": "1", "B": "2", "AB": "$(A)"}) == text


@pytest.mark.parametrize("text", ["", "plain", "$HOME/x", "100$", "a $ b", "${A}", "$5"])
def test_what_kubernetes_leaves_alone_is_left_alone(text: str) -> None:
    assert literal(text) == text


def test_limits_as_jupyterhub_tells_them() -> None:
    assert limits_env(Resources(1500, 2**30, None, None)) == {"CPU_GUARANTEE": "1.5", "MEM_GUARANTEE": "1073741824"}
    whole = limits_env(Resources(1000, 1, 2000, 3))
    assert (whole["CPU_LIMIT"], whole["MEM_LIMIT"]) == ("2.0", "3")


def test_who_wins() -> None:
    base = [
        {"name": "A", "value": "admin $(TZ)"},
        {"name": "O", "value": "admin"},
        {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    made = env_list({"A": "file", "TZ": "UTC", "S": SecretKey("s", "k")}, {"O": "afkit"}, base)
    assert made == [
        {"name": "O", "value": "afkit"},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "TZ", "value": "UTC"},
        # after what they may refer to
        {"name": "A", "value": "admin $(TZ)"},
        {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]


def test_what_a_session_is_told() -> None:
    told = env(server(loaded("example.yaml"), {"pool": "arm"}, "cms:/cms"))
    assert told["AFKIT_FACILITY"] == "example"
    assert (told["AFKIT_PROFILE"], told["AFKIT_POOL"], told["AFKIT_ARCH"]) == ("analysis", "arm", "arm64")
    assert told["AFKIT_SERVICES"] == "https://af.example.org/services/"
    assert (told["AFKIT_CVMFS"], told["AFKIT_CVMFS_ON_FAILURE"]) == ("cms.cern.ch,sft.cern.ch", "refuse")
    assert told["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    assert told["JUPYTERHUB_ACTIVITY_INTERVAL"] == "300"
    assert told["HOME"] == "/home/jovyan"
    assert told["JUPYTER_IMAGE_SPEC"] == told["JUPYTER_IMAGE"] == main(server(loaded("example.yaml"), {}, "cms:/cms"))["image"]


def test_the_hubs_own_variables_come_by_a_secret_and_no_token_is_in_a_pod() -> None:
    made = server(loaded("example.yaml"), {}, "cms:/cms")
    assert main(made)["envFrom"] == [{"secretRef": {"name": "jupyter-ada-hub"}}]
    assert made.secret["metadata"]["name"] == "jupyter-ada-hub"
    assert "stringData" not in made.secret
    assert not any(name.startswith(("JUPYTERHUB_API", "JPY_")) for name in env(made))


def test_hostile_names_are_no_references() -> None:
    facility = loaded("wide.yaml")
    made = server(facility, {}, "lab:staff", name="$(PASSWORD)", server="$(PASSWORD)")
    assert "$(PASSWORD)" not in str([one.get("value") for one in main(made)["env"]]).replace("$$(PASSWORD)", "")


def test_an_administrators_own_variables_stay() -> None:
    base = {"spec": {"containers": [{"name": "notebook", "env": [{"name": "MINE", "value": "x"}, {"name": "TZ", "value": "UTC"}]}]}}
    told = env(server(loaded("example.yaml"), {}, "cms:/cms", site=Site("p", base)))
    assert (told["MINE"], told["TZ"]) == ("x", "UTC")


def test_a_home_of_the_files_own_environment() -> None:
    from dataclasses import replace

    facility = replace(loaded("example.yaml"), session=Layer(env={"HOME": "/scratch"}))
    assert env(server(facility, {}, "cms:/cms"))["HOME"] == "/scratch"
