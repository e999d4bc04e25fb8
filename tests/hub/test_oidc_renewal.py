"""Logins that go on: groups follow the provider, many requests renew once, outages and kills of the hub end nothing, revocations do."""

from __future__ import annotations

import concurrent.futures
import sqlite3
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("oauthenticator", reason="oauthenticator belongs to the newest axis")

from afkit.testing import Authority, Fault, Provider
from tests.hub.conftest import MakeHub
from tests.hub.harness import until
from tests.hub.oidc import OIDC, PEOPLE, Site, file_of, refused
from tests.support.secrets import Secrets

QUICK = OIDC + "c.AfkitOIDCAuthenticator.auth_refresh_age = 1\n"


@pytest.fixture
def site(
    make_hub: MakeHub,
    providers: dict[str, Provider],
    authority: Authority,
    environment: None,
    secrets_seen: Secrets,
) -> Iterator[Site]:
    """A hub whose logins are old after a second. ``before`` takes effect at the providers, not at the hub."""
    for name, provider in providers.items():
        provider.people = {subject: dict(claims) for subject, claims in PEOPLE[name].items()}
        provider.faults, provider.edit = {}, {}
    text = file_of(providers).replace("  allow: [members", "  refresh: 1s\n  outage: 1h\n  allow: [members")
    hub = make_hub(facility=text, before=QUICK).start()
    yield Site(hub, providers, authority)
    secrets_seen.add(*(token for provider in providers.values() for token in provider.issued))


def renewals(provider: Provider) -> int:
    """How often its token endpoint was asked."""
    return provider.asked.count("POST /token")


def groups_follow(site: Site, name: str, groups: list[str]) -> None:
    """Wait until the hub has noticed, by a request of the person's own."""
    token = site.hub.token_of(name)
    until(lambda: sorted(site.hub.api("GET", "/user", token=token).json()["groups"]) == groups, 30, f"the groups of {name} are {groups}")


def verified(site: Site, name: str) -> float:
    with sqlite3.connect(site.hub.database) as database:
        (found,) = database.execute("select verified from afkit_logins where name = ?", (name,)).fetchone()
    return float(found)


def test_groups_follow_the_provider_without_a_new_login(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("cms", "c-ada", browser)
    site.providers["cms"].people["c-ada"]["wlcg.groups"] = ["/cms"]
    groups_follow(site, "ada", ["members"])
    site.providers["cms"].people["c-ada"]["wlcg.groups"] = ["/cms", "/cms/uscms"]
    groups_follow(site, "ada", ["members", "uscms"])
    assert browser.get("/hub/home").status_code == 200
    # the refresh token was rotated each time, and each was kept
    assert site.providers["cms"].grants.live() == 1


def test_twenty_requests_at_once_renew_once(site: Site) -> None:
    site.log_in("cern", "mcurie")
    token = site.hub.token_of("mcurie-cern")
    cern = site.providers["cern"]
    before = verified(site, "mcurie-cern")
    until(lambda: time.time() > before + 1.5, 10, "the login is old")
    cern.faults["token"] = Fault(delay=1)
    asked = renewals(cern)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: site.hub.api("GET", "/user", token=token).status_code, range(20)))
    assert answers == [200] * 20
    assert renewals(cern) - asked == 1
    assert verified(site, "mcurie-cern") > before and cern.grants.live() == 1


