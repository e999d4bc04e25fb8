"""Issuers and claims by hand, for single rules."""

from __future__ import annotations

from typing import Any

from afkit.facility.model import Facility, Group, IdentityRules, Issuer, RunAs
from afkit.policy.claims import Admission, Login, Refusal, admit, read_login
from tests.unit.policy.facilities import facility

URL = "https://login.example.org/"
BASE: dict[str, dict[str, Any]] = {
    "wlcg": {"wlcg.ver": "1.0"},
    "aarc": {},
    "keycloak": {},
    "cilogon": {},
    "plain": {},
    "hub": {},
}
ACCEPTED = ("aai.example.org", "urn:mace:egi.example")


def issuer(dialect: str = "plain", **more: Any) -> Issuer:
    given: dict[str, Any] = {"url": None if dialect == "hub" else URL, "client_id": "hub-client"}
    given["key_claim"] = None if dialect == "aarc" else "sub"
    if dialect == "aarc":
        given["authorities"] = ACCEPTED
    return Issuer("lab", dialect, **{**given, **more})


def claims(dialect: str = "plain", **more: Any) -> dict[str, Any]:
    """Claims that nothing is wrong with; ``more`` over them, where ``_`` in ``wlcg_groups`` and the like is a point."""
    if dialect == "hub":
        return {"name": "ada", **more}
    more = {name.replace("wlcg_", "wlcg."): value for name, value in more.items()}
    return {"iss": URL, "sub": "key-1", "preferred_username": "ada", **BASE[dialect], **more}


def login(dialect: str = "plain", of: Issuer | None = None, rules: IdentityRules | None = None, **more: Any) -> Login:
    return read_login(claims(dialect, **more), of or issuer(dialect), rules or IdentityRules())


def groups(dialect: str = "plain", of: Issuer | None = None, **more: Any) -> list[str]:
    """The groups without the issuer; nothing is refused."""
    found = login(dialect, of, **more)
    assert found.refusal is None, found.refusal
    assert all(group.startswith("lab:") for group in found.groups)
    return [group.removeprefix("lab:") for group in found.groups]


def refused(reason: str, dialect: str = "plain", of: Issuer | None = None, rules: IdentityRules | None = None, **more: Any) -> Refusal:
    """The refusal of claims, which is for this reason and fit to be shown."""
    found = login(dialect, of, rules, **more).refusal
    assert found is not None
    assert found.reason == reason, found
    assert found.message.isprintable() and found.message.endswith(".") and found.message.replace("…", "").isascii(), found
    assert found.hint.isprintable() and len(found.message) < 400
    return found


def whys(found: Login) -> dict[str, str]:
    return {one.value: one.why for one in found.ignored}


def lab(*of: Issuer, allow: tuple[str, ...] = ("everyone",), run_as: RunAs | None = None, **sources: tuple[str, ...]) -> Facility:
    """A facility with these issuers; keywords are groups and their ``from``."""
    made = {name.replace("_", "-"): Group(name.replace("_", "-"), given) for name, given in sources.items()}
    rules = IdentityRules(allow=allow, issuers={each.name: each for each in of}, run_as=run_as or RunAs())
    return facility(groups=made, identity=rules)


def admission(of: Facility, told: Any, issuer: str | None = None) -> Admission:
    return admit(of, told, issuer)
