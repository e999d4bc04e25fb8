"""A real `afkit up` as a child process, and what a test wants to know and do about it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
from websockets.sync.client import connect

from afkit.up.processes import Process, alive, marked, process
from afkit.up.state import read_json

T = TypeVar("T")

LIMIT = 60.0
"""Seconds within which a thing that is waited for must have happened."""

CLUSTER = """\
import afkit
cluster = afkit.cluster(workers=1, cores=1, memory="512MiB", wait=1)
pid = cluster.client.submit(__import__("os").getpid).result()
print("worker", pid)
"""
"""User code that makes a cluster of one worker and prints its pid."""


def until(condition: Callable[[], T], what: str, seconds: float = LIMIT) -> T:
    """The first true answer of ``condition``; an `AssertionError` that names ``what`` where there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return answer


class Up:
    """One `afkit up`. `start`, then `ready` waits for its facility.json."""

    def __init__(self, state: Path, *arguments: str, browser: bool = False, **environment: str) -> None:
        self.state = state
        self.arguments = [*arguments] if browser else ["--no-browser", *arguments]
        self.environment = environment
        self.facility: dict[str, Any] = {}
        self.popen: subprocess.Popen[str] | None = None
        self.seen: set[Process] = set()
        self.printed: dict[str, str] = {}

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "afkit", "up", "--state", str(self.state), *self.arguments]

    def start(self) -> Up:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.popen = subprocess.Popen(
            self.command,
            env={**environment, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self

    @property
    def running(self) -> subprocess.Popen[str]:
        assert self.popen is not None
        return self.popen

    def ready(self) -> Up:
        """Wait until it has written facility.json."""

        def written() -> bool:
            self.facility = read_json(self.state / "facility.json")  # a killed run may have left its own
            return self.facility.get("pid") == self.running.pid or self.running.poll() is not None

        until(written, "facility.json", 120)
        assert self.running.poll() is None, self.running.communicate()
        self.look()
        return self

    def reread(self) -> dict[str, Any]:
        """facility.json as it is now."""
        self.facility = read_json(self.state / "facility.json")
        return self.facility

    def look(self) -> set[Process]:
        """All processes of this facility as of now, beside `afkit up` itself; they are remembered."""
        mark = (self.state / "mark").read_text()
        now = set(marked(mark))
        self.seen |= now
        return now

    def child(self, name: str) -> Process:
        """The hub or the proxy, as `afkit up` has written it down."""
        noted = json.loads((self.state / "run/processes.json").read_text())[name]
        return Process(noted["pid"], noted["started"])

    def server(self, user: str = "ada") -> Process:
        """A user's server: of the hub's children the one that its database names."""
        pid = self.api("GET", f"/users/{user}").json()["servers"][""]["state"]["pid"]
        found = process(pid)
        assert found is not None
        return found

    def left(self) -> set[Process]:
        """What still runs of all that was ever seen, and of what carries the mark."""
        self.look()
        return {one for one in self.seen if alive(one)}

    def end(self, number: int = signal.SIGTERM, times: int = 1) -> tuple[int, str, str]:
        """Ask it to stop; exit code, standard output, standard error."""
        self.look()
        for _ in range(times):
            self.running.send_signal(number)
        return self.result()

    def result(self, seconds: float = LIMIT) -> tuple[int, str, str]:
        """Wait for its end."""
        out, err = self.running.communicate(timeout=seconds)
        return self.running.returncode, out, err

    def kill(self) -> None:
        """For a test that failed half way: nothing of it may outlive the test."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.kill()
            self.popen.communicate()
        with contextlib.suppress(FileNotFoundError):
            for one in self.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)

    # what a person or an administrator does with it

    def api(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        """The hub's REST interface, as the administrator's token may use it."""
        return self.request(method, f"hub/api{path}", body, token)

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"token {token or self.facility['token']}"}
        return httpx.request(method, self.facility["url"] + path, json=body, headers=headers, timeout=30, trust_env=False)

    def serve(self, user: str = "ada", **options: str) -> Process:
        """Start a user's server, unless it runs, and wait for it."""
        if self.state_of(user).get("ready"):
            return self.server(user)
        answer = self.api("POST", f"/users/{user}/server", options or None)
        assert answer.status_code in (201, 202), answer.text
        until(lambda: self.state_of(user).get("ready"), f"the server of {user}")
        self.look()
        return self.server(user)

    def state_of(self, user: str = "ada") -> dict[str, Any]:
        """The hub's view of a user's server; empty: none."""
        servers: dict[str, dict[str, Any]] = self.api("GET", f"/users/{user}").json()["servers"]
        return servers.get("", {})

    def log_in(self, user: str, password: str) -> httpx.Response:
        """The answer to the login form."""
        with httpx.Client(base_url=self.facility["url"], trust_env=False, timeout=30) as client:
            client.get("/hub/login")
            form = {"username": user, "password": password, "_xsrf": client.cookies["_xsrf"]}
            return client.post("/hub/login", data=form)

    def execute(self, code: str, user: str = "ada") -> Process:
        """Run ``code`` in a new kernel of the user's server, over its websocket; returns the kernel's process.

        `printed` has what it printed: a word and the rest of each line.
        """
        answer = self.request("POST", f"user/{user}/api/kernels", {"name": "python3"})
        assert answer.status_code == 201, answer.text
        url = self.facility["url"].replace("http", "ws", 1) + f"user/{user}/api/kernels/{answer.json()['id']}/channels"
        self.printed = {}
        with connect(
            url, additional_headers={"Authorization": f"token {self.facility['token']}"}, proxy=None, open_timeout=LIMIT
        ) as socket:
            socket.send(json.dumps(_execute_request(f"{code}\nimport os\nprint('kernel', os.getpid())")))
            for message in _until_idle(socket.recv):
                if message["msg_type"] == "stream":
                    self.printed |= dict(line.split(" ", 1) for line in message["content"]["text"].splitlines() if " " in line)
                assert message["msg_type"] != "error", message["content"]
        self.look()
        found = process(int(self.printed["kernel"]))
        assert found is not None
        return found


def _execute_request(code: str) -> dict[str, Any]:
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
    header = {"msg_id": uuid.uuid4().hex, "username": "", "session": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": [], "channel": "shell"}


def _until_idle(receive: Callable[[float], Any]) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + LIMIT
    executing = False
    while time.monotonic() < deadline:
        message = json.loads(receive(LIMIT))
        if message.get("parent_header", {}).get("msg_type") != "execute_request":
            continue
        executing = True
        yield message
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return
    raise AssertionError(f"no answer of the kernel, executing: {executing}")


def answers(run: Up) -> bool:
    """Whether the hub answers through the proxy."""
    try:
        return run.api("GET", "/").status_code == 200
    except httpx.TransportError:  # nobody listens yet
        return False


def listening(processes: set[Process]) -> set[str]:
    """The addresses that these processes listen on (Linux), as the kernel writes them: ``0100007F:1F40``."""
    sockets = set()
    for one in processes:
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{one.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(str(entry.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1])
    return found
