"""Names, near matches, architectures and digests."""

from __future__ import annotations

import base64
import hashlib
import re
import time

import pytest
from hypothesis import given, strategies as st

from afkit.names import NAME_RULE, architecture, digest, is_name, near, owner, user_namespace


@pytest.mark.parametrize("text", ["a", "0", "cpu", "a100-slice", "a" * 40, "a-" + "b" * 38, "0--0"])
def test_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a.b", "a b", "a" * 41, "é", "а", "a\n", "a\0", "{a}", "١", "a/b", "＿"])
def test_what_is_no_name(text: str) -> None:
    assert not is_name(text)


@given(st.text(max_size=50))
def test_the_rule_is_what_is_checked(text: str) -> None:
    assert is_name(text) == bool(re.fullmatch(NAME_RULE, text, re.ASCII))


def test_near() -> None:
    known = ("cpu", "gpu", "a100", "a100-slice")
    assert near("cpuu", known, 1) == ("cpu",)
    assert near("a10", known) == ("a100",)
    assert near("something-else", known) == ()
    assert near("cpu", ()) == ()
    assert len(near("aaaa", [f"aaaa{i}" for i in range(9)])) == 3


def test_near_of_a_long_name_takes_no_time() -> None:
    started = time.process_time()
    near("x" * 1_000_000, ("cpu", "x" * 100))
    assert time.process_time() - started < 0.5


def test_architecture() -> None:
    known = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64", "riscv64": "riscv64"}
    assert {machine: architecture(machine) for machine in known} == known


@given(st.binary(max_size=100))
def test_digest(content: bytes) -> None:
    assert digest(content) == hashlib.sha256(content).hexdigest()[:16]


def test_the_owner_of_a_person_is_what_the_contract_says() -> None:
    hashed = hashlib.sha256(b"example\0https://idp.example.org/\0abc-123").digest()
    assert owner("example", "https://idp.example.org/", "abc-123") == base64.b32encode(hashed).decode().lower()[:26]
    # written out, so that no change of the rule goes unnoticed
    assert owner("example", "local", "ada") == "sxfrohqyysk4eqqlp52mzwgj4u"


parts = st.text(st.characters(exclude_characters="\0"), max_size=30)


@given(st.tuples(parts, parts, parts), st.tuples(parts, parts, parts))
def test_two_people_never_share_an_owner(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (owner(*one) == owner(*other)) == (one == other)
    assert re.fullmatch("[a-z2-7]{26}", owner(*one))


@pytest.mark.parametrize("parts", [("a\0b", "c", "d"), ("a", "b\0c", "d"), ("a", "b", "c\0d")])
def test_a_nul_byte_would_let_people_collide(parts: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="NUL"):
        owner(*parts)


def test_the_namespace_of_a_person() -> None:
    name = user_namespace("f" * 20, owner("f" * 20, "local", "ada"))
    assert re.fullmatch("af-f{20}-[a-z2-7]{26}", name)
    assert len(name) <= 63
