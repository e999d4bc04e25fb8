"""What somebody might send to be taken for somebody else, or for a member of a group: one test a trick."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.errors import IdentityError
from afkit.facility.model import Group, IdentityRules
from afkit.pods.person import person_of
from afkit.policy.claims import admit, issuer_of
from afkit.policy.entitle import entitle
from tests.unit.policy.claims.logins import URL, admission, claims, groups, issuer, lab, login, refused, whys
from tests.unit.policy.facilities import facility


@pytest.mark.parametrize(
    "version", ["2.0", "1", 1.0, None, "0.9", "1.0 ", " 1.0", "v1.0", "1.0.0", "1.", ".0", "١.0", "", ["1.0"], True, "10.0", "01.0"]
)
def test_10_a_token_of_no_known_version_of_the_profile(version: Any) -> None:
    refused("wrong-version", "wlcg", wlcg_ver=version)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.9", "1.10"])
def test_10_a_newer_minor_version_is_accepted(version: str) -> None:
    assert login("wlcg", wlcg_ver=version, wlcg_groups=["/cms"]).groups == ("lab:/cms",)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\x00", "a\x00b"])
@pytest.mark.parametrize("claim", ["sub", "preferred_username", "groups"])
def test_11_half_characters_and_nul_bytes(claim: str, text: str) -> None:
    found = login(**{claim: [text] if claim == "groups" else text})
    assert found.groups == ()
    assert found.refusal is not None or whys(found)


def test_12_the_same_subject_of_two_issuers_is_two_people() -> None:
    other = issuer(url="https://other.example.org/", username="{value}-other")
    of = lab(issuer(), Other := type(other)(**{name: getattr(other, name) for name in other.__slots__} | {"name": "other"}))
    assert Other.name == "other"
    one, two = admit(of, claims()).identity(), admit(of, claims(iss=other.url)).identity()
    assert (one.key, one.issuer, two.key, two.issuer) == ("key-1", "lab", "key-1", "other")
    assert len({person_of(of, who, entitle(of, who)).owner for who in (one, two)}) == 2


@pytest.mark.parametrize("sub", ["a" * 256, "ä", "a\n", " a", "a ", "\u200ba", "", None, 7, True, ["a"], {"a": 1}, "a\x7f"])
def test_13_a_subject_that_cannot_tell_people_apart(sub: Any) -> None:
    found = login(sub=sub).refusal
    assert found is not None and found.reason in ("no-key", "malformed")
    assert login(sub=sub).key == "" and login(sub=sub).name == "" and not login(sub=sub).readable


@pytest.mark.parametrize("name", ["admin", "hub", "root", "deployment-service-check", "everyone", "local", "root-of-all"])
def test_14_a_name_that_sounds_like_power_has_none(name: str) -> None:
    rules = IdentityRules(allow=("everyone",), issuers={"lab": issuer()}, local={"root-of-all": ("admins",)})
    of = facility(groups={"admins": Group("admins", ("lab:admins",), admin=True)}, identity=rules)
    found = admit(of, claims(preferred_username=name, groups=["everyone", name]))
    assert found.entitlements is not None
    assert found.entitlements.groups == ("everyone",) and not found.entitlements.admin


@pytest.mark.parametrize("more", [{"sub": "hub-client"}, {"azp": "key-1"}, {"client_id": "key-1"}])
def test_15_a_program_is_no_person(more: dict[str, str]) -> None:
    assert refused("not-a-person", **more).message == "These are the claims of a program, not of a person."
    assert login(azp="hub-client", client_id="hub-client").refusal is None


@pytest.mark.parametrize("name", ["service-account-hub", "svc:transfer", "svc:"])
def test_15_names_of_programs_are_no_login_names(name: str) -> None:
    refused("bad-name", preferred_username=name)
    refused("bad-name", of=issuer(username="x-{value}"), preferred_username=name)


@pytest.mark.parametrize(
    "name",
    [
        "ada\u200b",
        "\u017fam",
        "\u0131d",
        "\ufb01n",
        "\u0430da",
        "ada\n",
        "\nada",
        "ada ",
        " ada",
        "ａda",
        "é",
        "e\u0301",
        "a\u202eb",
        "ada\r",
        "a\tb",
    ],
)
def test_16_names_that_look_like_others(name: str) -> None:
    refused("bad-name", preferred_username=name)
    refused("bad-name", of=issuer(username="{local}-x"), preferred_username=f"{name}@example.org")


FEDERATION = {"require": {"idp": ("https://idp.lab.example/shibboleth",), "domain": ("lab.example",)}, "username_claim": "eppn"}


def test_17_an_address_proves_no_institute() -> None:
    """Another institute can say the same address, and a person can type it."""
    of = issuer("cilogon", **FEDERATION)
    good = {"idp": "https://idp.lab.example/shibboleth", "eppn": "ada@lab.example"}
    assert login("cilogon", of, **good).name == "ada@lab.example"
    refused("require-idp", "cilogon", of, **good | {"idp": "https://idp.evil.example/shibboleth"})
    refused("require-idp", "cilogon", of, **good | {"idp": "https://idp.lab.example/shibboleth/"})
    refused("require-idp", "cilogon", of, eppn="ada@lab.example")
    for eppn in (
        "ada@evil.example",
        "ada@sub.lab.example",
        "ada@LAB.example",
        "ada@lab.example@evil.example",
        "ada",
        "ada@",
        "@",
        "ada@evil.example@lab.example",
    ):
        refused("require-domain", "cilogon", of, **good | {"eppn": eppn})
    assert login("cilogon", of, idp=good["idp"]).refusal is not None, "no eppn, and so no domain"


@pytest.mark.parametrize("claim", ["eppn", "email", "mail", "eduperson_principal_name"])
@pytest.mark.parametrize("dialect", ["cilogon", "aarc"])
def test_17_without_an_accepted_institute_no_such_name_counts(dialect: str, claim: str) -> None:
    told = {claim: "ada@lab.example", "idp": "https://idp.lab.example/x", "email_verified": True}
    refused("unbound-name", dialect, issuer(dialect, username_claim=claim), **told)
    refused("unbound-name", dialect, issuer(dialect, key_claim=claim), **told)
    refused("unbound-name", dialect, issuer(dialect, username_claim=claim, require={"domain": ("lab.example",)}), **told)
    bound = {"idp": ("https://idp.lab.example/x",)}
    assert login(dialect, issuer(dialect, username_claim=claim, require=bound), **told).name == "ada@lab.example"


def test_17_of_two_institutes_none_speaks_for_the_other() -> None:
    idps = ("https://idp.lab.example/x", "https://sso.other.example/x", "urn:mace:incommon:third.example")
    of = issuer("cilogon", username_claim="eppn", require={"idp": idps, "domain": ("lab.example", "other.example", "third.example")})
    for idp, domain in zip(idps, ("lab.example", "other.example", "third.example"), strict=True):
        assert login("cilogon", of, idp=idp, eppn=f"ada@{domain}").refusal is None
        for foreign in {"lab.example", "other.example", "third.example"} - {domain}:
            refused("unbound-name", "cilogon", of, idp=idp, eppn=f"ada@{foreign}")
    top = issuer("cilogon", username_claim="eppn", require={"idp": idps, "domain": ("example",)})
    refused("unbound-name", "cilogon", top, idp=idps[0], eppn="ada@example")


@pytest.mark.parametrize("verified", [False, None, "true", 1, "yes"])
def test_17_an_unverified_address_counts_nowhere(verified: Any) -> None:
    of = issuer(username_claim="email")
    refused("unbound-name", of=of, email="ada@lab.example", email_verified=verified)
    assert login(of=of, email="ada@lab.example", email_verified=True).name == "ada@lab.example"
    refused(
        "unbound-name",
        of=issuer(username_claim="email", require={"domain": ("lab.example",)}),
        email="ada@lab.example",
        email_verified=True,
    )


def test_17_an_institute_lies_in_its_domain_and_in_no_other() -> None:
    idps = ("https://evillab.example/x", "https://lab.example.evil.example/x", "https://[", "https:///lab.example", "lab.example/x")
    of = issuer("cilogon", username_claim="eppn", require={"idp": idps, "domain": ("lab.example",)})
    for idp in idps:
        refused("unbound-name", "cilogon", of, idp=idp, eppn="ada@lab.example")
    own = issuer("cilogon", username_claim="eppn", require={"idp": ("https://LAB.example:8443/x", "urn:x:lab.example")})
    for idp in own.require["idp"]:
        assert login("cilogon", own, idp=idp, eppn="ada@lab.example").refusal is None


def test_17_where_institutes_are_listed_there_is_more_than_one_organisation() -> None:
    of = issuer("plain", username_claim="eppn", require={"idp": ("https://idp.lab.example/x", "https://idp.other.example/x")})
    assert login("plain", of, idp="https://idp.lab.example/x", eppn="ada@lab.example").refusal is None
    refused("unbound-name", "plain", of, idp="https://idp.lab.example/x", eppn="ada@other.example")
    assert login("plain", issuer(username_claim="eppn"), eppn="ada@lab.example").name == "ada@lab.example"


def test_17_an_address_that_is_said_to_be_unverified_counts_for_no_institute_either() -> None:
    of = issuer("cilogon", **FEDERATION | {"username_claim": "email"})
    good = {"idp": "https://idp.lab.example/shibboleth", "email": "ada@lab.example"}
    assert login("cilogon", of, **good).name == login("cilogon", of, **good, email_verified=True).name == "ada@lab.example"
    for verified in (False, "false", 0):
        refused("unbound-name", "cilogon", of, **good, email_verified=verified)


def test_17_a_domain_is_no_pattern() -> None:
    of = issuer("cilogon", username_claim="eppn", require={"idp": ("https://idp.lab.example/x",), "domain": ("*.example", "*", "lab.*")})
    refused("require-domain", "cilogon", of, idp="https://idp.lab.example/x", eppn="ada@lab.example")


@pytest.mark.parametrize("value", ["/cms", {"/cms": 1}, ["/cms", 7], ["/cms", None], 3])
def test_18_groups_of_another_type_are_a_clean_refusal(value: Any) -> None:
    found = login("wlcg", wlcg_groups=value)
    assert found.groups == () and found.refusal is not None and found.refusal.reason == "malformed"
    with pytest.raises(IdentityError) as caught:
        found.identity()
    assert (caught.value.reason, caught.value.exit_code) == ("malformed", 1)


@pytest.mark.parametrize(
    "written",
    [
        "/CMS", "cms", "//cms", "/cms/", "/cms/../atlas", "/cms/a%2Fb", "/cms\u0000", "/cms ", " /cms", "/cms\n",
        "/cms/.", "/./cms", "/cms%00", "/%63ms", "cms:/cms", "*", "/*",
    ],
)  # fmt: skip
def test_19_nothing_is_nearly_a_group(written: str) -> None:
    for dialect, claim in (("wlcg", "wlcg_groups"), ("plain", "groups"), ("cilogon", "isMemberOf")):
        of = lab(issuer(dialect), cms=("lab:/cms",), atlas=("lab:/atlas", "lab:/cms/a/b"))
        found = admission(of, claims(dialect, **{claim: [written]}))
        assert found.entitlements is not None and found.entitlements.groups == ("everyone",), dialect
        assert found.ignored


def test_20_the_last_word_of_a_group_is_not_the_group() -> None:
    of = lab(issuer("wlcg"), atlas=("lab:/atlas/production",), cms=("lab:/cms/production",), word=("lab:production", "lab:/production"))
    found = admission(of, claims("wlcg", wlcg_groups=["/atlas/production"])).entitlements
    assert found is not None and found.groups == ("everyone", "atlas")


def test_21_a_child_gives_no_parent_and_a_parent_no_child() -> None:
    of = lab(issuer("wlcg"), parent=("lab:/cms",), child=("lab:/cms/ml",))
    for mine, granted in ((["/cms/ml"], "child"), (["/cms"], "parent")):
        found = admission(of, claims("wlcg", wlcg_groups=mine)).entitlements
        assert found is not None and found.groups == ("everyone", granted)
    of = lab(issuer("aarc"), parent=("lab:vo",), child=("lab:vo/team",), boss=("lab:vo;role=boss",))
    for value, granted in (("vo:team", "child"), ("vo", "parent"), ("vo:role=boss", "boss")):
        found = admission(of, claims("aarc", entitlements=[f"urn:mace:egi.example:group:{value}"])).entitlements
        assert found is not None and found.groups == ("everyone", granted)


@pytest.mark.parametrize(
    "value",
    [
        "urn:mace:other.example:group:vo",  # a foreign namespace
        "urn:mace:egi.example.evil:group:vo",
        "urn:mace:egi.example:sub:group:vo",  # below the one that is accepted, which is another
        "urn:mace:EGI.example:group:vo",
        "urn:mace:egi.example:group:vo#evil.example",  # a foreign authority
        "urn:mace:egi.example:group:vo#AAI.example.org",
        "urn:mace:egi.example:group:vo#",
        "urn:mace:egi.example:group:vo#aai.example.org#aai.example.org",  # two of them
        "urn:mace:egi.example:group:role=boss:vo",  # a role where a group stands
        "urn:mace:egi.example:group:vo:role=boss:team",
        "urn:mace:egi.example:group:role=boss",
        "urn:mace:egi.example:group:vo:role=",
        "urn:mace:egi.example:group:vo%3Arole%3Dboss",  # encoded, to be a role after it is decoded
        "urn:mace:egi.example:group:vo:role%3Dboss",
        "urn:mace:egi.example:group:vo;role=boss",  # as a canonical group has it
        "urn:mace:egi.example:group:vo%3Brole=boss",
        "urn:mace:egi.example:group:vo:role=member;role=boss",
        "urn:mace:egi.example:group:vo%2Fteam",  # encoded, to be a child
        "urn:mace:egi.example:group:vo/team",
        "urn:mace:egi.example:group:vo%23",
        "urn:mace:egi.example:group:vo%00",
        "urn:mace:egi.example:group:vo%0a",
        "urn:mace:egi.example:group:%ff",
        "urn:mace:egi.example:group:vo%",
        "urn:mace:egi.example:group:vo%zz",
        "urn:mace:egi.example:group:%20vo",
        "urn:mace:egi.example:group:*",
        "urn:mace:egi.example:group:",
        "urn:mace:egi.example:group",
        "urn:mace:egi.example:group::vo",
        "urn:mace:egi.example:group:vo:",
        "urn:mace:egi.example:GROUP:vo",
        "urn:mace:egi.example:res:group:vo",
        "urn:mace:egi.example::group:vo",
        "urn:mace:group:vo",
        " urn:mace:egi.example:group:vo",
        "urn:mace:egi.example:group:vo?+x",
        "urn:mace:egi.example:group:vo?=x#aai.example.org",
        "https://egi.example/group:vo",
        "vo",
        "",
        "#",
        ":",
    ],
)  # fmt: skip
def test_22_entitlements_that_are_none(value: str) -> None:
    found = login("aarc", entitlements=[value])
    assert found.groups == () and found.refusal is None
    assert list(whys(found)) == [value] and found.ignored[0].why.isprintable()


@pytest.mark.parametrize(
    "scope",
    [
        "storage.read:/home/alice/..", "storage.read:/%2e%2e", "storage.read:/john", "storage.read",
        "openid storage.modify:/", "compute.create", "wlcg.capabilityset:/cms", "host.auth", "storage.unheard:/",
    ],
)  # fmt: skip
def test_23_no_scope_is_a_group_however_it_is_written(scope: str) -> None:
    of = lab(issuer("wlcg"), cms=("lab:/cms", "lab:/home/alice", "lab:/john", "lab:/"))
    found = admission(of, claims("wlcg", scope=scope, wlcg_groups=["/cms"]))
    assert found.entitlements is not None and found.entitlements.groups == ("everyone",)


def test_24_the_groups_of_a_token_with_a_capability_count_for_nothing() -> None:
    found = login("wlcg", scope="openid wlcg.groups storage.read:/store", wlcg_groups=["/cms", "/cms/uscms"])
    assert found.groups == () and list(whys(found)) == ["/cms", "/cms/uscms"]
    assert "storage.read:/store" in whys(found)["/cms"]
    assert groups("wlcg", scope="openid profile wlcg.groups:/cms wlcg offline_access", wlcg_groups=["/cms"]) == ["/cms"]
    assert groups("plain", scope="storage.read:/", groups=["staff"]) == ["staff"], "a rule of the WLCG profile"
    refused("malformed", "wlcg", scope=["openid"], wlcg_groups=["/cms"])


@pytest.mark.parametrize(
    "iss",
    [
        "https://login.example.org", "https://LOGIN.example.org/", "http://login.example.org/",
        "https://login.example.org:443/", "https://login.example.org//", "https://login.example.org/ ",
        "https://169.254.169.254/", "", None, 7, [URL], {"iss": URL},
    ],
)  # fmt: skip
def test_an_issuer_is_its_address_letter_by_letter(iss: Any) -> None:
    refused("unknown-issuer", iss=iss)
    with pytest.raises(IdentityError) as caught:
        issuer_of(claims(iss=iss), lab(issuer()).identity)  # type: ignore[arg-type]
    assert caught.value.reason == "unknown-issuer"
    assert admit(lab(issuer()), claims(iss=iss)).refusal is not None
