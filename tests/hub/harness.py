"""A real hub with a real proxy, as a process of its own, and clients of it as people and scripts are."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import httpx
import psutil

from tests.hub.anyhub import PEOPLE, AnyHub, Facts, Kernel, until
from tests.support.parts import path_for_servers

__all__ = ["PEOPLE", "Hub", "Kernel", "free_ports", "until"]

HERE = Path(__file__).parent
FACTS = Facts(
    contact="help@example.org",
    only_grace={
        "a profile": ({"profile": "training"}, "not-entitled"),
        "a size": ({"profile": "analysis", "size": "large"}, "not-entitled"),
        "an image": ({"profile": "analysis", "image": "own"}, "unknown-choice"),
        "an image's reference": ({"profile": "analysis", "image": "registry.example.org/groups/hers:1"}, "unknown-choice"),
    },
    another={"profile": "analysis", "interface": "tree"},
    twice=("grace", {"profile": "training"}),
)
"""Of ``facility.yaml``, which stands beside this file."""


class Hub(AnyHub):
    """One hub in ``folder``.

    ``before`` and ``after`` are lines of configuration around afkit's call; ``plain``: traits instead of the call.
    """

    facts = FACTS

    def __init__(
        self,
        folder: Path,
        *,
        facility: str | None = None,
        before: str = "",
        after: str = "",
        proxy: str = "python",
        people: Mapping[str, Iterable[str]] | None = None,
        plain: bool = False,
        mode: str = "local",
    ) -> None:
        super().__init__()
        self.folder = folder
        self.database, self.events_file = folder / "hub.sqlite", folder / "events.jsonl"
        self.facility = folder / "facility.yaml"
        self.facility.write_text(facility or (HERE / "facility.yaml").read_text())
        self.passwords = {name: secrets.token_hex(8) for name in (*PEOPLE, *(people or {}))}
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps(self.passwords))
        ports = free_ports(3)
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.hub_url = f"http://127.0.0.1:{ports[1]}"
        self.token = secrets.token_hex(16)
        self.state = folder / "state"
        scripts = Path(sys.executable).parent
        settings = {
            "url": self.url, "hub_url": self.hub_url, "api_url": f"http://127.0.0.1:{ports[2]}", "token": self.token,
            "facility": str(self.facility), "passwords": str(passwords), "state": str(self.state), "before": before, "after": after,
            "proxy": proxy, "traefik": str(scripts / "traefik"), "proxy_command": [str(scripts / "configurable-http-proxy")],
            "plain": plain, "mode": mode, "people": {name: list(groups) for name, groups in (people or {}).items()} or None,
        }  # fmt: skip
        self.settings = folder / "settings.json"
        self.settings.write_text(json.dumps(settings))
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "hub.log"

    def start(self, *, wait: bool = True) -> Hub:
        """Start the process; by default wait until it answers through the proxy."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"HUB_UNDER_TEST": str(self.settings), "PYTHONPATH": "", "PATH": path_for_servers(self.folder)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "config.py")],
                cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        if wait:
            until(self._answers, 60, f"the hub answers\n{self.log.read_text()[-3000:]}")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-5000:]
        try:
            return httpx.get(f"{self.url}/hub/api/", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def pid(self) -> int:
        """Pid of the hub."""
        assert self.process is not None
        return self.process.pid

    def alive(self) -> bool:
        """Whether the hub's process is still the one that was started."""
        return self.process is not None and self.process.poll() is None

    def identity(self) -> object:
        """Its pid while it runs."""
        return self.pid if self.alive() else None

    def running(self) -> set[str]:
        """The mark that each server's processes have in their environment."""
        return {mark for _, mark in self._marked()}

    def printed(self) -> str:
        """Its log."""
        return self.log.read_text()

    def around(self) -> set[str]:
        """The servers: nothing else is outside."""
        return self.running()

    def stop(self) -> None:
        """Stop hub, proxy and servers."""
        if self.process is None:
            return
        children = self.children()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        self.process = None

    def kill(self) -> None:
        """As the system kills when memory runs out. The proxy, which would outlive the hub, goes too."""
        assert self.process is not None
        proxies = [child for child in self.children() if "proxy" in " ".join(child.cmdline()) or child.name() == "traefik"]
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for proxy in proxies:
            proxy.kill()
        psutil.wait_procs(proxies, 10)
        self.process = None

    def children(self) -> list[psutil.Process]:
        """Everything that descends from the hub."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []

    def processes(self) -> list[psutil.Process]:
        """Every process of a server of this hub."""
        return [process for process, _ in self._marked()]

    def _marked(self) -> Iterator[tuple[psutil.Process, str]]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                if environment.get("AFKIT_SERVER_MARK") and str(self.state) in environment.get("HOME", ""):
                    yield process, environment["AFKIT_SERVER_MARK"]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that the system gives to no connection while a hub restarts."""
    ports: set[int] = set()
    while len(ports) < count:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)
