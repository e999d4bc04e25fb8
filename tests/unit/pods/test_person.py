"""Whose a Pod is: owner, namespace and ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from afkit.errors import NotEntitledError
from afkit.facility.model import IdentityRules, Issuer, Kubernetes, RunAs
from afkit.names import owner
from afkit.pods.person import Person, claims_named, person_of
from afkit.policy.model import Entitlements, Identity
from tests.unit.policy.facilities import facility

NOBODY = Entitlements("ada", ("everyone", "red"))
LAB = Issuer("lab", "wlcg", url="https://lab.example.org/")
HUB = Issuer("school", "hub")


def person(
    rules: RunAs | None = None,
    own: RunAs | None = None,
    who: Identity | None = None,
    claims: dict[str, Any] | None = None,
    kubernetes: Kubernetes | None = None,
) -> Person:
    issuers = {"lab": replace(LAB, run_as=own or RunAs()), "school": HUB}
    made = facility(identity=IdentityRules(run_as=rules or RunAs(), issuers=issuers), kubernetes=kubernetes or Kubernetes(namespace="hub"))
    return person_of(made, who or Identity("ada", "lab", "key-1"), NOBODY, claims)


def test_an_owner_is_facility_issuer_and_key() -> None:
    assert person().owner == owner("test", "https://lab.example.org/", "key-1")
    assert person(who=Identity("ada", "school")).owner == owner("test", "hub", "ada")
    assert person(who=Identity("ada", "local", "ada")).owner == owner("test", "local", "ada")


def test_a_new_login_name_is_the_same_person_and_a_name_used_again_another() -> None:
    assert person(who=Identity("ada-l", "lab", "key-1")).owner == person().owner
    assert person(who=Identity("ada", "lab", "key-2")).owner != person().owner


@pytest.mark.parametrize("key", ["", "a\0b"])
def test_without_a_key_of_the_provider_nobody_is_told_apart(key: str) -> None:
    with pytest.raises(NotEntitledError, match="no key"):
        person(who=Identity("ada", "lab", key))


def test_namespaces() -> None:
    def namespace(users: str) -> str:
        return person(kubernetes=Kubernetes(namespace="hub", user_namespaces=users)).namespace

    assert namespace("per-user") == f"af-test-{person().owner}"
    assert namespace("shared") == "hub"
    assert namespace("analysts") == "analysts"


def test_ids_that_nobody_gives() -> None:
    made = person()
    assert (made.uid, made.gid, made.fs_gid, made.groups, made.root) == (1000, 100, 100, (), False)
    assert made.facility_groups == {"everyone", "red"}


def test_the_issuer_field_by_field_over_all() -> None:
    made = person(RunAs(uid=1, gid=2, fs_group=3, groups=(4, 5), root=True), RunAs(gid=20, fs_group="none", groups=(), root=False))
    assert (made.uid, made.gid, made.fs_gid, made.groups, made.root) == (1, 20, None, (), False)


def test_ids_from_a_login() -> None:
    rules = RunAs(uid="u", gid="g", fs_group="f", groups="gs")
    made = person(rules, claims={"u": 4711, "g": "4712", "f": 5, "gs": [7, "8", 7]})
    assert (made.uid, made.gid, made.fs_gid, made.groups) == (4711, 4712, 5, (7, 8))
    assert person(RunAs(groups="gs"), claims={"gs": 9}).groups == (9,)


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("posix.uid", {"posix": {"uid": 4711}}),
        ("posix.uid", {"posix.uid": "4711", "posix": {"uid": 1}}),
        ("posix.uid", {"posix.uid": None, "posix": {"uid": 4711}}),
        ("https://login.example.org/posix.uid", {"https://login.example.org/posix": {"uid": [4711]}}),
        ("https://login.example.org/posix.uid", {"https://login": {}, "https://login.example": {"org/posix": {"uid": 4711}}}),
        ("a.b.c.d", {"a": {"b": 1, "b.c": {"x": 2}}, "a.b": {"c.d": 4711}}),
        ("a.b.c.d", {"a": {"b": {"c": {"d": 4711}}}, "a.b": {"c": 5}, "a.b.c": "text"}),
        ("attributes.uidNumber", {"attributes": {"uidNumber": ["4711"]}}),
    ],
)
def test_ids_from_further_down_in_a_login(name: str, claims: dict[str, Any]) -> None:
    assert person(RunAs(uid=name), claims=claims).uid == 4711


@pytest.mark.parametrize("name", ["a.b", "a", "a.", ".a", ".", "a.b.c.d", "a..b", "a.c.d"])
def test_nothing_further_down_is_a_refusal(name: str) -> None:
    claims = {"a": {"b": {"x": 1}, "c": [{"d": 1}]}}
    with pytest.raises(NotEntitledError, match="claim") as caught:
        person(RunAs(uid=name), claims=claims)
    assert repr(name) in caught.value.message


def test_groups_from_further_down() -> None:
    assert person(RunAs(groups="posix.gids"), claims={"posix": {"gids": [7, "8"]}}).groups == (7, 8)


@pytest.mark.parametrize("value", [[1, 2], [], [[1]], [None], [-1], {"uid": 1}])
def test_an_id_is_one_number(value: object) -> None:
    with pytest.raises(NotEntitledError, match="no number from 0 to"):
        person(RunAs(uid="posix.uid"), claims={"posix": {"uid": value}})


@pytest.mark.parametrize("value", [0, "0", [0], ["000"]])
def test_nobody_is_root_by_a_claim_further_down(value: object) -> None:
    with pytest.raises(NotEntitledError, match="user 0, and nobody runs as root here"):
        person(RunAs(uid="posix.uid"), claims={"posix": {"uid": value}})


@pytest.mark.parametrize("key", ["uid", "gid", "fs_group", "groups"])
@pytest.mark.parametrize("value", [None, "", "x", -1, 1.5, True, 2**31, "²", {}, "9" * 5000, [None], "1 2", " 1"])
def test_a_claim_that_is_no_id_is_a_refusal_and_never_a_default(key: str, value: object) -> None:
    with pytest.raises(NotEntitledError, match="'number'") as caught:
        person(RunAs(**{key: "number"}), claims={"number": value})
    assert caught.value.message.endswith(".")


def test_a_claim_that_is_missing() -> None:
    with pytest.raises(NotEntitledError, match="no claim 'number'"):
        person(RunAs(uid="number"))


def test_no_provider_makes_anybody_root() -> None:
    with pytest.raises(NotEntitledError, match="user 0"):
        person(RunAs(uid="number"), claims={"number": "0"})
    assert person(RunAs(uid=0)).uid == 0


def test_the_claims_that_a_facility_names() -> None:
    rules = IdentityRules(
        run_as=RunAs(uid="u", gid=5, fs_group="none"), issuers={"lab": replace(LAB, run_as=RunAs(uid="u", groups="p.gs"))}
    )
    assert claims_named(facility(identity=rules)) == ("u", "p.gs")
    assert claims_named(facility(identity=IdentityRules(run_as=RunAs(fs_group="f")))) == ("f",)
    assert claims_named(facility()) == ()


def test_placeholders_have_the_ids() -> None:
    names = person(RunAs(uid=5, gid=6)).names("gpu")
    assert (names.user, names.server, names.uid, names.gid) == ("ada", "gpu", 5, 6)
