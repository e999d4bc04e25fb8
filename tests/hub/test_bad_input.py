"""Everything bad that can be sent to the hub: a 4xx with a reason, nothing stored, the same hub afterwards, and good starts go on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.hub.anyhub import AnyHub
from tests.support.bodies import BODIES

OPTIONS: dict[str, Any] = {
    "unknown key": {"flavour": "sweet"},
    "unknown key beside good ones": {"profile": "analysis", "flavour": "sweet"},
    "attribute as key": {"__class__": "x"},
    "empty key": {"": "x"},
    "key with a dot": {"analysis.pool": "amd64"},
    "the server": {"server": "x"},
    "next": {"next": "/hub/home"},
    "list as profile": {"profile": ["analysis"]},
    "object as profile": {"profile": {"name": "analysis"}},
    "number as profile": {"profile": 7},
    "true as profile": {"profile": True},
    "null as profile": {"profile": None},
    "empty profile": {"profile": ""},
    "unknown profile": {"profile": "nope"},
    "unknown pool": {"pool": "nope"},
    "unknown size": {"profile": "analysis", "size": "huge"},
    "unknown image": {"profile": "analysis", "image": "nope"},
    "unknown choice": {"profile": "analysis", "interface": "vi"},
    "a reference": {"image": "evil.example.org/x:1"},
    "a reference that only others may type": {"image": "registry.example.org/groups/x:1"},
    "somebody else's profile": {"profile": "training"},
    "a profile of nobody's": {"profile": "hidden"},
    "somebody else's size": {"profile": "analysis", "size": "large"},
    "somebody else's image": {"profile": "analysis", "image": "own"},
    "another machine's pool": {"profile": "analysis", "pool": "arm64"},
    "format syntax": {"profile": "{userid.__class__}"},
    "format index": {"pool": "{0}"},
    "template syntax": {"size": "{{ 7 * 7 }}"},
    "braces": {"profile": "{{"},
    "percent": {"profile": "%(name)s %s %d"},
    "look-alike": {"profile": "\u0430nalysis"},
    "full width": {"profile": "\uff41nalysis"},
    "zero width": {"profile": "anal\u200bysis"},
    "right to left": {"profile": "\u202esisylana"},
    "newline": {"profile": "analysis\nINFO all is well"},
    "NUL": {"profile": "analysis\x00"},
    "space": {"profile": " analysis "},
    "capitals": {"profile": "Analysis"},
    "path": {"profile": "../analysis"},
    "10,000 characters": {"profile": "a" * 10_000},
    "500 keys": {f"key{number}": "x" for number in range(500)},
    "markup": {"profile": "<script>alert(1)</script>"},
    "SQL": {"profile": "'; DROP TABLE users; --"},
    "options in options": {"user_options": {"user_options": {"profile": "analysis"}}},
    "options and more": {"user_options": {"profile": "analysis"}, "profile": "training"},
    "options as list": {"user_options": ["analysis"]},
    "options as text": {"user_options": "analysis"},
    "display name as number": {"user_options": {}, "display_name": 7},
}
"""Objects that are no choice which ada may have."""

REASONS = {
    "malformed", "unknown-option", "unknown-choice", "not-entitled", "incompatible", "limit-exceeded", "no-capacity",
}  # fmt: skip

ROUTES = [
    ("POST", "/users/ada/server"),
    ("POST", "/users/ada/servers/"),
    ("POST", "/users/ada/servers/named"),
    ("PUT", "/users/ada/servers/named"),
    ("PATCH", "/users/ada/servers/"),
    ("PATCH", "/users/ada/server"),
    ("DELETE", "/users/ada/server"),
    ("DELETE", "/users/ada/servers/named"),
    ("GET", "/users/ada/server"),
    ("POST", "/users/ada/tokens"),
    ("POST", "/users/ada/activity"),
    ("PATCH", "/users/ada"),
    ("POST", "/users"),
    ("POST", "/shares/ada/"),
    ("PATCH", "/shares/ada/"),
    ("POST", "/share-codes/ada/"),
    ("POST", "/groups/physicists/users"),
    ("DELETE", "/groups/physicists/users"),
]

STARTS = [route for route in ROUTES if route[0] == "POST" and "/server" in route[1]]


@pytest.fixture
def unharmed(hub: AnyHub) -> Iterator[None]:
    """Nothing is stored by the test, nothing runs or is there after it that was not before, and the hub is the same process."""
    before, around, identity = hub.stored(), hub.around(), hub.identity()
    yield
    assert hub.identity() == identity is not None, hub.printed()[-3000:]
    assert hub.stored() == before
    assert hub.around() <= around
    assert not hub.running()


@pytest.fixture(scope="module")
def send(hub: AnyHub) -> Iterator[Callable[..., httpx.Response]]:
    """Sends a body as ada's own script, over a connection that is kept."""
    token = hub.token_of("ada")
    administrator = hub.token
    with httpx.Client(base_url=f"{hub.url}/hub/api", timeout=60) as client:

        def request(method: str, path: str, content: bytes, *, by: str = "ada") -> httpx.Response:
            headers = {"Authorization": f"token {token if by == 'ada' else administrator}", "Content-Type": "application/json"}
            return client.request(method, path, content=content, headers=headers)

        yield request


