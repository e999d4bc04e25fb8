"""How each kind of provider writes groups, and what of it is left out."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.policy.claims.aarc import entitlement_group
from afkit.policy.model import Identity
from tests.unit.policy.claims.logins import ACCEPTED, admission, claims, groups, issuer, lab, login, refused, whys

NS = "urn:mace:egi.example:group:"


def test_wlcg_groups_by_their_grammar() -> None:
    good = ["/cms", "/cms/uscms", "/cms/a.b-c_d", "/0/9", "/CMS"]
    bad = ["/", "", "cms", "/cms/-a", "/cms/.a", "/cms/_a", "/cms/ä", "/c ms", "/cms//a", "/cms/Role=production", "/cms/a:b"]
    found = login("wlcg", wlcg_groups=[*good, *bad])
    assert found.groups == tuple(f"lab:{group}" for group in good)
    assert list(whys(found)) == bad
    assert whys(found)["/cms/.a"] == "'/cms/.a' is no group of the WLCG profile, such as '/cms/uscms'"


def test_groups_stand_once_in_the_order_of_the_claims() -> None:
    assert groups("wlcg", wlcg_groups=["/b", "/a", "/b"]) == ["/b", "/a"]
    both = {"entitlements": [f"{NS}b", f"{NS}a"], "eduperson_entitlement": [f"{NS}a", f"{NS}c", f"{NS}b:role=member"]}
    assert groups("aarc", **both) == ["b", "a", "c"]


@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
@pytest.mark.parametrize(
    ("value", "group"),
    [
        (f"{NS}vo.example.org:role=member#aai.example.org", "vo.example.org"),
        (f"{NS}vo.example.org#aai.example.org", "vo.example.org"),
        (f"{NS}vo.example.org", "vo.example.org"),
        (f"{NS}team.data:sub.group:role=vm_operator#aai.example.org", "team.data/sub.group;role=vm_operator"),
        (f"{NS}vo:role=Member", "vo;role=Member"),
        (f"{NS}vo:role=%6Dember", "vo"),
        (f"{NS}vo:group:deeper", "vo/group/deeper"),
        (f"{NS}group", "group"),
        (f"{NS}res", "res"),
        (f"{NS}VO.Example.Org", "VO.Example.Org"),
        (f"{NS}AG%20IT%20Services", "AG IT Services"),
        (f"{NS}AG+IT", "AG+IT"),
        (f"{NS}%C3%BCbung", "übung"),
        (f"{NS}100%25", "100%"),
        (f"{NS}a%252Fb", "a%2Fb"),
        ("URN:MACE:egi.example:group:vo", "vo"),
        ("uRn:mAcE:egi.example:group:vo#aai.example.org", "vo"),
    ],
)
def test_entitlements_that_are_groups(claim: str, value: str, group: str) -> None:
    assert groups("aarc", **{claim: [value]}) == [group]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"{NS}vo#evil.example", "is vouched for by 'evil.example', which is not among this issuer's 'authorities'"),
        ("urn:mace:other:group:vo", "is of the namespace 'urn:mace:other', which is not among this issuer's 'authorities'"),
        ("urn:mace:egi.example:res:ggus#aai.example.org", "is a capability (AARC-G027), no group"),
        ("urn:mace:dir:entitlement:common-lib-terms", "names no group"),
        ("http://example.net/licence", "is no URN, so it names no group"),
        (f"{NS}AG IT", "has characters that no URN has"),
        (f"{NS}role=x", "names a role and no group"),
        (f"{NS}a%2Fb", "has the name 'a%2Fb' in it, which is none"),
    ],
)
def test_why_an_entitlement_is_no_group(value: str, why: str) -> None:
    assert whys(login("aarc", entitlements=[value])) == {value: f"'{value}' {why}"}


@pytest.mark.parametrize(
    ("accepted", "value", "counts"),
    [
        (ACCEPTED, f"{NS}vo", True),
        (("urn:mace:egi.example",), f"{NS}vo", True),
        (("URN:Mace:egi.example",), f"{NS}vo", True),
        (("urn:mace:egi.example",), f"{NS}vo#aai.example.org", False),
        (("aai.example.org",), f"{NS}vo#aai.example.org", True),
        (("aai.example.org",), f"{NS}vo", False),
        ((), f"{NS}vo", False),
        ((), f"{NS}vo#aai.example.org", False),
        (("urn:mace:egi.example:group",), f"{NS}vo", False),
        (("urn:mace",), "urn:mace:group:vo", False),
        (("urn:mace:egi.example:sub",), "urn:mace:egi.example:sub:group:vo", True),
    ],
)
def test_authorities_and_namespaces(accepted: tuple[str, ...], value: str, counts: bool) -> None:
    group, why = entitlement_group(value, accepted)
    assert (group, bool(why)) == (("vo", False) if counts else ("", True))


def test_only_the_roles_of_the_own_client_count() -> None:
    access = {"hub-client": {"roles": ["users", "gpu users", "/a/b"]}, "account": {"roles": ["admins"]}}
    found = login("keycloak", resource_access=access, realm_access={"roles": ["admins"]}, groups=["/admins"])
    assert found.groups == ("lab:users", "lab:gpu users", "lab:/a/b")
    assert whys(found) == {
        "resource_access.account": "'resource_access.account' has roles of another client than 'hub-client'",
        "groups": "the dialect 'keycloak' takes groups from 'resource_access', not from 'groups'",
        "realm_access": "the dialect 'keycloak' takes groups from 'resource_access', not from 'realm_access'",
    }


def test_a_client_with_a_point_in_its_name() -> None:
    of = issuer("keycloak", client_id="lab.hub")
    assert groups("keycloak", of, resource_access={"lab.hub": {"roles": ["a"]}}) == ["a"]
    assert groups("keycloak", of, resource_access={"lab": {"hub": {"roles": ["a"]}}}) == []
    assert groups("keycloak", of, **{"resource_access.lab.hub.roles": ["a"]}) == []


@pytest.mark.parametrize(
    "access", [None, {}, {"hub-client": None}, {"hub-client": {}}, {"hub-client": {"roles": None}}, {"hub-client": {"roles": []}}]
)
def test_roles_may_be_missing(access: Any) -> None:
    assert groups("keycloak", resource_access=access) == []


@pytest.mark.parametrize(
    "access",
    [
        *([], "x", 1),
        *({"hub-client": of} for of in ([], ["a"], "a", {"roles": "a"}, {"roles": {"a": 1}}, {"roles": ["a", 1]}, {"roles": ["a"] * 1001})),
        {f"c{n}": {} for n in range(1001)},
    ],
)
def test_roles_of_another_type(access: Any) -> None:
    assert "resource_access" in refused("malformed", "keycloak", resource_access=access).message


FNAL = {"require": {"idp": ("https://idp.lab.example/shibboleth",), "domain": ("lab.example",)}, "username_claim": "eppn"}
ADA = {"idp": "https://idp.lab.example/shibboleth", "eppn": "ada@lab.example"}


def test_cilogon_memberships_are_taken_as_they_are() -> None:
    assert groups("cilogon", isMemberOf=["CO:COU:cms:members:active", "b"]) == ["CO:COU:cms:members:active", "b"]


def test_an_affiliation_counts_for_the_institute_s_own_people() -> None:
    found = login(
        "cilogon",
        issuer("cilogon", **FNAL),
        **ADA,
        affiliation="member@lab.example;staff@lab.example;;member@evil.example;alum;@lab.example;x@",
    )
    assert found.groups == ("lab:affiliation:member@lab.example", "lab:affiliation:staff@lab.example")
    assert list(whys(found)) == ["member@evil.example", "alum", "@lab.example", "x@"]
    stranger = login("cilogon", affiliation="member@lab.example", idp=ADA["idp"])
    assert stranger.groups == () and "counts only where 'require' accepts the institute" in whys(stranger)["member@lab.example"]


def test_no_membership_is_written_as_an_affiliation() -> None:
    found = login("cilogon", isMemberOf=["affiliation:member@lab.example"])
    assert found.groups == ()
    assert whys(found) == {"affiliation:member@lab.example": "'affiliation:member@lab.example' is written as only an affiliation may be"}


@pytest.mark.parametrize("value", [["member@lab.example"], 1, {}, "x;" * 1001, "a" * 256])
def test_an_affiliation_of_another_type(value: Any) -> None:
    if value == "x;" * 1001:
        value = ";".join(f"m{n}@lab.example" for n in range(1001))
    refused("malformed", "cilogon", affiliation=value)


def test_plain_groups_keep_slashes_and_spaces_inside() -> None:
    good = ["physics", "/physics", "physics/higgs", "a b", "CO:x", "übung", "x;role=y"]
    bad = {
        "": "is empty",
        " a": "begins or ends with a space",
        "a\n": "cannot be seen",
        "a\u200b": "cannot be seen",
        "*": "everybody",
        "ﬁ": "look like others",
    }
    found = login(groups=[*good, *bad])
    assert found.groups == tuple(f"lab:{group}" for group in good)
    assert all(why in whys(found)[value] for value, why in bad.items())


def test_jupyterhub_s_own_groups() -> None:
    found = login("hub", groups=["course-1", "Domain Users"])
    assert (found.key, found.name, found.groups) == ("ada", "ada", ("lab:course-1", "lab:Domain Users"))
    assert found.identity() == Identity("ada", "lab", "ada", ("lab:course-1", "lab:Domain Users"))


def test_claims_that_another_dialect_would_read_are_said_to_count_for_nothing() -> None:
    found = login("wlcg", groups=["admins"], cern_roles=["x"], wlcg_groups=["/cms"])
    assert found.groups == ("lab:/cms",)
    assert whys(found) == {
        "cern_roles": "the dialect 'wlcg' takes groups from 'wlcg.groups', not from 'cern_roles'",
        "groups": "the dialect 'wlcg' takes groups from 'wlcg.groups', not from 'groups'",
    }


def test_everybody_of_an_issuer_and_of_no_other() -> None:
    of = lab(issuer(), mine=("lab:*",), theirs=("other:*",), named=("lab:x",))
    found = admission(of, claims(groups=["x", "y"]))
    assert found.entitlements is not None and found.entitlements.groups == ("everyone", "mine", "named")
    assert found.ignored == ()
