"""The objects of a server, byte for byte, for the choices of two facility files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from afkit.facility.dump import dump
from tests.unit.pods.asking import loaded, server
from tests.unit.pods.kube import restricted, valid

PHYSICIST, BOTH = ("cms:/cms",), ("cms:/cms", "cms:/cms/ml")
STAFF, WRITER = ("lab:staff",), ("lab:staff", "lab:writers")
CASES = {
    "example-default": ("example.yaml", {}, PHYSICIST, "ada", ""),
    "example-admin": ("example.yaml", {}, (*PHYSICIST, "cms:/cms/af-admins"), "ada", ""),
    "example-arm": ("example.yaml", {"pool": "arm", "interface": "code"}, PHYSICIST, "ada", ""),
    "example-share": ("example.yaml", {"size": "eighth"}, BOTH, "grace", ""),
    "example-own-image": ("example.yaml", {"image": "registry.example.org/groups/ml/torch:3"}, BOTH, "grace", ""),
    "example-named": ("example.yaml", {}, PHYSICIST, "Ada.Lovelace@example.org", "My second one"),
    "example-gpu": ("example.yaml", {"profile": "training", "size": "large"}, BOTH, "grace", ""),
    "example-slice": ("example.yaml", {"profile": "training", "pool": "a100-slice"}, BOTH, "grace", ""),
    "wide-plain": ("wide.yaml", {}, STAFF, "ada", ""),
    "wide-latest": ("wide.yaml", {"image": "latest", "pool": "instinct", "size": "two"}, STAFF, "ada", ""),
    "wide-claims": ("wide.yaml", {"pool": "claims", "size": "two"}, WRITER, "ada@example.org", "gpu"),
    "wide-pinned": ("wide.yaml", {"profile": "pinned"}, STAFF, "ada", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_every_object_of_a_choice(case: str, golden: Callable[[str, str], None]) -> None:
    file, choice, groups, name, named = CASES[case]
    made = server(loaded(file), choice, *groups, name=name, server=named)
    for thing in made.all():
        valid(thing)
    restricted(made.pod["spec"])
    golden(f"{case}.yaml", dump(made.all()))


def test_the_same_choice_gives_the_same_bytes() -> None:
    file, choice, groups, name, named = CASES["wide-claims"]
    texts = {dump(server(loaded(file), choice, *groups, name=name, server=named).all()) for _ in range(3)}
    assert len(texts) == 1


@pytest.mark.parametrize("case", CASES)
def test_a_copy_of_the_first_making_is_what_is_made_by_itself(case: str) -> None:
    file, choice, groups, name, named = CASES[case]
    texts = [dump(server(loaded(file), choice, *groups, name=f"{one}{name}", server=named).all()) for one in ("", "a-", "b.", "b.", "b.")]
    alone = dump(server(replace(loaded(file)), choice, *groups, name=f"b.{name}", server=named).all())
    assert texts[2:] == [alone] * 3
    assert len(set(texts)) == 3


def test_nothing_of_one_call_is_left_in_the_next() -> None:
    def made(case: str) -> str:
        file, choice, groups, name, named = CASES[case]
        return dump(server(loaded(file), choice, *groups, name=name, server=named).all())

    alone = {case: made(case) for case in CASES}
    for first in CASES:
        for second in ("wide-plain", "example-default", "example-gpu"):
            assert made(first) == alone[first]
            assert made(second) == alone[second], first


def test_what_a_caller_changes_changes_nothing_else() -> None:
    file, choice, groups, name, named = CASES["wide-claims"]
    before = dump(server(loaded(file), choice, *groups, name=name, server=named).all())
    made = server(loaded(file), choice, *groups, name=name, server=named)
    for thing in made.all():
        _spoil(thing)
    assert dump(server(loaded(file), choice, *groups, name=name, server=named).all()) == before


def _spoil(value: object) -> None:
    """Change everything in plain data that can be changed."""
    if isinstance(value, dict):
        for one in value.values():
            _spoil(one)
        value["spoiled"] = True
    elif isinstance(value, list):
        for one in value:
            _spoil(one)
        value.append("spoiled")