def test_an_outage_ends_nothing_that_runs(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("school", "s-1", browser)
    assert site.hub.start_server("kim-school", {"profile": "analysis"}).status_code == 201
    (process,) = site.hub.processes()[:1]
    own = process.environ()["JUPYTERHUB_API_TOKEN"]
    before = verified(site, "kim-school")
    for fault in (Fault(500), Fault(200, b"<html>", "text/html"), Fault(401), Fault(302, location="https://evil.example/")):
        site.providers["school"].faults["token"] = fault
        seen = renewals(site.providers["school"])
        until(lambda: browser.get("/hub/home").status_code == 200 and renewals(site.providers["school"]) > seen, 10, "it was asked")  # noqa: B023  # at once
        assert site.hub.api("GET", "/user", token=own).status_code == 200
        answer = site.hub.api("POST", "/users/kim-school/activity", token=own, json={"last_activity": "2026-01-01T00:00:00Z"})
        assert answer.status_code == 200
    # the token is renewed, and nothing is said of the person: the new one is kept all the same
    for _ in range(2):
        site.providers["school"].faults = {"userinfo": Fault(500)}
        seen = renewals(site.providers["school"])
        until(lambda: browser.get("/hub/home").status_code == 200 and renewals(site.providers["school"]) > seen, 10, "it was asked")  # noqa: B023  # at once
    site.providers["school"].faults = {}
    until(lambda: browser.get("/hub/home").status_code == 200 and verified(site, "kim-school") > before, 20, "it is confirmed again")
    site.hub.stop_server("kim-school")


def test_a_provider_that_took_another_s_place_gets_no_token_and_gives_no_group(site: Site) -> None:
    site.log_in("cms", "c-ada")
    token, before = site.hub.token_of("ada"), verified(site, "ada")
    cms, school = site.providers["cms"], site.providers["school"]
    asked = renewals(cms), renewals(school)
    text = site.hub.facility.read_text()
    swapped = text.replace(cms.issuer, "THIRD").replace(school.issuer, cms.issuer).replace("THIRD", school.issuer)
    site.hub.facility.write_text(swapped)
    try:
        begins = lambda: site.hub.browser().get("/hub/oauth_login/cms").headers["location"]  # noqa: E731
        until(lambda: begins().startswith(school.issuer.rstrip("/")), 20, "the file counts")
        until(lambda: time.time() > before + 2, 10, "the login is old")
        assert site.hub.api("GET", "/user", token=token).status_code == 200
        assert site.hub.start_server("ada", {"profile": "analysis"}).status_code == 403
        assert (renewals(cms), renewals(school)) == asked
    finally:
        site.hub.facility.write_text(text)


def aged(site: Site, name: str, seconds: float) -> None:
    """Stop the hub, and start it again with a login that was verified so long ago."""
    site.hub.stop()
    with sqlite3.connect(site.hub.database) as database:
        database.execute("update afkit_logins set verified = ? where name = ?", (time.time() - seconds, name))
    site.hub.start()


def test_in_an_outage_nothing_new_begins_and_afterwards_it_does(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("cms", "c-ada", browser)
    site.providers["cms"].faults["token"] = Fault(500)
    aged(site, "ada", 600)
    answer = site.hub.start_server("ada", {"profile": "analysis"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "not-entitled")
    assert "What runs goes on." in answer.json()["message"]
    assert browser.get("/hub/home").status_code == 200
    site.providers["cms"].faults = {}
    assert site.hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    site.hub.stop_server("ada")
    # and after the longest outage people log in again
    site.providers["cms"].faults["token"] = Fault(500)
    aged(site, "ada", 2 * 3600)
    answer = browser.get("/hub/home")
    assert answer.status_code == 302 and "login" in answer.headers["location"]
    site.providers["cms"].faults = {}


def test_a_login_that_the_provider_has_ended_is_over(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("cms", "c-ada", browser)
    token = site.hub.token_of("ada")
    site.providers["cms"].grants.end_all("c-ada")
    until(lambda: site.hub.api("GET", "/user", token=token).json()["groups"] == [], 20, "it is noticed")
    until(lambda: browser.get("/hub/home").status_code == 302, 10, "the login is over")
    answer = site.hub.start_server("ada", {"profile": "analysis"})
    assert (answer.status_code, answer.json()["reason"]) in ((403, "not-entitled"), (400, "unknown-choice"))
    assert site.log_in("cms", "c-ada", browser).status_code == 302
    assert site.hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    site.hub.stop_server("ada")


def test_whoever_loses_the_last_group_that_may_log_in_is_out(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("cms", "c-ada", browser)
    site.providers["cms"].people["c-ada"]["wlcg.groups"] = []
    until(lambda: browser.get("/hub/home").status_code == 302, 20, "the login is over")
    refused(site.log_in("cms", "c-ada", browser), 403, "not-allowed")
    assert site.user("ada")["groups"] == []


def test_a_hub_that_is_killed_while_it_renews(site: Site) -> None:
    browser = site.hub.browser()
    site.log_in("cms", "c-ada", browser)
    cms = site.providers["cms"]
    token = site.hub.token_of("ada")
    before = verified(site, "ada")
    until(lambda: time.time() > before + 1.5, 10, "the login is old")
    # the provider has rotated the token, and the hub never hears of the new one
    seen = renewals(cms)
    cms.lose = 20
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(site.hub.api, "GET", "/user", token=token)  # it is never answered
        until(lambda: renewals(cms) > seen, 20, "it renews")
        site.hub.kill()
    cms.lose = 0
    site.hub.start()
    # the old token is tried once more, the provider takes that for a theft: the person logs in again, and nothing else happens
    until(lambda: browser.get("/hub/home").status_code == 302, 20, "the login is over")
    assert "A renewal of ada was begun and never ended" in site.hub.printed()
    assert site.log_in("cms", "c-ada", browser).status_code == 302
    assert browser.get("/hub/home").status_code == 200


def test_without_a_refresh_token_a_login_lasts_as_long_as_an_outage(site: Site) -> None:
    browser = site.hub.browser()
    cern = site.providers["cern"]
    cern.refreshes = False
    try:
        site.log_in("cern", "mcurie", browser)
        seen = renewals(cern)
        aged(site, "mcurie-cern", 600)
        assert browser.get("/hub/home").status_code == 200 and renewals(cern) == seen
        assert site.hub.start_server("mcurie-cern", {"profile": "analysis"}).status_code == 201
        site.hub.stop_server("mcurie-cern")
        aged(site, "mcurie-cern", 2 * 3600)
        assert browser.get("/hub/home").status_code == 302
    finally:
        cern.refreshes = True
