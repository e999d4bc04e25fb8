"""What a login must have, and by which issuer it is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from afkit.errors import IdentityError
from afkit.facility.model import IdentityRules
from afkit.policy.claims import Refusal, admit, issuer_of
from tests.unit.policy.claims.logins import URL, admission, claims, issuer, lab, login, refused

MFA = "https://refeds.org/profile/mfa"
HIGH, MEDIUM = "https://refeds.org/assurance/IAP/high", "https://refeds.org/assurance/IAP/medium"


@pytest.mark.parametrize("dialect", ["wlcg", "aarc", "keycloak", "cilogon", "plain"])
@pytest.mark.parametrize(
    ("key", "wanted", "good", "bad"),
    [
        ("acr", (MFA, "mfa"), {"acr": "mfa"}, [{}, {"acr": "1"}, {"acr": "MFA"}, {"acr": ""}, {"acr": None}]),
        (
            "assurance",
            (HIGH, MEDIUM),
            {"eduperson_assurance": ["x", MEDIUM]},
            [{}, {"eduperson_assurance": []}, {"eduperson_assurance": ["IAP/medium"]}, {"acr": MEDIUM}],
        ),
        (
            "idp",
            ("https://a.example/", "b"),
            {"idp": "b"},
            [{}, {"idp": "B"}, {"idp": "https://a.example"}, {"idp": ["b"]}, {"idp_name": "b"}],
        ),
        (
            "domain",
            ("a.example", "b.example"),
            {"preferred_username": "ada@b.example"},
            [{}, {"preferred_username": "ada"}, {"preferred_username": "a@b@b.example"}, {"preferred_username": "ada@x.b.example"}],
        ),
    ],
)
def test_every_key_by_any_of_its_values(dialect: str, key: str, wanted: Any, good: dict[str, Any], bad: list[dict[str, Any]]) -> None:
    of = issuer(dialect, require={key: wanted})
    assert login(dialect, of, **good).refusal is None
    for told in bad:
        found = refused(f"require-{key}", dialect, of, **told)
        assert wanted[0] in found.message


def test_all_keys_have_to_hold() -> None:
    of = issuer(require={"acr": (MFA,), "assurance": (HIGH,)})
    assert login(of=of, acr=MFA, eduperson_assurance=[HIGH]).refusal is None
    refused("require-assurance", of=of, acr=MFA)
    refused("require-acr", of=of, eduperson_assurance=[HIGH])


@pytest.mark.parametrize(("key", "told"), [("acr", {"acr": ["mfa"]}), ("acr", {"acr": 1}), ("assurance", {"eduperson_assurance": "mfa"})])
def test_a_requirement_is_read_strictly(key: str, told: dict[str, Any]) -> None:
    refused("malformed", of=issuer(require={key: ("mfa",)}), **told)
    assert login(**told).refusal is None, "what nobody asks for is not read"


def test_who_misses_something_is_known_all_the_same() -> None:
    of = lab(issuer(require={"acr": (MFA,)}), staff=("lab:staff",))
    found = admission(of, claims(groups=["staff"], acr="1"))
    assert found.refusal is not None and found.refusal.reason == "require-acr" and "second factor" in found.refusal.hint
    assert found.entitlements is not None and found.entitlements.groups == ("everyone", "staff")
    assert (found.login.name, found.login.key, found.login.readable) == ("ada", "key-1", True)
    with pytest.raises(IdentityError, match="way that is required"):
        found.identity()


def test_the_first_refusal_is_told_and_the_rest_is_read() -> None:
    found = login(of=issuer(require={"acr": (MFA,)}), groups="staff", preferred_username="a/b")
    assert found.refusal is not None and found.refusal.reason == "bad-name"
    assert (found.key, found.name, found.groups, found.readable) == ("key-1", "", (), False)


STAFF = replace(issuer(require={"domain": ("lab.example",)}), name="staff")
GUESTS = replace(issuer("wlcg", require={"domain": ("guests.example", "other.example")}), name="guests")
OTHER = replace(issuer(url="https://other.example.org/"), name="other")
RULES = IdentityRules(allow=("everyone",), issuers={one.name: one for one in (STAFF, GUESTS, OTHER)})


def test_issuers_are_told_apart_by_address_and_by_what_they_require() -> None:
    assert issuer_of(claims(preferred_username="ada@lab.example"), RULES) is STAFF
    assert issuer_of(claims(preferred_username="ada@other.example"), RULES) is GUESTS
    assert issuer_of(claims(iss=OTHER.url), RULES) is OTHER
    with pytest.raises(IdentityError) as caught:
        issuer_of(claims(preferred_username="ada@third.example"), RULES)
    assert caught.value.reason == "require-domain" and "'lab.example'" in caught.value.message
    with pytest.raises(IdentityError) as caught:
        issuer_of(claims(preferred_username=7), RULES)
    assert caught.value.reason == "malformed"


def test_claims_that_two_issuers_would_take_are_refused() -> None:
    one = replace(issuer(require={"assurance": ("low",)}), name="one")
    two = replace(issuer(require={"assurance": ("high",)}), name="two")
    rules = IdentityRules(issuers={"one": one, "two": two})
    assert issuer_of(claims(eduperson_assurance=["high"]), rules) is two
    with pytest.raises(IdentityError, match="one and two") as caught:
        issuer_of(claims(eduperson_assurance=["low", "high"]), rules)
    assert caught.value.reason == "ambiguous-issuer"


def test_an_issuer_that_is_named_is_held_to_its_address() -> None:
    of = lab(STAFF, OTHER)
    assert admit(of, claims(preferred_username="ada@lab.example"), "staff").refusal is None
    found = admit(of, claims(), "other").refusal
    assert found is not None and found.reason == "unknown-issuer"
    with pytest.raises(KeyError):
        admit(of, claims(), "nobody")


def test_an_address_that_is_nearly_right_is_named() -> None:
    found = refused("unknown-issuer", iss=URL.rstrip("/"))
    assert f"'{URL}' would be accepted" in found.message
    assert "would be accepted" not in refused("unknown-issuer", iss="https://evil.example/").message


def test_who_is_in_no_group_that_may_log_in() -> None:
    of = lab(issuer(), allow=("staff", "keepers"), staff=("lab:staff",), keepers=("lab:keepers",))
    assert admission(of, claims(groups=["keepers"])).refusal is None
    assert admission(of, claims(groups=[])).refusal == Refusal(
        "not-allowed", "You are in none of the groups that may log in to this facility.", "Ask help@example.org."
    )
    assert admission(lab(issuer()), claims()).refusal is None, "everyone"
    assert admission(lab(issuer(), allow=()), claims()).refusal is not None


def test_a_facility_without_issuers_takes_nobody() -> None:
    from tests.unit.policy.facilities import facility

    found = admit(facility(), claims())
    assert found.refusal is not None and found.refusal.reason == "unknown-issuer" and found.login.issuer == ""


@pytest.mark.parametrize("told", [None, [], "x", 1, [claims()]])
def test_claims_are_an_object(told: Any) -> None:
    for of, name in ((lab(issuer()), None), (lab(issuer()), "lab"), (lab(issuer("hub")), None)):
        found = admit(of, told, name)
        assert found.refusal is not None and found.refusal.reason == "malformed"
