"""Who gets what: by form, link, REST, stored and saved options; and what is published of every decision."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import pytest

from afkit.hub.events import DECISION, schema
from tests.hub.anyhub import AnyHub, until

WHAT = ("a profile", "a size", "an image", "an image's reference")
"""Kinds of what grace may have and ada not."""


@pytest.fixture
def ada(hub: AnyHub) -> str:
    return hub.token_of("ada")


@pytest.mark.oldest
@pytest.mark.parametrize("what", WHAT)
def test_ada_cannot_get_what_only_grace_may_have_by_any_path(hub: AnyHub, ada: str, what: str) -> None:
    options, reason = hub.facts.only_grace[what]
    browser = hub.browser("ada")
    administrator = hub.browser("root-of-all")  # whom a first login makes one
    before = hub.stored()
    seen = {
        "form": browser.submit("/hub/spawn", options),
        "form of one's name": browser.submit("/hub/spawn/ada", options),
        "link": browser.get("/hub/spawn", params=options),
        "link as JupyterHub 6 writes it": browser.get("/hub/spawn", params={f"opt-{key}": value for key, value in options.items()}),
        "REST": hub.api("POST", "/users/ada/server", token=ada, json=options),
        "REST, JupyterHub 6": hub.api("POST", "/users/ada/server", token=ada, json={"user_options": options}),
        "REST, named": hub.api("POST", "/users/ada/servers/second", token=ada, json=options),
        "REST, with a browser's cookie": browser.client.post(
            "/hub/api/users/ada/server", json=options, headers={"X-XSRFToken": browser.xsrf()}
        ),
        "an administrator": hub.api("POST", "/users/ada/server", json=options),
        "an administrator's form": administrator.submit("/hub/spawn/ada", options),
    }  # fmt: skip
    for path, answer in seen.items():
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
        assert answer.headers["X-Afkit-Reason"] == reason, (path, answer.text[-500:])
    for method, path in (("PUT", "/users/ada/servers/second"), ("PATCH", "/users/ada/servers/")):
        answer = hub.api(method, path, token=ada, json={"user_options": options})
        assert answer.headers["X-Afkit-Reason"] in (reason, "method-not-allowed")
    assert hub.stored() == before
    assert not hub.running()
    asked = f"Ask {hub.facts.contact}."
    assert asked in (seen["form"].text if reason == "not-entitled" else asked)


def test_grace_gets_what_she_may_have(hub: AnyHub) -> None:
    token = hub.token_of("grace")
    options = {"profile": "analysis", "size": "large", "image": "registry.example.org/groups/hers:1", "interface": "tree"}
    assert hub.start_server("grace", {"user_options": options}, token=token).status_code == 201
    server = hub.server("grace")
    assert server is not None
    assert server["state"]["afkit"]["running"]["chosen"] == {**options, "pool": "amd64"}
    assert server["user_options"] == options
    hub.stop_server("grace")


@pytest.mark.oldest
def test_a_form_starts_the_server_and_leads_to_next(hub: AnyHub) -> None:
    browser = hub.browser("ada")
    answer = browser.submit(
        "/hub/spawn", {"profile": "analysis", "pool": "amd64", "analysis.size": "small"}, params={"next": "/user/ada/git-pull?repo=x%26y"}
    )
    assert answer.status_code == 302
    # where the pending page goes when the server is there
    assert answer.headers["location"].startswith("/hub/spawn-pending/ada?next=%2Fuser%2Fada%2Fgit-pull%3Frepo%3Dx%2526y")
    until(lambda: (server := hub.server("ada")) and server["ready"], hub.patience, "the server is ready")
    after = browser.get(answer.headers["location"])
    assert (after.status_code, after.headers["location"]) == (302, "/user/ada/git-pull?repo=x%26y")
    hub.stop_server("ada")
    assert hub.saved("ada") == {"profile": "analysis", "pool": "amd64", "size": "small"}


@pytest.mark.oldest
def test_a_link_fills_the_form_and_starts_nothing(hub: AnyHub) -> None:
    browser = hub.browser("grace")
    for prefix in ("", "opt-"):
        answer = browser.get(f"/hub/spawn?{prefix}profile=training&{prefix}interface=&next=/user/grace/lab/tree/a.ipynb")
        assert answer.status_code == 200
        assert "next=/user/grace/lab/tree/a.ipynb" in answer.text.replace("%2F", "/")
        checked = [line for line in answer.text.splitlines() if 'name="profile"' in line and "checked" in line]
        assert len(checked) == 1 and 'value="training"' in checked[0]
    named = browser.get("/hub/spawn/grace/extra?display_name=My%20own&profile=training")
    assert named.status_code == 200
    assert not hub.running() and hub.server("grace", "extra") is None


def test_where_nothing_is_left_to_choose_the_server_starts(hub: AnyHub) -> None:
    browser = hub.browser("noor")
    shown = browser.get("/hub/spawn?profile=lesson")
    assert shown.status_code == 200 and "spawn_form" in shown.text, "a link never starts anything"
    assert not hub.running()
    answer = browser.get("/hub/spawn")
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/spawn-pending/noor")
    until(lambda: (server := hub.server("noor")) and server["ready"], hub.patience, "the server is ready")
    hub.stop_server("noor")


@pytest.mark.oldest
def test_who_may_have_nothing_is_told_so(hub: AnyHub) -> None:
    answer = hub.browser("root-of-all").get("/hub/spawn")
    assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (403, "not-entitled")
    assert "help@example.org" in answer.text
    answer = hub.api("POST", "/users/root-of-all/server", token=hub.token_of("root-of-all"))
    assert (answer.status_code, answer.json()["reason"]) == (403, "not-entitled")


def test_an_administrator_starts_for_somebody_and_the_event_says_so(hub: AnyHub) -> None:
    browser = hub.browser("root-of-all")
    page = browser.get("/hub/spawn/grace")
    assert page.status_code == 200 and "Training" in page.text
    assert browser.submit("/hub/spawn/grace", {"profile": "training"}).status_code == 302
    until(lambda: (server := hub.server("grace")) and server["ready"], hub.patience, "the server is ready")
    event = hub.events_of(DECISION)[-1]
    assert {key: event[key] for key in ("user", "requester", "requester_kind", "via", "granted", "gate")} == {
        "user": "grace", "requester": "root-of-all", "requester_kind": "user", "via": "form", "granted": True, "gate": "route",
    }  # fmt: skip
    assert event["selection"]["profile"] == "training"
    hub.stop_server("grace")


@pytest.mark.oldest
def test_nobody_starts_a_server_for_somebody_else(hub: AnyHub, ada: str) -> None:
    before = len(hub.events_of(DECISION))
    answer = hub.api("POST", "/users/grace/server", token=ada, json={"profile": "analysis"})
    assert answer.status_code in (403, 404)
    assert hub.browser("ada").submit("/hub/spawn/grace", {"profile": "training"}).status_code in (403, 404)
    assert len(hub.events_of(DECISION)) == before, "what nobody may ask is no decision"


@pytest.mark.oldest
def test_who_is_nobody_of_the_facility_gets_no_server(hub: AnyHub) -> None:
    assert hub.api("POST", "/users/stranger").status_code == 201
    answer = hub.api("POST", "/users/stranger/server", json={"profile": "analysis"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "not-entitled")
    assert hub.api("DELETE", "/users/stranger").status_code == 204


def test_limits_count_what_runs_and_what_starts(hub: AnyHub) -> None:
    """Of several at the same time no more are granted than the limits leave: two."""
    user, options = hub.facts.twice
    token = hub.token_of(user)

    def start(name: str) -> int:
        return hub.api("POST", f"/users/{user}/servers/{name}", token=token, json=options).status_code

    with ThreadPoolExecutor(5) as pool:
        statuses = sorted(pool.map(start, ("", "one", "two", "three", "four")))
    assert statuses in ([201, 201, 403, 403, 403], [201, 202, 403, 403, 403], [202, 202, 403, 403, 403]), statuses
    refused = hub.api("POST", f"/users/{user}/servers/five", token=token, json=options)
    assert (refused.status_code, refused.json()["reason"]) == (403, "limit-exceeded")
    running = [name for name in ("", "one", "two", "three", "four") if hub.server(user, name)]
    assert len(running) == 2
    for name in running:
        until(lambda name=name: (server := hub.server(user, name)) is None or server["ready"], hub.patience, "it is ready")
        hub.stop_server(user, name)
    assert hub.start_server(user, options, token=token).status_code == 201, "what has ended is counted no longer"
    hub.stop_server(user)
    hub.forget_servers(user)


@pytest.mark.oldest
def test_a_named_server_too_many_is_a_limit_also_without_a_choice(hub: AnyHub) -> None:
    token = hub.token_of("grace")
    hub.forget_servers("grace")
    answers = [hub.api("PUT", f"/users/grace/servers/{name}", token=token) for name in ("one", "two", "three")]
    if answers[0].status_code == 405:
        pytest.skip("JupyterHub 5 has no servers that are made and not started")
    assert [answer.status_code for answer in answers] == [201, 201, 403]
    assert (answers[2].json()["reason"], answers[2].headers["X-Afkit-Reason"]) == ("limit-exceeded", "limit-exceeded")
    hub.forget_servers("grace")


def test_the_form_says_that_a_limit_is_reached(hub: AnyHub, ada: str) -> None:
    assert hub.start_server("ada", {"profile": "analysis"}, token=ada).status_code == 201
    page = hub.browser("ada").get("/hub/spawn/ada/second")
    assert (page.status_code, page.headers["X-Afkit-Reason"]) == (403, "limit-exceeded")
    assert "spawn_form" in page.text
    hub.stop_server("ada")


@pytest.mark.oldest
def test_the_same_server_cannot_be_started_twice_at_once(hub: AnyHub, ada: str) -> None:
    def start(_: int) -> int:
        return hub.api("POST", "/users/ada/server", token=ada, json={"profile": "analysis"}).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(start, range(4)))
    assert statuses[0] in (201, 202) and all(status in (201, 202, 400, 409) for status in statuses)
    until(lambda: (server := hub.server("ada")) and server["ready"], hub.patience, "the server is ready")
    assert len(hub.running()) == 1
    again = hub.api("POST", "/users/ada/server", token=ada, json={"profile": "analysis"})
    assert (again.status_code, again.json()["reason"], again.headers["X-Afkit-Reason"]) == (400, "already-running", "already-running")
    hub.stop_server("ada")


def test_what_is_sent_while_the_server_starts_is_judged_too(hub: AnyHub, ada: str) -> None:
    thread = threading.Thread(target=lambda: hub.api("POST", "/users/ada/server", token=ada, json={"profile": "analysis"}))
    thread.start()
    until(hub.running, hub.patience, "the server is being started")
    refused = hub.api("POST", "/users/ada/server", token=ada, json={"profile": "training"})
    other = hub.api("POST", "/users/ada/server", token=ada, json=hub.facts.another)
    same = hub.api("POST", "/users/ada/server", token=ada, json={"profile": "analysis"})
    thread.join()
    assert (refused.status_code, refused.json()["reason"]) == (403, "not-entitled")
    assert (other.status_code, other.json()["reason"]) == (400, "already-running")
    assert same.status_code in (202, 400), same.text
    hub.stop_server("ada")


@pytest.mark.oldest
def test_what_is_no_choice_at_all_is_a_decision_too_and_no_secret_is_kept_of_it(hub: AnyHub, ada: str) -> None:
    before, counted = len(hub.events_of(DECISION)), hub.metric("refused", "malformed")
    assert hub.api("POST", "/users/ada/server", token=ada, content=b"[1, 2]").status_code == 400
    assert hub.api("POST", "/users/ada/server", token=ada, json={"token": "not-for-a-log"}).status_code == 400
    events = hub.events_of(DECISION)[before:]
    assert [(event["reason"], event["asked"], event["via"]) for event in events] == [
        ("malformed", None, "rest"),
        ("unknown-option", {"token": ""}, "rest"),
    ]
    assert hub.metric("refused", "malformed") == counted + 1


def test_every_decision_is_an_event_of_the_schema_and_is_counted(hub: AnyHub, ada: str) -> None:
    before = len(hub.events_of(DECISION))
    granted, refused = hub.metric("granted"), hub.metric("refused", "not-entitled")
    malformed = hub.metric("refused", "malformed")
    assert hub.start_server("ada", {"profile": "analysis"}, token=ada).status_code == 201
    hub.stop_server("ada")
    hub.api("POST", "/users/ada/server", token=ada, json={"profile": "training"})
    hub.browser("ada").get("/hub/spawn?profile=training")
    hub.api("POST", "/users/ada/server", token=ada, json={"profile": ["x"], "secret": "hunter2hunter2"})
    events = hub.events_of(DECISION)[before:]
    assert [(event["via"], event["granted"], event["reason"]) for event in events] == [
        ("rest", True, ""), ("rest", False, "not-entitled"), ("link", False, "not-entitled"), ("rest", False, "malformed"),
    ]  # fmt: skip
    wanted: dict[str, Any] = schema(DECISION)
    for event in events:
        own = {key: value for key, value in event.items() if not key.startswith("__")}
        jsonschema.validate(own, wanted)
        assert event["__schema_version__"] == wanted["version"]
    assert events[-1]["asked"] is None and "hunter2" not in str(events)
    assert hub.metric("granted") == granted + 1
    assert hub.metric("refused", "not-entitled") == refused + 2
    assert hub.metric("refused", "malformed") == malformed + 1
