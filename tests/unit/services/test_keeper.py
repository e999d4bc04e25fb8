"""What the namespace provisioner decides without a cluster: whose an object is, and whether it is as wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from afkit.names import FACILITY_LABEL, OWNER_LABEL, owner
from afkit.services.namespaces.keeper import covers, same_owner, tenant
from tests.unit.pods.asking import loaded

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_everything_covers_itself(value: object) -> None:
    assert covers(value, value)


@given(st.dictionaries(st.text(max_size=2), PLAIN, max_size=3), PLAIN)
def test_what_others_have_added_does_not_matter(wanted: dict[str, object], more: object) -> None:
    assert covers({**wanted, "added by others": more}, wanted)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({}, {"a": 1}),
        ({"a": 2}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [2, 1]}, {"a": [1, 2]}),
        ({"a": None}, {"a": {}}),
        ("a", {"a": 1}),
        ({"a": 1}, [1]),
    ],
)
def test_what_differs_is_seen(found: object, wanted: object) -> None:
    assert not covers(found, wanted)


@pytest.mark.parametrize(
    ("labels", "same"),
    [
        ({FACILITY_LABEL: "a", OWNER_LABEL: "o"}, True),
        ({FACILITY_LABEL: "a", OWNER_LABEL: "o", "more": "x"}, True),
        ({FACILITY_LABEL: "b", OWNER_LABEL: "o"}, False),
        ({FACILITY_LABEL: "a", OWNER_LABEL: "p"}, False),
        ({OWNER_LABEL: "o"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_an_object_is_the_owners_by_facility_and_digest(labels: dict[str, str] | None, same: bool) -> None:
    wanted = {"metadata": {"labels": {FACILITY_LABEL: "a", OWNER_LABEL: "o", "afkit.io/mount": "m"}}}
    assert same_owner({"metadata": {"labels": labels}}, wanted) is same


def test_the_namespace_follows_from_facility_issuer_and_key() -> None:
    facility = loaded("example.yaml")
    person = tenant(facility, "ada", "https://login.example.org", "key-7", ["physicists"])
    assert person.owner == owner("example", "https://login.example.org", "key-7")
    assert person.namespace == f"af-example-{person.owner}"
    others = [
        tenant(facility, "ada", "https://login.example.org", "key-8"),
        tenant(facility, "ada", "https://other.example.org", "key-7"),
        tenant(replace(facility, name="other"), "ada", "https://login.example.org", "key-7"),
    ]
    assert len({one.namespace for one in (person, *others)}) == 4
    assert tenant(facility, "renamed", "https://login.example.org", "key-7").namespace == person.namespace


@pytest.mark.parametrize(("issuer", "key"), [("", "k"), ("i", ""), ("i", "a\0b"), ("i\0", "k")])
def test_nobody_has_no_namespace(issuer: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        tenant(loaded("example.yaml"), "ada", issuer, key)
