"""Properties of whatever JSON there is: nothing raises, and nothing is a member of a group by accident."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from afkit.errors import IdentityError
from afkit.facility.model import Facility, IdentityRules, Issuer, RunAs
from afkit.policy.claims import REASONS, admit, issuer_of, read_login
from afkit.policy.claims.aarc import entitlement_group
from tests.unit.policy.claims.logins import ACCEPTED, BASE, URL, issuer, lab

DIALECTS = tuple(BASE)
NAMES = [
    "iss", "sub", "aud", "azp", "client_id", "voperson_id", "preferred_username", "eppn", "email", "email_verified", "idp", "acr",
    "eduperson_assurance", "scope", "wlcg.ver", "wlcg.groups", "groups", "entitlements", "eduperson_entitlement", "isMemberOf",
    "affiliation", "resource_access", "roles", "hub-client", "name", "posix.uid", "posix", "uid"
]  # fmt: skip
TEXTS = (
    URL, "1.0", "ada", "key-1", "ada@lab.example", "/cms", "staff", "https://idp.lab.example/x", "urn:mace:egi.example:group:vo", "4711",
    "", "*", "@", "\ud800", "\x00", "é", "a" * 256, "/cms\n", "storage.read:/", "member@lab.example;x",
    "urn:mace:egi.example:res:x#aai.example.org"
)  # fmt: skip
OTHERS = (None, True, False, 0, 7, 4711, -1, 2**70, 1.5, float("inf"), float("nan"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def any_json(random: Random, depth: int = 0) -> Any:
    """A value that a provider might send, or an attacker."""
    kind = random.random()
    if depth < 3 and kind < 0.2:
        return [any_json(random, depth + 1) for _ in range(random.randrange(4))]
    if depth < 3 and kind < 0.35:
        return {random.choice(NAMES): any_json(random, depth + 1) for _ in range(random.randrange(4))}
    if kind < 0.9:
        text = random.choice(TEXTS)
        return text if kind < 0.8 else "".join(random.choice(text + "a/:@;=%\u200b") for _ in range(8))
    return random.choice(OTHERS)


def nearly_right(random: Random) -> dict[str, Any]:
    """Claims of which most are as they should be, so that what comes after the first is looked at as well."""
    told: dict[str, Any] = {"iss": URL, "sub": "key-1", "wlcg.ver": "1.0", "idp": "https://idp.lab.example/x", "name": "ada"}
    told |= {"preferred_username": "ada@lab.example", "eppn": "ada@lab.example", "posix.uid": 4711}
    for _ in range(random.randrange(5)):
        told[random.choice(NAMES)] = any_json(random)
    return told


def of(dialect: str) -> Facility:
    """A facility that looks at every claim that there is."""
    each = issuer(
        dialect,
        username_claim="eppn" if dialect == "cilogon" else "preferred_username",
        require={"domain": ("lab.example",)}
        if dialect == "plain"
        else {"idp": ("https://idp.lab.example/x",)}
        if dialect == "cilogon"
        else {},
        run_as=RunAs(uid="posix.uid") if dialect == "keycloak" else RunAs(),
    )
    return lab(each, allow=("staff",), staff=("lab:staff", "lab:/cms"), all=("lab:*",))


FACILITIES = {dialect: of(dialect) for dialect in DIALECTS}


def only(facility: Facility) -> tuple[Issuer, IdentityRules]:
    assert facility.identity is not None
    return facility.identity.issuers["lab"], facility.identity


@pytest.mark.parametrize("dialect", DIALECTS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_whatever_a_provider_sends_is_a_login_or_a_refusal(dialect: str, seed: int) -> None:
    random = Random(seed)
    for _ in range(50):
        look(dialect, nearly_right(random))


def test_logins_are_among_them_and_refusals_of_nearly_every_kind() -> None:
    """Else the property would say nothing."""
    random = Random(1)
    found = [admit(FACILITIES[dialect], nearly_right(random)).login.refusal for dialect in DIALECTS for _ in range(1000)]
    reasons = {refusal.reason if refusal else "" for refusal in found}
    assert reasons > {"", "malformed", "unknown-issuer", "no-key", "bad-name", "no-id", "require-domain", "require-idp", "wrong-version"}


@pytest.mark.parametrize("dialect", DIALECTS)
@given(told=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6) | JSON)
@settings(max_examples=30)
def test_any_json_is_a_login_or_a_refusal(dialect: str, told: Any) -> None:
    look(dialect, told)


def look(dialect: str, told: Any) -> None:
    """Nothing raises; a login is fit to be used, and a refusal to be shown."""
    facility = FACILITIES[dialect]
    each, rules = only(facility)
    login = read_login(told, each, rules)
    found = admit(facility, told)
    try:
        assert issuer_of(told, rules) is each
    except IdentityError as error:
        assert error.reason in REASONS and found.refusal is not None
    shown = [*(one.why for one in found.ignored), login.key, login.name]
    if login.refusal is not None:
        assert login.refusal.reason in REASONS
        shown += [login.refusal.message, login.refusal.hint]
    else:
        who = login.identity()
        assert who.name.isascii() and who.name and "/" not in who.name and who.key
        assert all(group.startswith("lab:") for group in who.claim_groups)
    assert all(text.isprintable() and len(text) < 700 for text in shown)
    # what is printed can be encoded
    json.dumps([[one.value, one.why] for one in found.ignored], ensure_ascii=False).encode()


WLCG = st.from_regex(r"\A(/[a-zA-Z0-9][a-zA-Z0-9_.-]{0,3}){1,3}\Z")
VARIED: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "slash after": lambda text: f"{text}/",
    "slash before": lambda text: f"/{text}",
    "no slash": lambda text: text.lstrip("/"),
    "slashes twice": lambda text: text.replace("/", "//"),
    "slashes encoded": lambda text: text.replace("/", "%2F"),
    "last word": lambda text: text.rpartition("/")[2],
    "parent": lambda text: text.rpartition("/")[0],
    "child": lambda text: f"{text}/x",
    "space": lambda text: f"{text} ",
    "line": lambda text: f"{text}\n",
    "nul": lambda text: f"{text}\x00",
    "issuer": lambda text: f"lab:{text}",
    "role": lambda text: f"{text};role=x",
}


def granted(facility: Facility, **told: Any) -> Iterable[str]:
    found = admit(facility, {"iss": URL, "sub": "key-1", "wlcg.ver": "1.0", **told})
    assert found.entitlements is not None
    return found.entitlements.groups


@pytest.mark.parametrize(("dialect", "claim"), [("wlcg", "wlcg.groups"), ("plain", "groups"), ("cilogon", "isMemberOf")])
@given(group=WLCG, how=st.sampled_from(sorted(VARIED)))
@settings(max_examples=80)
def test_a_group_is_itself_and_no_variation_of_it(dialect: str, claim: str, group: str, how: str) -> None:
    changed = VARIED[how](group)
    facility = lab(issuer(dialect), mine=(f"lab:{group}",))
    assert "mine" in granted(facility, **{claim: [group]})
    assert ("mine" in granted(facility, **{claim: [changed]})) == (changed == group)


@given(mine=WLCG, sources=st.lists(st.tuples(st.sampled_from(["lab", "other", "lab2", "LAB", "la", ""]), WLCG), min_size=1, max_size=4))
def test_a_group_of_another_issuer_is_another_group(mine: str, sources: list[tuple[str, str]]) -> None:
    facility = lab(issuer("wlcg"), mine=tuple(f"{name}:{group}" for name, group in sources))
    assert ("mine" in granted(facility, **{"wlcg.groups": [mine]})) == (("lab", mine) in sources)


SEGMENT = st.text("abAB0.-_/;:%#=+ é*\x00", min_size=1, max_size=5) | st.sampled_from(
    ["role=boss", "role=member", "group", "%2F", "%3Arole%3Dboss"]
)


def encoded(text: str) -> str:
    return "".join(one if re.match(r"[A-Za-z0-9._-]", one) else "".join(f"%{byte:02X}" for byte in one.encode()) for one in text)


@given(names=st.lists(SEGMENT, min_size=1, max_size=3), role=st.none() | SEGMENT)
@example(names=["vo"], role="boss;role=member")
def test_no_two_memberships_are_written_as_one_group(names: list[str], role: str | None) -> None:
    """What was encoded name by name comes back name by name, or not at all."""
    value = ":".join(["urn:mace:egi.example:group", *map(encoded, names), *(() if role is None else (f"role={encoded(role)}",))])
    group, why = entitlement_group(value, ACCEPTED)
    if why:
        assert any(
            set(name) & set("/;:#\x00") or name.strip() != name or name in ("*",) or name.startswith("role=")
            for name in [*names, role or ""]
        )
        return
    path, _, found = group.partition(";role=")
    assert path.split("/") == names
    assert found == ("" if role in (None, "member") else role)


@given(value=st.text("urnmaceigopl.:#%/=;AB0 ", max_size=60) | st.text(max_size=20))
def test_an_entitlement_that_is_no_entitlement_is_ignored(value: str) -> None:
    group, why = entitlement_group(value, ACCEPTED)
    assert bool(group) != bool(why)
    assert why.isprintable()
    if group:
        assert value.lower().startswith("urn:mace:") and value.split(":")[2:4] == ["egi.example", "group"]
