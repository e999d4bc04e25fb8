"""A hub as scripts, people and notebooks meet it, wherever it runs: what is asked of it, and what it keeps and publishes."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from websockets.sync.client import connect

PEOPLE = ("ada", "grace", "noor", "root-of-all")


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true answer of ``condition``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Facts:
    """What the tests must know of the hub's facility file.

    ``contact``: whom to ask. ``only_grace``: what grace may have and ada not, and why not. ``another``: a choice of ada's beside
    the profile ``analysis``. ``twice``: who may have this twice, and never three times. ``undecodable``: what is answered to an address
    that is no UTF-8 where the proxy reads it first.
    """

    contact: str
    only_grace: Mapping[str, tuple[dict[str, str], str]]
    another: dict[str, str]
    twice: tuple[str, dict[str, str]]
    undecodable: tuple[int, ...] = (400, 404)


class AnyHub(ABC):
    """The part of a hub that is the same everywhere.

    Set by the subclass: ``url`` through the proxy and ``hub_url`` without it, ``token`` of an administrator, everybody's ``passwords``,
    ``database`` and ``events_file`` as files, ``patience`` in seconds for a server's start or end, and the ``facts``.
    """

    url: str
    hub_url: str
    token: str
    passwords: Mapping[str, str]
    database: Path
    events_file: Path
    patience: float = 60
    facts: Facts

    def __init__(self) -> None:
        self.tokens: list[str] = []

    @abstractmethod
    def identity(self) -> object:
        """Which process the hub is: equal as long as it is the same one, ``None`` when there is none."""

    @abstractmethod
    def running(self) -> set[str]:
        """A mark of every server of which anything runs."""

    @abstractmethod
    def printed(self) -> str:
        """What the hub has printed."""

    @abstractmethod
    def around(self) -> set[str]:
        """Names of everything outside the hub that belongs to servers or to people's own."""

    def api(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        """A request of a script to the REST API, by default the administrators'."""
        headers = {"Authorization": f"token {token or self.token}", **more.pop("headers", {})}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=self.patience, **more)

    def token_of(self, name: str) -> str:
        """A token with all that this person may do."""
        answer = self.api("POST", f"/users/{name}/tokens", json={"note": "test"})
        assert answer.status_code == 201, answer.text
        self.tokens.append(answer.json()["token"])
        return self.tokens[-1]

    def server(self, name: str, server: str = "") -> Mapping[str, Any] | None:
        """The hub's own record of a server that runs or starts."""
        found: Mapping[str, Any] | None = self.api("GET", f"/users/{name}").json()["servers"].get(server)
        return found

    def start_server(self, name: str, options: object = None, server: str = "", token: str | None = None) -> httpx.Response:
        """Start a server and wait until it is ready."""
        more = {} if options is None else {"json": options}
        answer = self.api("POST", f"/users/{name}/servers/{server}", token=token, **more)
        if answer.status_code in (201, 202):
            until(lambda: (found := self.server(name, server)) and found["ready"], self.patience, f"{name}'s server is ready")
        return answer

    def stop_server(self, name: str, server: str = "") -> None:
        """Stop a server and wait until it is gone."""
        self.api("DELETE", f"/users/{name}/servers/{server}")
        until(lambda: self.server(name, server) is None, self.patience, f"{name}'s server is gone")

    def stop_all(self) -> None:
        """Stop every server."""
        for user in self.api("GET", "/users").json():
            for server in user["servers"]:
                self.stop_server(user["name"], server)
        until(lambda: not self.running(), self.patience, "nothing runs")

    def forget_servers(self, name: str) -> None:
        """Remove every named server of a person: stopped ones count too."""
        for server in self.api("GET", f"/users/{name}?include_stopped_servers=1").json()["servers"]:
            if server:
                assert self.api("DELETE", f"/users/{name}/servers/{server}", json={"remove": True}).status_code == 204

    def saved(self, name: str, server: str = "") -> Any:
        """The options that the hub's database keeps for a server."""
        answer = self.api("GET", f"/users/{name}?include_stopped_servers=1").json()["servers"]
        return answer[server]["user_options"] if server in answer else None

    def stored(self) -> dict[str, list[Any]]:
        """What the hub's database keeps of people and servers: all that a refused request must not change."""
        questions = {
            "users": "select name, admin from users order by name",
            "groups": "select g.name, m.user_id from groups g join user_group_map m on m.group_id = g.id order by 1, 2",
            "spawners": "select user_id, name, user_options from spawners where name != '' or user_options is not null order by 1, 2",
            "servers": "select id from servers s where exists (select 1 from spawners where server_id = s.id)",
            "shares": "select id from shares union select id from share_codes",
        }
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            return {name: database.execute(question).fetchall() for name, question in questions.items()}

    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        return [json.loads(line) for line in self.events_file.read_text().splitlines()] if self.events_file.exists() else []

    def events_of(self, schema: str) -> list[dict[str, Any]]:
        """The events of one kind so far."""
        return [event for event in self.events() if event["__schema__"] == schema]

    def metric(self, result: str, reason: str = "") -> float:
        """The decisions' counter."""
        text = self.api("GET", "/../metrics").text
        found = re.search(rf'^afkit_decisions_total{{reason="{reason}",result="{result}"}} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def browser(self, name: str | None = None) -> Browser:
        """A browser's session; logged in as ``name``."""
        browser = Browser(self)
        if name is not None:
            answer = browser.log_in(name, self.passwords[name])
            assert answer.status_code in (302, 303), answer.text[-2000:]
            browser.get("/hub/home")  # as a browser does; JupyterHub 5 gives the token for forms only then
        return browser


class Browser:
    """Cookies, the hub's token against forgery, and forms, as a browser without JavaScript sends them."""

    def __init__(self, hub: AnyHub) -> None:
        self.hub = hub
        self.client = httpx.Client(base_url=hub.url, timeout=60, headers={"Sec-Fetch-Mode": "navigate"})

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def log_in(self, name: str, password: str, next_url: str = "") -> httpx.Response:
        self.get("/hub/login")
        query = {"next": next_url} if next_url else {}
        return self.client.post("/hub/login", params=query, data={"username": name, "password": password, "_xsrf": self.xsrf()})

    def xsrf(self) -> str:
        """The hub's token against forgery (two cookies may have the name; the longest path wins)."""
        cookies = [cookie for cookie in self.client.cookies.jar if cookie.name == "_xsrf"]
        return max(cookies, key=lambda cookie: len(cookie.path)).value or "" if cookies else ""

    def submit(self, path: str, fields: Mapping[str, Any], **more: Any) -> httpx.Response:
        """Send the spawn form."""
        return self.client.post(path, params={"_xsrf": self.xsrf(), **more.pop("params", {})}, data=dict(fields), **more)


class Site(Protocol):
    """What a kernel must know of a hub."""

    url: str

    def token_of(self, name: str) -> str:
        """A token of a person's own."""


class Kernel:
    """A kernel of a person's server, through the proxy, as a notebook uses it."""

    def __init__(self, hub: Site, name: str) -> None:
        self.hub, self.name = hub, name
        self.token = hub.token_of(name)
        self.headers = {"Authorization": f"token {self.token}"}

    def __enter__(self) -> Kernel:
        answer = httpx.post(f"{self.hub.url}/user/{self.name}/api/kernels", headers=self.headers, json={"name": "python3"}, timeout=60)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        address = f"{self.hub.url}/user/{self.name}/api/kernels/{self.id}/channels".replace("http://", "ws://")
        self._connection = connect(address, additional_headers=self.headers, open_timeout=60)
        self.socket = self._connection.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.__exit__(None, None, None)

    def send(self, code: str) -> str:
        """Run code without waiting; returns the message's id."""
        message = secrets.token_hex(8)
        header = {"msg_id": message, "msg_type": "execute_request", "username": "", "session": message, "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        self.socket.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}))
        return message

    def run(self, code: str) -> str:
        """Run code and return what it printed."""
        message, printed = self.send(code), ""
        # what it prints and its reply come by different channels: it is over when the kernel says that it idles
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            kind, content = answer["header"]["msg_type"], answer["content"]
            if answer["parent_header"].get("msg_id") != message:
                continue
            if kind == "stream":
                printed += content["text"]
            if kind == "error":
                raise AssertionError(content)
            if kind == "status" and content["execution_state"] == "idle":
                return printed

    def state(self) -> str:
        """What the server says of the kernel."""
        answer = httpx.get(f"{self.hub.url}/user/{self.name}/api/kernels/{self.id}", headers=self.headers, timeout=60)
        return str(answer.json()["execution_state"]) if answer.status_code == 200 else "gone"
