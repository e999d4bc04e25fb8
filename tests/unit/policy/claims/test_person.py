"""Keys, login names and ids."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.facility.model import IdentityRules, RunAs
from afkit.policy.ids import Ids
from tests.unit.policy.claims.logins import claims, issuer, login, refused


def test_the_key_of_each_dialect() -> None:
    assert login().key == "key-1"
    assert login("aarc", voperson_id="x@aai.example.org").key == "x@aai.example.org"
    assert login("aarc").key == "key-1", "without voperson_id"
    assert login("aarc", issuer("aarc", key_claim="sub"), voperson_id="x").key == "key-1"
    assert login("keycloak", issuer("keycloak", key_claim="cern_upn"), cern_upn="mcurie").key == "mcurie"
    assert login("cilogon", sub="http://cilogon.org/serverA/users/12345").key == "http://cilogon.org/serverA/users/12345"


def test_a_key_that_cannot_be_used_is_never_another_claim() -> None:
    refused("malformed", "aarc", voperson_id=7)
    refused("no-key", "aarc", voperson_id="")
    refused("no-key", of=issuer(key_claim="upn"))
    refused("malformed", of=issuer(key_claim="cern_person_id"), cern_person_id=754321)
    assert login("aarc", voperson_id="").key == ""


@pytest.mark.parametrize(
    ("template", "value", "name"),
    [
        ("{value}", "ada", "ada"),
        ("{value}", "ada@lab.example", "ada@lab.example"),
        ("{local}-fnal", "ada@lab.example", "ada-fnal"),
        ("{local}-fnal", "ada", "ada-fnal"),
        ("{local}", "a@b@c", "a"),
        ("x.{value}.{local}", "a@b", "x.a@b.a"),
        ("{value}", "Ada Lovelace", "Ada Lovelace"),
        ("{value}", "{local}", "{local}"),
        ("{value}-{local}", "{local}", "{local}-{local}"),
        ("{{value}}", "a", "{a}"),
        ("{value}", r"\1\g<0>", r"\1\g<0>"),
        ("{value}-x", r"\1\g<0>", r"\1\g<0>-x"),
        ("{local}-x", "a%20b@c", "a%20b-x"),
    ],
)
def test_login_names(template: str, value: str, name: str) -> None:
    assert login(of=issuer(username=template), preferred_username=value).name == name


def test_where_the_claim_is_missing_the_key_stands_in() -> None:
    for missing in ({"preferred_username": None}, {"sub": "x@egi.example", "preferred_username": None}):
        found = login(of=issuer(username="{local}-egi"), **missing)
        assert found.name == ("key-1-egi" if "sub" not in missing else "x-egi")
    assert login(of=issuer(username_claim="upn")).name == "key-1"
    refused("bad-name", "cilogon", sub="http://cilogon.org/serverA/users/12345", preferred_username=None)


@pytest.mark.parametrize("value", ["", "a/b", "/", ".", "..", "a\0", "a" * 256, 7, True, ["ada"], {"a": 1}, "\x7f", "../../etc"])
def test_what_is_no_login_name(value: Any) -> None:
    found = login(preferred_username=value)
    assert found.refusal is not None and found.refusal.reason in ("bad-name", "malformed")
    assert found.name == "" and found.key == "key-1" and not found.readable


@pytest.mark.parametrize(
    ("template", "value"), [("{local}-x", "@lab.example"), ("{local}-x", "..@lab.example"), ("{value}-" + "x" * 254, "ab")]
)
def test_what_is_none_once_it_is_filled_in(template: str, value: str) -> None:
    refused("bad-name", of=issuer(username=template), preferred_username=value)


def test_ids_of_a_login() -> None:
    rules = IdentityRules(run_as=RunAs(uid="uid", gid=200, fs_group="none", groups="posix.gids", root=False))
    found = login(rules=rules, uid="4711", posix={"gids": [7, "8"]})
    assert found.ids == Ids(4711, 200, None, (7, 8), False)
    own = IdentityRules(run_as=RunAs(uid=1, gid=2), issuers={"lab": issuer(run_as=RunAs(uid=3))})
    assert login(rules=own).ids == Ids(3, 2)
    assert login().ids == Ids(1000, 100, 100, (), False)
    for key in ("uid", "gid", "fs_group", "groups"):
        told = login(rules=IdentityRules(run_as=RunAs(**{key: "number"})), number=4711).ids
        assert told is not None and 4711 in (told.uid, told.gid, told.fs_gid, *told.groups), key


@pytest.mark.parametrize("uid", [None, 0, "0", 1, 99, 65534, 65535, -1, 2**31, 1.5, True, "x", [1, 2], {}, ""])
def test_a_missing_or_reserved_id_is_a_refusal_and_never_a_default(uid: Any) -> None:
    found = login(rules=IdentityRules(run_as=RunAs(uid="uid")), uid=uid)
    assert found.refusal is not None and found.refusal.reason == "no-id"
    assert found.ids is None and found.name == "ada" and found.readable


@pytest.mark.parametrize("key", ["gid", "fs_group", "groups"])
def test_nobody_is_in_root_s_group_by_a_claim(key: str) -> None:
    found = login(rules=IdentityRules(run_as=RunAs(**{key: "number"})), number=0)
    assert found.refusal is not None and found.refusal.reason == "no-id" and "group 0" in found.refusal.message


def test_an_id_that_the_file_writes_is_the_administrator_s() -> None:
    assert login(rules=IdentityRules(run_as=RunAs(uid=0, gid=0))).ids == Ids(0, 0)
    assert login(rules=IdentityRules(run_as=RunAs(uid="uid")), uid=100).ids == Ids(100)


def test_the_name_of_a_person_of_the_hub() -> None:
    assert login("hub").name == "ada"
    assert login("hub", name=None, preferred_username="ada").name == "ada"
    assert login("hub", issuer("hub", username="{local}-x"), name="ada@school.example").name == "ada-x"
    refused("no-key", "hub", name=None)
    assert "iss" not in claims("hub")
