"""The six rules by which claims become people and groups, one test each."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.facility.model import IdentityRules
from afkit.names import owner
from afkit.pods.person import person_of
from afkit.policy.claims import admit, read_login
from afkit.policy.entitle import entitle
from tests.unit.policy.claims.logins import URL, admission, claims, groups, issuer, lab, login, refused


def test_rule_1_a_person_is_issuer_and_stable_claim_and_never_a_name_or_an_address() -> None:
    """A new login name is the same person; the same name with another key is another."""
    of = lab(issuer())
    before, renamed = (admit(of, claims(preferred_username=name)).identity() for name in ("ada", "ada.l"))
    other = admit(of, claims(sub="key-2", email="ada@example.org")).identity()
    assert before.key == renamed.key == "key-1" and (before.name, renamed.name) == ("ada", "ada.l")
    assert (other.name, other.key) == ("ada", "key-2")
    owners = [person_of(of, who, entitle(of, who)).owner for who in (before, renamed, other)]
    assert owners[0] == owners[1] == owner("test", URL, "key-1") != owners[2]


def test_rule_2_a_group_has_its_issuer_before_it_and_is_compared_as_it_is() -> None:
    of = lab(issuer("wlcg"), cms=("lab:/cms",), uscms=("lab:/cms/uscms",), low=("lab:/cms/USCMS",), base=("lab:uscms", "lab:cms"))
    found = admission(of, claims("wlcg", wlcg_groups=["/cms/uscms"]))
    assert found.login.groups == ("lab:/cms/uscms",)
    assert found.entitlements is not None and found.entitlements.groups == ("everyone", "uscms")


@pytest.mark.parametrize(
    ("dialect", "claim"), [("wlcg", "wlcg_groups"), ("plain", "groups"), ("aarc", "entitlements"), ("cilogon", "isMemberOf")]
)
@pytest.mark.parametrize("value", ["/cms", {"/cms": True}, 1, True, ["/cms", 1], ["/cms", ["/cms"]], ["/cms", None], [{}], "", {}])
def test_rule_3_groups_are_a_list_of_texts_or_the_login_is_refused(dialect: str, claim: str, value: Any) -> None:
    found = refused("malformed", dialect, **{claim: value})
    assert claim.replace("_", ".") in found.message


@pytest.mark.parametrize(
    ("dialect", "claim"), [("wlcg", "wlcg_groups"), ("plain", "groups"), ("aarc", "entitlements"), ("cilogon", "isMemberOf")]
)
def test_rule_3_too_many_or_too_long(dialect: str, claim: str) -> None:
    refused("malformed", dialect, **{claim: ["/a"] * 1001})
    refused("malformed", dialect, **{claim: ["/" + "a" * 255]})
    refused("malformed", dialect, **{claim: ["/" + "ä" * 128]})
    assert login(dialect, **{claim: [f"/a{n}" for n in range(1000)] + []}).refusal is None
    assert login(dialect, **{claim: ["/" + "a" * 254]}).refusal is None
    assert login(dialect, **{claim: None}).refusal is None and login(dialect, **{claim: []}).groups == ()


def test_rule_4_the_name_of_a_claim_is_a_name_and_no_path() -> None:
    nested = claims("wlcg") | {"wlcg": {"groups": ["/cms"], "ver": "1.0"}}
    assert read_login(nested, issuer("wlcg"), IdentityRules()).groups == ()
    del nested["wlcg.ver"]
    found = read_login(nested, issuer("wlcg"), IdentityRules()).refusal
    assert found is not None and found.reason == "wrong-version"
    of = issuer(username_claim="user.name", key_claim="user.id")
    assert (login(of=of, **{"user.name": "ada.l", "user.id": "7"}).name, login(of=of, **{"user.id": "7"}).key) == ("ada.l", "7")
    refused("no-key", of=of, user={"name": "ada.l", "id": "7"})


def test_rule_5_entitlements_are_split_first_and_decoded_after() -> None:
    value = "urn:mace:egi.example:group:vo.example.org:AG%20IT:role=vm%5Foperator#aai.example.org"
    assert groups("aarc", entitlements=[value]) == ["vo.example.org/AG IT;role=vm_operator"]
    assert groups("aarc", entitlements=["urn:mace:egi.example:group:vo.example.org:role=member"]) == ["vo.example.org"]
    for foreign in ("urn:mace:egi.example:group:a:b#other.example", "urn:mace:other.example:group:a", "urn:geant:egi.example:group:a"):
        assert groups("aarc", entitlements=[foreign]) == []


def test_rule_6_the_same_claims_give_the_same_and_a_lost_group_is_lost() -> None:
    """Nothing is kept of an earlier login, so asking again at each refresh and each start says what holds then."""
    of = lab(issuer(), allow=("staff",), staff=("lab:staff",))
    first, again = admission(of, claims(groups=["staff"])), admission(of, claims(groups=["staff"]))
    assert first == again and first.refusal is None
    lost = admission(of, claims(groups=[])).refusal
    assert lost is not None and lost.reason == "not-allowed"
    assert admission(of, claims(groups=["staff"])) == first
