"""One set of claims of each kind of provider, and what is made of it: golden files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from afkit.errors import IdentityError
from afkit.facility.load import load_facility
from afkit.pods.person import person_of
from afkit.policy.claims import admit, read_login

HERE = Path(__file__).parent
FACILITY = load_facility(HERE / "providers.yaml")
SETS = sorted(path.stem for path in (HERE / "sets").glob("*.json"))


@pytest.mark.parametrize("name", SETS)
def test_what_is_made_of_what_a_provider_says(name: str, golden: Callable[[str, str], None]) -> None:
    claims = json.loads((HERE / "sets" / f"{name}.json").read_text())
    found = admit(FACILITY, claims)
    told = {
        "login": asdict(found.login),
        "groups": found.entitlements and list(found.entitlements.groups),
        "ignored": [one.why for one in found.ignored],
        "refused": found.refusal and found.refusal.reason,
    }
    golden(f"{name}.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", SETS)
def test_nothing_of_one_provider_is_read_as_another_s(name: str) -> None:
    claims = json.loads((HERE / "sets" / f"{name}.json").read_text())
    assert FACILITY.identity is not None
    for issuer in FACILITY.identity.issuers.values():
        login = read_login(claims, issuer, FACILITY.identity)
        if issuer.url == claims["iss"]:
            assert login.key
        else:
            assert login.refusal is not None and login.refusal.reason == "unknown-issuer" and not login.groups


@pytest.mark.parametrize("name", SETS)
def test_a_login_has_the_ids_that_its_pods_will_have(name: str) -> None:
    claims = json.loads((HERE / "sets" / f"{name}.json").read_text())
    found = admit(FACILITY, claims)
    if found.refusal is not None:
        with pytest.raises(IdentityError) as caught:
            found.identity()
        assert caught.value.reason == found.refusal.reason
        return
    assert found.entitlements is not None and found.login.ids is not None
    person = person_of(FACILITY, found.identity(), found.entitlements, claims)
    ids = found.login.ids
    assert (person.uid, person.gid, person.fs_gid, person.groups, person.root) == (ids.uid, ids.gid, ids.fs_gid, ids.groups, ids.root)
    assert person.issuer == claims["iss"] and person.key == found.login.key
