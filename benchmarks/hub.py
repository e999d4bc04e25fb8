"""What afkit costs the hub: processor time of a login, of a start and of a stop, and memory for each person seen.

Both are real JupyterHubs of the same version with the same proxy, database and people, and start the same stub of a server; the
peer has JupyterHub's own login (one password) and local spawner, and no facility file. Only the hub's own process is measured.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.server import free_port, until_answered
from benchmarks.table import Row, show

PEOPLE = 120
"""People whom each hub knows; each logs in once for the memory, and some of them start servers."""
EACH = 12
"""People of a round: so many start a server, three times as many log in."""
ROUNDS = 3

STUB = """
import http.server, os, urllib.parse
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("X-JupyterHub-Version", os.environ["HUB_VERSION"]); self.end_headers()
    def log_message(self, *args): pass
url = urllib.parse.urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.HTTPServer((url.hostname, url.port), Answer).serve_forever()
"""

FACILITY = """
version: 1
facility: {{name: bench}}
groups: {{physicists: {{}}}}
identity:
  local:
    users:
{people}
session: {{env: {{GREETING: hello}}, lifetime: {{idle: 24h, max: 7d}}}}
pools: {{amd64: {{arch: amd64}}, arm64: {{arch: arm64}}}}
images: {{one: {{image: "example.org/one:1@sha256:{digest}", arch: [amd64, arm64]}}}}
sizes: {{small: {{cpu: 1, memory: 1Gi}}, large: {{cpu: 2, memory: 2Gi}}}}
profiles:
{profiles}
"""

COMMON = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{api}"
c.JupyterHub.proxy_class = "configurable-http-proxy"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_api}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.services = [dict(name="bench", api_token={token!r})]
c.JupyterHub.load_roles = [dict(name="bench", services=["bench"], scopes=["admin:users", "admin:servers"])]
c.Spawner.cmd = [{python!r}, {stub!r}]
import jupyterhub
c.Spawner.environment = dict(HUB_VERSION=jupyterhub.__version__)
"""

OURS = """
from afkit.hub import configure
c.AfkitLocalSpawner.state_dir = "state"
c.AfkitLocalAuthenticator.passwords_file = "passwords.json"
configure(c, "facility.yaml", mode="local")
"""

THEIRS = """
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = {people!r}
"""


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub that runs."""

    url: str
    token: str
    password: str
    process: psutil.Process

    def log_in(self, name: str) -> None:
        """The login page and the login, as a browser does them."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            client.get("/hub/login")
            answer = client.post("/hub/login", data={"username": name, "password": self.password, "_xsrf": client.cookies["_xsrf"]})
            assert answer.status_code == 302, answer.status_code
            assert client.get("/hub/home").status_code == 200

    def start(self, name: str) -> None:
        """Start a server and wait for it."""
        answer = self._server("POST", name)
        assert answer.status_code == 201, answer.text

    def stop(self, name: str) -> None:
        """Stop a server and wait until it is gone."""
        assert self._server("DELETE", name).status_code == 204

    def _server(self, method: str, name: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, f"{self.url}/hub/api/users/{name}/server", headers=headers, timeout=60)

    def cpu(self, work: Callable[[str], None], names: list[str]) -> float:
        """Milliseconds of processor time of the hub for each name."""
        before = _seconds(self.process)
        for name in names:
            work(name)
        return (_seconds(self.process) - before) / len(names) * 1000

    def memory(self) -> float:
        """KiB that are the process's alone."""
        return float(self.process.memory_full_info().uss) / 1024


def rows() -> list[Row]:
    """Medians of several rounds, taken in turn."""
    names = [f"user-{number}" for number in range(PEOPLE)]
    with (
        tempfile.TemporaryDirectory() as folder,
        _hub(Path(folder), names, ours=True) as ours,
        _hub(Path(folder), names, ours=False) as theirs,
    ):
        for one in (ours, theirs):  # what the first request compiles and loads is no person's
            for name in names[:5]:
                one.log_in(name)
                one.start(name)
                one.stop(name)
        seen = [_memory(one, names[5:]) for one in (ours, theirs)]
        logins, starts, stops = (_alternate(ours, theirs, names, work) for work in ("log_in", "start", "stop"))
    peer = "JupyterHub alone"
    both = (logins[0] + starts[0], logins[1] + starts[1])
    return [
        Row("hub, login and start", peer, "ms", *both, aim=1.05),
        Row("hub, login", peer, "ms", *logins),
        Row("hub, start", peer, "ms", *starts),
        Row("hub, stop", peer, "ms", *stops),
        Row("hub, memory for a person seen", peer, "KiB", *seen),
    ]


def _memory(one: Hub, names: list[str]) -> float:
    before = one.memory()
    for name in names:
        one.log_in(name)
    return max((one.memory() - before) / len(names), 0.1)


def _alternate(ours: Hub, theirs: Hub, names: list[str], work: str) -> tuple[float, float]:
    """Medians of the rounds; before a stop there is a start that is not counted, and the reverse."""
    figures: dict[Hub, list[float]] = {ours: [], theirs: []}
    for number in range(ROUNDS):
        size = EACH * 3 if work == "log_in" else EACH
        chosen = names[number * size : (number + 1) * size]
        for one, found in figures.items():
            if work == "stop":
                for name in chosen:
                    one.start(name)
            found.append(one.cpu(getattr(one, work), chosen))
            if work == "start":
                for name in chosen:
                    one.stop(name)
    return statistics.median(figures[ours]), statistics.median(figures[theirs])


@contextlib.contextmanager
def _hub(folder: Path, names: list[str], *, ours: bool) -> Iterator[Hub]:
    folder = folder / ("ours" if ours else "theirs")
    folder.mkdir()
    token, password = secrets.token_hex(16), secrets.token_hex(16)
    port, api, proxy_api = free_port(), free_port(), free_port()
    (folder / "stub.py").write_text(STUB)
    proxy = str(Path(sys.executable).with_name("configurable-http-proxy"))
    common = COMMON.format(
        port=port, api=api, proxy=proxy, proxy_api=proxy_api, token=token, python=sys.executable, stub=str(folder / "stub.py")
    )
    (folder / "passwords.json").write_text(json.dumps(dict.fromkeys(names, password)))
    (folder / "facility.yaml").write_text(_facility(names))
    more = OURS if ours else THEIRS.format(homes=str(folder / "homes" / "{username}"), password=password, people=set(names))
    (folder / "homes").mkdir()
    (folder / "jupyterhub_config.py").write_text(common + more)
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "jupyterhub"], cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        until_answered(f"http://127.0.0.1:{api}/hub/api/", process)
        time.sleep(1)  # the proxy's first look at its routes
        yield Hub(f"http://127.0.0.1:{port}", token, password, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def _facility(names: list[str]) -> str:
    people = "\n".join(f"      {name}: {{groups: [physicists]}}" for name in names)
    profile = "  profile-{}: {{allow: [physicists], pools: [amd64, arm64], images: [one], sizes: [small, large]}}"
    return FACILITY.format(people=people, digest="0" * 63 + "1", profiles="\n".join(profile.format(number) for number in range(30)))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Print the table."""
    print(show(rows()))
