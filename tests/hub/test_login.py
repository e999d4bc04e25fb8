"""Login by name and password: who gets in, who not, and how often one may try."""

from __future__ import annotations

import json

import pytest

from tests.hub.conftest import MakeHub
from tests.hub.harness import Hub


@pytest.mark.oldest
def test_the_right_password_lets_in(hub: Hub) -> None:
    browser = hub.browser()
    answer = browser.log_in("ada", hub.passwords["ada"], next_url="/hub/spawn?profile=analysis")
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/spawn?profile=analysis")
    assert browser.get("/hub/home").status_code == 200


@pytest.mark.oldest
@pytest.mark.parametrize(
    "name, password", [("grace", "wrong"), ("grace", ""), ("nobody", "wrong"), ("", ""), ("noor\x00", "x"), ("../ada", "x")]
)
def test_a_wrong_name_or_password_does_not(hub: Hub, name: str, password: str) -> None:
    browser = hub.browser()
    answer = browser.log_in(name, password)
    assert answer.status_code == 403
    assert "Name and password do not belong to anybody of this facility." in answer.text
    assert browser.get("/hub/home").status_code == 302


def test_somebody_elses_password_does_not(hub: Hub) -> None:
    assert hub.browser().log_in("grace", hub.passwords["ada"]).status_code == 403


@pytest.mark.oldest
@pytest.mark.parametrize("fields", [{}, {"username": "ada"}, {"password": "x"}])
def test_half_a_login_is_a_4xx(hub: Hub, fields: dict[str, str]) -> None:
    browser = hub.browser()
    browser.get("/hub/login")
    answer = browser.client.post("/hub/login", data={**fields, "_xsrf": browser.xsrf()})
    assert answer.status_code == 400


@pytest.mark.parametrize("auth", [{"username": "ada", "password": "x"}, {"username": ["ada"]}, {}, {"username": "ada", "password": 7}])
def test_a_token_by_a_wrong_password_is_forbidden(hub: Hub, auth: object) -> None:
    answer = hub.api("POST", "/users/ada/tokens", token="nonsense", json={"auth": auth})
    assert answer.status_code == 403


def test_too_many_wrong_passwords_have_to_wait_and_others_do_not(make_hub: MakeHub) -> None:
    hub = make_hub().start()
    browser = hub.browser()
    statuses = [browser.log_in("ada", "wrong").status_code for _ in range(8)]
    assert statuses[:5] == [403] * 5 and statuses[-1] == 429
    answer = browser.log_in("ada", hub.passwords["ada"])
    assert answer.status_code == 429 and "Too many wrong passwords for this name" in answer.text
    hub.browser("grace")
    # a password that is changed counts at the next login
    file = hub.folder / "passwords.json"
    file.write_text(json.dumps({**hub.passwords, "noor": "changed-password"}))
    assert hub.browser().log_in("noor", hub.passwords["noor"]).status_code == 403
    assert hub.browser().log_in("noor", "changed-password").status_code == 302
    file.unlink()
    assert hub.browser().log_in("grace", hub.passwords["grace"]).status_code == 403


ISSUER = """
version: 1
facility: {name: hubtest, title: Test facility, contact: help@example.org}
identity: {allow: everyone, issuers: {site: {dialect: hub}}}
groups:
  bosses: {users: [zoe], admin: true}
  operators: {from: ["site:ops"], admin: true}
  members: {from: ["site:physics"]}
pools: {amd64: {arch: amd64}, arm64: {arch: arm64}}
images: {scientific: {image: "registry.example.org/scientific:1", arch: [amd64, arm64]}}
sizes: {small: {cpu: 1, memory: 1Gi}}
profiles: {analysis: {allow: [members], pools: [amd64, arm64], images: [scientific], sizes: [small]}}
"""
OWN = """
from jupyterhub.auth import DummyAuthenticator

class Provider(DummyAuthenticator):
    async def authenticate(self, handler, data):
        groups = {"carol": ["ops", "physics"], "dan": ["physics", "bosses"]}
        return {"name": data["username"], "groups": groups.get(data["username"], [])}

def noted(authenticator, handler, model):
    authenticator.log.info("own hook: %s", model["name"])
    return model

c.JupyterHub.authenticator_class = Provider
c.Authenticator.manage_groups = True
c.Authenticator.allow_all = True
c.Authenticator.post_auth_hook = noted
"""


@pytest.mark.oldest
def test_whom_the_facility_makes_an_administrator_is_one_from_the_first_login_on(make_hub: MakeHub) -> None:
    hub = make_hub(facility=ISSUER, before=OWN).start()
    for _ in range(2):  # the second login gives no more and no less
        found = {}
        for name in ("zoe", "carol", "dan"):
            assert hub.browser().log_in(name, "x").status_code == 302
            user = hub.api("GET", f"/users/{name}").json()
            found[name] = (user["admin"], sorted(user["groups"]))
        assert found == {
            "zoe": (True, ["bosses"]),
            "carol": (True, ["members", "operators", "ops", "physics"]),
            # a provider's group is none of the facility's because it has its name
            "dan": (False, ["members", "physics"]),
        }
    assert "own hook: dan" in hub.printed()


@pytest.mark.oldest
def test_who_is_in_no_group_that_may_log_in_stays_out_of_a_hub_with_its_own_authenticator(make_hub: MakeHub) -> None:
    hub = make_hub(facility=ISSUER.replace("allow: everyone, issuers", "allow: [members, bosses], issuers"), before=OWN).start()
    answer = hub.browser().log_in("erin", "x")
    assert (answer.status_code, answer.headers["x-afkit-reason"]) == (403, "not-allowed")
    assert "none of the groups that may log in" in answer.text and "help@example.org" in answer.text
    assert hub.api("GET", "/users/erin").status_code == 404
    for name in ("carol", "dan", "zoe"):
        assert hub.browser().log_in(name, "x").status_code == 302
