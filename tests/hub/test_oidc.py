"""Login through real providers on this machine, with a real hub and proxy: who gets in, under which name, and who does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

pytest.importorskip("oauthenticator", reason="oauthenticator belongs to the newest axis")

from afkit.testing import Authority, Client, Fault, Provider
from tests.hub.conftest import MakeHub, running
from tests.hub.harness import Hub
from tests.hub.oidc import OIDC, PEOPLE, WLCG, Site, file_of, refused
from tests.hub.test_compose import fails_to_start
from tests.support.secrets import Secrets


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Provider], authority: Authority, environment: None, secrets_seen: Secrets
) -> Iterator[Site]:
    made = Hub(tmp_path_factory.mktemp("hub"), facility=file_of(providers), before=OIDC)
    for hub in running(made, secrets_seen):
        yield Site(hub, providers, authority)
    # no token may stand in what the hub has printed and published; a code may, in the proxy's own log of requests that were refused:
    # without the client's secret and the verifier in the browser's cookie it opens nothing
    secrets_seen.add(*(token for provider in providers.values() for token in provider.issued))


@pytest.fixture
def site(shared: Site) -> Site:
    """The shared one, with providers that behave, and that know nobody from an earlier test differently."""
    for name, provider in shared.providers.items():
        provider.people = {subject: dict(claims) for subject, claims in PEOPLE[name].items()}
        provider.faults, provider.edit, provider.describe, provider.skew = {}, {}, {}, 0
        provider.userinfo_only = frozenset()
    return shared


def test_people_of_three_providers_log_in(site: Site) -> None:
    ada, curie, kim = site.hub.browser(), site.hub.browser(), site.hub.browser()
    assert site.log_in("cms", "c-ada", ada).headers["location"] == "/hub/spawn"
    assert site.log_in("cern", "mcurie", curie).status_code == 302
    assert site.log_in("school", "s-1", kim).status_code == 302
    assert ada.get("/hub/home").status_code == curie.get("/hub/home").status_code == kim.get("/hub/home").status_code == 200
    found = {name: (site.user(name)["admin"], sorted(site.user(name)["groups"])) for name in ("ada", "mcurie-cern", "kim-school")}
    assert found == {
        "ada": (False, ["members", "uscms"]),
        "mcurie-cern": (True, ["members", "operators"]),
        "kim-school": (False, ["members"]),
    }


def test_a_login_leads_where_it_was_meant_to(site: Site) -> None:
    assert site.log_in("cms", "c-ada", next_url="/hub/spawn?profile=analysis").headers["location"] == "/hub/spawn?profile=analysis"
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        location = site.log_in("cms", "c-ada", next_url=elsewhere).headers["location"]
        assert urlsplit(location).netloc == "" and location.startswith("/") and not location.startswith(("//", "/\\")), location


def test_who_logged_in_may_start_what_the_groups_allow(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("cms", "c-ada", browser)
    assert site.hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    site.hub.stop_server("ada")
    # an operator has rights of the hub, and no profile
    site.log_in("cms", "c-zoe")
    assert site.user("zoe")["admin"] is True
    answer = site.hub.start_server("zoe", {"profile": "analysis"})
    assert (answer.status_code, answer.json()["reason"]) in ((403, "not-entitled"), (400, "unknown-choice"))


def test_the_login_page_gives_the_choice_and_remembers_it(site: Site) -> None:
    browser = site.hub.browser()
    page = browser.get("/hub/login", params={"next": "/hub/spawn"})
    assert page.status_code == 200 and "as last time" not in page.text
    assert all(f'href="/hub/oauth_login/{name}?next=%2Fhub%2Fspawn"' in page.text for name in ("cms", "cern", "school"))
    site.log_in("cern", "mcurie", browser)
    browser.get("/hub/logout")
    page = browser.get("/hub/login").text
    assert page.index("oauth_login/cern") < page.index("as last time") < page.index("oauth_login/cms")


def test_what_the_provider_is_asked(site: Site) -> None:
    asked = parse_qs(urlsplit(site.begin(site.hub.browser(), "cms")).query)
    assert asked["response_type"] == ["code"] and asked["code_challenge_method"] == ["S256"] and len(asked["code_challenge"][0]) == 43
    assert asked["redirect_uri"] == [f"{site.hub.url}/hub/oauth_callback/cms"] and asked["client_id"] == ["hub"]
    assert asked["scope"] == ["openid profile email offline_access wlcg.groups"]
    others = parse_qs(urlsplit(site.begin(site.hub.browser(), "cms")).query)
    assert all(asked[name] != others[name] and len(asked[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))


def test_two_tabs_do_not_disturb_each_other(site: Site) -> None:
    browser = site.hub.browser()
    first, second, third = site.begin(browser, "cms", "/hub/home"), site.begin(browser, "cern"), site.begin(browser, "cms", "/hub/token")
    assert browser.get(site.back(third, "c-ada")).headers["location"] == "/hub/token"
    assert browser.get(site.back(first, "c-ada")).headers["location"] == "/hub/home"
    assert browser.get(site.back(second, "mcurie")).status_code == 302
    for _ in range(20):
        site.begin(browser, "cms")
    kept = [cookie.name for cookie in browser.client.cookies.jar if cookie.name.startswith("afkit-login-")]
    assert len(kept) <= 6, "a browser sends its cookies with every request"


def changed(address: str, **fields: str) -> str:
    """An address with other fields in its query."""
    parts = urlsplit(address)
    query = {**{key: values[0] for key, values in parse_qs(parts.query).items()}, **fields}
    return parts._replace(query=urlencode({key: value for key, value in query.items() if value})).geturl()


def test_a_wrong_state(site: Site) -> None:
    browser = site.hub.browser()
    back = site.back(site.begin(browser, "cms"), "c-ada")
    for state in ("", "x", "é\x00", "x" * 3000):
        refused(browser.get(changed(back, state=state)), 400, "unknown-login")
    # another browser's login: somebody is to be logged in as somebody else
    refused(site.hub.browser().get(back), 400, "unknown-login", "was not begun in this browser")
    assert browser.get(back).status_code == 302
    refused(browser.get(back), 400, "unknown-login")  # an answer counts once
    assert site.hub.browser().get("/hub/home").status_code == 302


def test_a_wrong_nonce(site: Site) -> None:
    for nonce in ("another", "", None):
        site.providers["cms"].edit["id"] = lambda claims, nonce=nonce: {**claims, "nonce": nonce}
        refused(site.log_in("cms", "c-ada"), 403, "nonce")
    site.providers["cms"].edit["id"] = lambda claims: {name: value for name, value in claims.items() if name != "nonce"}
    refused(site.log_in("cms", "c-ada"), 403, "nonce")


def test_the_code_of_another_login(site: Site) -> None:
    mine, theirs = site.hub.browser(), site.hub.browser()
    code = parse_qs(urlsplit(site.back(site.begin(theirs, "cms"), "c-ada")).query)["code"][0]
    back = site.back(site.begin(mine, "cms"), "c-tom")
    refused(mine.get(changed(back, code=code)), 403, "login-over")  # PKCE: the verifier is another


def test_a_token_for_another_client(site: Site) -> None:
    for claims in (
        {"aud": "other"},
        {"aud": ["hub", "other"]},
        {"aud": ["hub", "other"], "azp": "other"},
        {"aud": "https://wlcg.cern.ch/jwt/v1/any"},
    ):
        site.providers["cms"].edit["id"] = lambda said, claims=claims: {**said, **claims}
        refused(site.log_in("cms", "c-ada"), 403, "audience")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil.example/"}, "untrusted-issuer"),
        ({"exp": 1}, "expired"),
        ({"wlcg.ver": "2.0"}, "wrong-version"),
        ({"sub": "c-zoe"}, "other-subject"),
        ({"typ": "Bearer"}, "wrong-kind"),
    ],
)
def test_tokens_that_are_not_believed(site: Site, claims: dict[str, Any], reason: str) -> None:
    site.providers["cms"].edit["id"] = lambda said: {**said, **claims}
    refused(site.log_in("cms", "c-ada"), 403, reason)


def test_a_key_that_nobody_publishes(site: Site) -> None:
    cms = site.providers["cms"]
    cms.rotate()
    assert site.log_in("cms", "c-ada").status_code == 302
    published, cms.signers = cms.signers, [type(cms.signers[0])("ES256", cms.signers[0].key_id)]
    cms.faults["jwks"] = Fault(500)
    refused(site.log_in("cms", "c-ada"), 403, "signature")
    cms.signers = published


def test_a_mixed_up_callback(site: Site) -> None:
    browser = site.hub.browser()
    cms, cern = site.begin(browser, "cms"), site.begin(browser, "cern")
    # the answer to one provider's login arrives as the other's
    back = site.back(cms, "c-ada")
    refused(browser.get(back.replace("/oauth_callback/cms", "/oauth_callback/cern")), 400, "mixed-up")
    back = changed(site.back(site.begin(browser, "cms"), "c-ada"), iss="")  # a provider that does not say who it is
    refused(browser.get(back.replace("/oauth_callback/cms", "/oauth_callback/cern")), 400, "mixed-up")
    back = site.back(cern, "mcurie")
    refused(browser.get(changed(back, iss=site.providers["cms"].issuer)), 400, "mixed-up")
    assert browser.get("/hub/oauth_callback/nobody?code=x&state=y").status_code == 404
    assert browser.get("/hub/oauth_login/nobody").status_code == 404


def test_a_name_belongs_to_the_first_who_had_it(site: Site) -> None:
    assert site.log_in("cms", "c-ada").status_code == 302
    refused(site.log_in("cms", "c-mallory"), 403, "name-taken", "belongs to somebody else")
    assert site.log_in("cms", "c-ada").status_code == 302
    # a letter's case makes another name, and another person
    assert site.log_in("cms", "c-Ada").status_code == 302
    assert site.user("Ada")["groups"] == ["members"] and sorted(site.user("ada")["groups"]) == ["members", "uscms"]


def test_nobody_is_an_administrator_by_a_name_that_they_give_themselves(site: Site) -> None:
    refused(site.log_in("cms", "c-squatter"), 403, "name-taken", "listed among the administrators")
    assert site.user("chief") == {}


def test_what_was_made_for_a_name_before_its_first_login_opens_nothing(site: Site) -> None:
    people = site.providers["cms"].people
    people["c-new"] = {**WLCG, "preferred_username": "new", "wlcg.groups": ["/cms"]}
    people["c-used"] = {**WLCG, "preferred_username": "used", "wlcg.groups": ["/cms"]}
    for name in ("new", "used"):
        assert site.hub.api("POST", f"/users/{name}").status_code == 201
    tokens = {name: site.hub.token_of(name) for name in ("new", "used")}
    # a name that nobody has used is free, and the token that was made for it ends
    assert site.log_in("cms", "c-new").status_code == 302
    assert site.user("new")["groups"] == ["members"]
    assert site.hub.api("GET", "/user", token=tokens["new"]).status_code == 403
    # one that somebody has used is theirs
    assert site.hub.api("GET", "/user", token=tokens["used"]).status_code == 200
    refused(site.log_in("cms", "c-used"), 403, "name-taken", "belonged to somebody of this hub before")
    assert site.user("used")["groups"] == []


def test_the_same_subject_of_two_providers_is_two_people(site: Site) -> None:
    assert site.log_in("cms", "same").status_code == site.log_in("cern", "same").status_code == 302
    assert site.user("sam") and site.user("sam-cern")


def test_whoever_is_called_otherwise_later_keeps_the_name(site: Site) -> None:
    assert site.log_in("cms", "c-renamed").status_code == 302
    site.providers["cms"].people["c-renamed"]["preferred_username"] = "after"
    browser = site.hub.browser()
    assert site.log_in("cms", "c-renamed", browser).status_code == 302
    assert "before" in browser.get("/hub/home").text and site.user("after") == {}
    # nobody is an operator by a name that they give themselves later
    site.providers["cms"].people["c-renamed"]["preferred_username"] = "chief"
    assert site.log_in("cms", "c-renamed").status_code == 302
    assert site.user("before")["admin"] is False


def test_who_is_in_no_group_that_may_log_in(site: Site) -> None:
    refused(site.log_in("cms", "c-tom"), 403, "not-allowed", "none of the groups")  # a child group is not its parent
    refused(site.log_in("cms", "c-eve"), 403, "not-allowed", "help@example.org")  # groups are missing
    assert site.user("tom") == site.user("eve") == {}
    with sqlite3.connect(site.hub.database) as database:
        names = {name for (name,) in database.execute("select name from afkit_logins")}
    assert not names & {"tom", "eve"}, "whoever is refused takes no name"


def test_groups_that_are_no_list(site: Site) -> None:
    refused(site.log_in("cms", "c-text"), 403, "malformed")
    refused(site.log_in("cms", "c-old"), 403, "wrong-version")


def test_groups_that_were_lost_are_lost_at_the_next_login(site: Site) -> None:
    assert site.log_in("cms", "c-ada").status_code == 302
    site.providers["cms"].people["c-ada"]["wlcg.groups"] = ["/cms"]
    assert site.log_in("cms", "c-ada").status_code == 302
    assert site.user("ada")["groups"] == ["members"]
    site.providers["cms"].people["c-ada"]["wlcg.groups"] = []
    refused(site.log_in("cms", "c-ada"), 403, "not-allowed")


def test_a_local_person_of_the_file_is_nobody_at_a_provider(site: Site) -> None:
    assert site.log_in("cms", "c-lena").status_code == 302
    assert site.user("lena")["groups"] == ["members"] and site.user("lena")["admin"] is False


def test_groups_that_stand_at_userinfo_alone(site: Site) -> None:
    site.providers["cms"].userinfo_only = frozenset({"wlcg.groups", "preferred_username"})
    assert site.log_in("cms", "c-ada").status_code == 302
    assert sorted(site.user("ada")["groups"]) == ["members", "uscms"]
    site.providers["cms"].edit["userinfo"] = lambda claims: {**claims, "sub": "c-zoe"}
    refused(site.log_in("cms", "c-ada"), 403, "other-subject")


def test_a_provider_that_says_no(site: Site) -> None:
    browser = site.hub.browser()
    back = site.back(site.begin(browser, "cms"), "nobody")
    refused(browser.get(back), 403, "provider-refused", "access_denied")
    back = changed(site.back(site.begin(browser, "cms"), "nobody"), error="<script>alert(1)</script>", error_description="<b>call 0900</b>")
    answer = browser.get(back)
    refused(answer, 403, "provider-refused")
    assert "alert(1)" not in answer.text and "0900" not in answer.text


@pytest.mark.parametrize("where", ["token", "userinfo"])
@pytest.mark.parametrize(
    "fault", [Fault(500), Fault(200, b"<html>x</html>", "text/html"), Fault(302, location="https://evil.example/"), Fault(200, b"[]")]
)
def test_a_provider_that_misbehaves_is_no_failure_of_the_hub(site: Site, where: str, fault: Fault) -> None:
    browser = site.hub.browser()
    back = site.back(site.begin(browser, "cms"), "c-ada")
    site.providers["cms"].faults[where] = fault
    refused(browser.get(back), 503, "provider")
    site.providers["cms"].faults = {}
    assert site.log_in("cms", "c-ada").status_code == 302


def test_a_provider_that_is_down_leaves_the_others(site: Site) -> None:
    site.log_in("school", "s-1")
    site.providers["school"].stop()
    try:
        browser = site.hub.browser()
        site.begin(browser, "school")  # its addresses are known
        assert site.log_in("cern", "mcurie").status_code == 302
    finally:
        site.providers["school"].start()
    assert site.log_in("school", "s-1").status_code == 302


@pytest.mark.parametrize("form", [{}, {"username": "ada", "password": "x"}, {"username": "ada"}])
def test_nobody_logs_in_by_a_form_or_by_the_api(site: Site, form: dict[str, str]) -> None:
    browser = site.hub.browser()
    browser.get("/hub/login")
    refused(browser.client.post("/hub/login", data={**form, "_xsrf": browser.xsrf()}), 403, "refused")
    assert site.hub.api("POST", "/users/ada/tokens", token="nonsense", json={"auth": form}).status_code == 403


def test_a_secret_of_the_client_that_is_wrong(site: Site) -> None:
    provider = site.providers["school"]
    provider.clients = {"hub": Client("another-secret-of-the-client", redirects=provider.clients["hub"].redirects)}
    answer = site.log_in("school", "s-1")
    refused(answer, 503, "provider", "refuses the client of this hub")
    site.__post_init__()


def test_one_provider_is_not_asked_for(make_hub: MakeHub, site: Site, environment: None, tmp_path: Path) -> None:
    text = file_of(site.providers)
    lines = text.splitlines(keepends=True)
    first, last = (
        next(i for i, line in enumerate(lines) if line.startswith("    cern:")),
        next(i for i, line in enumerate(lines) if line.startswith("groups:")),
    )
    only = "".join(lines[:first] + lines[last:]).replace('"cms:/cms", "cern:default-role", "school:physics"', '"cms:/cms"')
    only = only.replace('"cern:admins", ', "").replace('username: "{value}", ', "")
    hub = make_hub(facility=only, before=OIDC).start()
    alone = Site(hub, {"cms": site.providers["cms"]}, site.authority)
    browser = hub.browser()
    answer = browser.get("/hub/login", params={"next": "/hub/token"})
    assert answer.status_code == 302 and urlsplit(answer.headers["location"]).path == "/hub/oauth_login/cms"
    assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == ["/hub/token"]
    assert alone.log_in("cms", "c-ada", browser).status_code == 302
    # who it is, their name and groups outlive a restart; the provider's keys too
    hub.stop()
    site.providers["cms"].stop()
    try:
        hub.start()
        assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
        hub.stop_server("ada")
        assert hub.browser().get("/hub/oauth_login/cms").status_code == 302
    finally:
        site.providers["cms"].start()
    refused(alone.log_in("cms", "c-mallory"), 403, "name-taken")
    # logging out does not log in again at once
    logged_out = browser.get("/hub/logout")
    assert logged_out.status_code == 200
    site.__post_init__()
    # an issuer that leaves the file takes its people with it
    hub.facility.write_text(only.replace("    cms:\n", "    other:\n").replace('"cms:/cms', '"other:/cms'))
    answer = hub.start_server("ada", {"profile": "analysis"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "not-entitled")


def test_an_issuer_by_http_stops_the_hub(make_hub: MakeHub, providers: dict[str, Provider]) -> None:
    text = fails_to_start(make_hub(facility=file_of(providers).replace(providers["cms"].issuer, "http://127.0.0.1:1/"), before=OIDC))
    assert "AF511" in text and "by http" in text


def test_what_the_hub_keeps_of_tokens_is_encrypted(site: Site, secrets_seen: Secrets) -> None:
    site.log_in("cms", "c-ada")
    assert "auth_state" not in site.hub.api("GET", "/user", token=site.hub.token_of("ada")).json()
    content = site.hub.database.read_bytes()
    assert b"access_token" not in content and b"refresh_token" not in content
    assert not any(token.encode() in content for token in site.providers["cms"].issued)