def explained(answer: httpx.Response, *reasons: str) -> dict[str, Any]:
    """The JSON of a refusal; fails unless it is a 4xx with a reason, a sentence, and the header."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:500])
    said: dict[str, Any] = answer.json()
    assert said["status"] == answer.status_code
    assert said["reason"] and said["message"] and isinstance(said["hint"], str), said
    assert answer.headers["X-Afkit-Reason"] == said["reason"]
    assert not reasons or said["reason"] in reasons, said
    assert "\n" not in said["message"] and "\x00" not in said["message"]
    return said


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("method, path", ROUTES)
@pytest.mark.parametrize("by", [pytest.param("ada", marks=pytest.mark.oldest), "administrator"])
def test_a_body_that_is_no_object_is_malformed(send: Callable[..., httpx.Response], method: str, path: str, by: str) -> None:
    for name, body in BODIES.items():
        answer = send(method, path, body, by=by)
        assert explained(answer, "malformed")["status"] == 400, name


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("method, path", STARTS)
def test_options_that_are_no_choice_of_ada_are_refused(send: Callable[..., httpx.Response], method: str, path: str) -> None:
    for options in OPTIONS.values():
        explained(send(method, path, json.dumps(options).encode()), *REASONS)
        if "user_options" not in options:
            explained(send(method, path, json.dumps({"user_options": options}).encode()), *REASONS)


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_options_that_are_no_choice_of_ada_are_not_stored_without_a_start(send: Callable[..., httpx.Response], method: str) -> None:
    path = "/users/ada/servers/named" if method == "PUT" else "/users/ada/servers/"
    for options in OPTIONS.values():
        answer = send(method, path, json.dumps({"user_options": options}).encode())
        explained(answer, *REASONS, "method-not-allowed")  # JupyterHub 5 has neither


FORMS: dict[str, dict[str, Any]] = {
    "invalid UTF-8": {"content": b"profile=%ff"},
    "invalid UTF-8 in a name": {"content": b"%ff=analysis"},
    "raw bytes": {"content": b"profile=\xff"},
    "1 MB": {"content": b"profile=" + b"a" * 2**20},
    "60,000 fields": {"content": b"&".join(b"f%d=1" % number for number in range(60_000))},
    "two profiles": {"content": b"profile=analysis&profile=training"},
    "JSON that says it is a form": {"content": b'{"profile": "training"}'},
    "an empty field of no form": {"content": b"%3Cx%3E="},
}


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
def test_bad_forms_show_the_reason(hub: AnyHub) -> None:
    ada = hub.browser("ada")
    for name, more in FORMS.items():
        # a request that is refused before the hub knows whose it is brings a token for nobody
        ada.get("/hub/home")
        answer = ada.client.post(
            "/hub/spawn", params={"_xsrf": ada.xsrf()}, headers={"Content-Type": "application/x-www-form-urlencoded"}, **more
        )
        assert answer.status_code == 400, (name, answer.status_code, answer.text)
        # of so many fields tornado says so itself, before the request reaches the hub
        assert name == "60,000 fields" or answer.headers["X-Afkit-Reason"] == "malformed"
    for body in BODIES.values():
        for kind in ("application/json", "text/plain", ""):
            answer = ada.client.post("/hub/spawn", params={"_xsrf": ada.xsrf()}, headers={"Content-Type": kind}, content=body)
            assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (400, "malformed"), (kind, body[:80])


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
def test_forms_with_a_choice_that_ada_may_not_have_are_shown_again(hub: AnyHub) -> None:
    ada = hub.browser("ada")
    for name, options in OPTIONS.items():
        fields = {key: value for key, value in options.items() if isinstance(value, str) and key}
        if not fields or "next" in fields or "" in fields.values() or "key with a dot" in name:
            continue  # these mean something else in a form
        answer = ada.submit("/hub/spawn", fields)
        assert 400 <= answer.status_code < 500, name
        assert answer.headers["X-Afkit-Reason"] in REASONS, name
        assert "spawn_form" in answer.text
        assert "<script>alert" not in answer.text


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "query",
    [
        "profile=%ff", "%ff=analysis", "display_name=%ff", "next=%ff", "opt-profile=%ff", "profile=analysis&profile=training",
        "profile=training", "profile=hidden", "profile=nope", "profile=%7Buserid.__class__%7D", "profile=%7B0%7D", "profile=%7B%7B",
        "profile=a%0Ab", "profile=a%00", "flavour=sweet", "pool=arm64", "opt-profile=training", "opt-=x",
    ],
)  # fmt: skip
def test_bad_links_start_nothing_and_say_why(hub: AnyHub, query: str) -> None:
    ada = hub.browser("ada")
    for _ in range(6):
        answer = ada.get(f"/hub/spawn?{query}")
        assert 400 <= answer.status_code < 500, answer.text[-500:]
        assert answer.headers["X-Afkit-Reason"] in REASONS


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("place", ["login", "home", "token", "spawn-pending/ada", "user/ada/lab", "accept-share", "error/503"])
def test_no_page_fails_over_its_address(hub: AnyHub, place: str) -> None:
    ada = hub.browser("ada")
    for query in ("next=%ff", "%ff", "code=%ff", "display_name=%ff&next=%ff", "redirects=%ff"):
        assert ada.get(f"/hub/{place}?{query}").status_code == 400
    assert ada.get(f"{hub.hub_url}/hub/{place}%ff").status_code in (400, 404)
    assert ada.get(f"/hub/{place}%ff").status_code in hub.facts.undecodable


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
def test_the_login_form_says_what_it_cannot_read(hub: AnyHub) -> None:
    somebody = hub.browser()
    somebody.get("/hub/login")
    for body in (b"username=%ff&password=x", b"username=\xff&password=x", b"username=ada&password=%ff", b"%ff=x&username=ada"):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = somebody.client.post("/hub/login", params={"_xsrf": somebody.xsrf()}, headers=headers, content=body)
        assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (400, "malformed")
        assert "The form has text that is not UTF-8." in answer.text


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
def test_a_token_in_an_address_is_in_no_log(hub: AnyHub) -> None:
    """Asked of the hub itself: the proxy has a log of its own."""
    for path in ("home", "login", "api/users", "api/users/ada/server"):
        for query in ("", "&next=%ff"):
            answer = httpx.post(f"{hub.hub_url}/hub/{path}?token={hub.token}{query}", content=b"[]")
            assert 400 <= answer.status_code < 500
    log = hub.printed()
    assert hub.token not in log
    assert re.search(r"40[03] POST /hub/api/users \([0-9.]+\): ", log)  # without what stood behind it


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("name", ["%2E%2E", "%00", "a%0Ab", "UPPER", "a b", "%ff", "-a", "a" * 80, "%7B0%7D", "%F0%9F%8D%95", "a%2Fb"])
def test_no_server_has_a_bad_name(hub: AnyHub, name: str) -> None:
    grace, headers = hub.browser("grace"), {"Authorization": f"token {hub.token_of('grace')}"}
    for method in ("POST", "PUT"):
        # not through the proxy, which has its own opinion of addresses
        explained(httpx.request(method, f"{hub.hub_url}/hub/api/users/grace/servers/{name}", headers=headers, json={"profile": "analysis"}))
    assert 400 <= grace.submit(f"{hub.hub_url}/hub/spawn/grace/{name}", {"profile": "analysis"}).status_code < 500


FIELDS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/users/ada/tokens", {"note": ["x"]}),
    ("POST", "/users/ada/tokens", {"expires_in": "soon"}),
    ("POST", "/users/ada/tokens", {"expires_in": 10**15}),
    ("POST", "/users/ada/tokens", {"expires_in": -1}),
    ("POST", "/users/ada/tokens", {"expires_in": True}),
    ("POST", "/users/ada/tokens", {"scopes": [["x"]]}),
    ("POST", "/users/ada/tokens", {"scopes": ["no:such"]}),
    ("POST", "/users/ada/tokens", {"scopes": ["self!nothing=x"]}),
    ("POST", "/users/ada/tokens", {"roles": {"a": 1}}),
    ("POST", "/users/ada/tokens", {"roles": ["nobody"]}),
    ("POST", "/users/ada/tokens", {"auth": "x"}),
    ("POST", "/users/ada/tokens", {"unknown": "x"}),
    ("POST", "/users/ada/activity", {}),
    ("POST", "/users/ada/activity", {"last_activity": 7}),
    ("POST", "/users/ada/activity", {"last_activity": "0001-01-01T00:00:00+14:00"}),
    ("POST", "/users/ada/activity", {"last_activity": "9999-12-31T23:59:59-14:00"}),
    ("POST", "/users/ada/activity", {"last_activity": "tomorrow"}),
    ("POST", "/users/ada/activity", {"servers": ["x"]}),
    ("POST", "/users/ada/activity", {"servers": {"nope": {"last_activity": "2026-01-01T00:00:00Z"}}}),
    ("POST", "/users/ada/activity", {"servers": {"": {"last_activity": {"a": 1}}}}),
    ("POST", "/users/ada/activity", {"servers": {"": "now"}}),
    ("PATCH", "/users/ada", {"groups": ["accelerated"]}),
    ("PATCH", "/users/ada", {"admin": "yes"}),
    ("PATCH", "/users/ada", {"name": ["x"]}),
    ("PATCH", "/users/ada", {"auth_state": {"x": 1}}),
    ("POST", "/users", {"usernames": "ada"}),
    ("POST", "/users", {"usernames": [7]}),
    ("POST", "/users", {"usernames": [{}], "admin": True}),
    ("POST", "/shares/ada/", {"user": ["x"]}),
    ("POST", "/shares/ada/", {"user": "grace", "scopes": ["no:such"]}),
    ("POST", "/shares/ada/", {"user": "grace", "scopes": "access:servers"}),
    ("POST", "/shares/ada/", {"user": "nobody-at-all"}),
    ("PATCH", "/shares/ada/", {"group": {"a": 1}}),
    ("PATCH", "/shares/ada/", {"user": "grace", "group": "physicists"}),
    ("POST", "/share-codes/ada/", {"expires_in": "x"}),
    ("POST", "/share-codes/ada/", {"expires_in": 10**14}),
    ("POST", "/share-codes/ada/", {"scopes": ["no:such"]}),
    ("PATCH", "/users/ada/servers/", {"name": 7}),
    ("PATCH", "/users/ada/servers/", {"display_name": ["x"]}),
    ("PATCH", "/users/ada/servers/", {"display_name": "x" * 256}),
    ("PATCH", "/users/ada/servers/", {"display_name": "a\x00b"}),
    ("PATCH", "/users/ada/servers/", {"display_name": "a\nb"}),
    ("PATCH", "/users/ada/servers/", {"flavour": "sweet"}),
    ("PATCH", "/users/ada/servers/", {"name": "a/b"}),
    ("DELETE", "/users/ada/servers/", {"remove": "yes"}),
    ("DELETE", "/users/ada/servers/", {"flavour": "sweet"}),
    ("PUT", "/users/ada/servers/x", {"display_name": 7}),
    ("GET", "/users/ada/tokens/a99999999999999999999999", {}),
    ("DELETE", "/users/ada/tokens/a99999999999999999999999", {}),
    ("DELETE", "/share-codes/ada/?id=sc_99999999999999999999999", {}),
    ("GET", "/users?offset=99999999999999999999999", {}),
    ("GET", "/users?limit=99999999999999999999999", {}),
]


@pytest.mark.oldest
@pytest.mark.usefixtures("unharmed")
def test_fields_of_a_wrong_type_or_value_are_refused(hub: AnyHub, send: Callable[..., httpx.Response]) -> None:
    for method, path, body in FIELDS:
        for by in ("ada", "administrator"):
            answer = send(method, path, json.dumps(body).encode(), by=by)
            assert 400 <= answer.status_code < 500, (method, path, body, answer.status_code, answer.text[:300])
            explained(answer)


def test_bad_requests_in_a_row_change_nothing_for_the_next_good_one(hub: AnyHub, send: Callable[..., httpx.Response]) -> None:
    identity, started, printed = hub.identity(), hub.running(), len(hub.printed())
    for number in range(50):
        body = list(BODIES.values())[number % len(BODIES)]
        send("POST", "/users/ada/server", body)
        send("POST", "/users/ada/server", json.dumps({"profile": "training"}).encode())
        hub.api("POST", "/users/grace/server", json={"profile": "hidden"})
    assert not started
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    assert hub.start_server("grace", {"profile": "training"}).status_code == 201
    assert hub.identity() == identity
    hub.stop_server("ada")
    hub.stop_server("grace")
    assert hub.saved("ada") == {"profile": "analysis"}
    log = hub.printed()[printed:]
    assert "Traceback" not in log, log[max(0, log.index("Traceback") - 500) :][:3000]


@pytest.mark.oldest
def test_anonymous_and_forged_requests_stay_forbidden(hub: AnyHub) -> None:
    for headers in ({}, {"Authorization": "token nonsense"}):
        for body in (b"{}", b'{"profile": "analysis"}'):
            answer = httpx.post(f"{hub.url}/hub/api/users/ada/server", content=body, headers=headers)
            assert answer.status_code == 403
    ada = hub.browser("ada")
    assert ada.client.post("/hub/spawn", data={"profile": "analysis"}).status_code == 403
    assert not hub.running()
