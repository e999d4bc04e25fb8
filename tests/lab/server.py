"""A real JupyterLab server, without a hub, as the tests of this folder use it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from jupyter_client.blocking.client import BlockingKernelClient

from tests.support.parts import path_for_servers

TOKEN = "not-a-secret-of-anybody"


def until(what: Callable[[], Any], *, within: float = 30.0, every: float = 0.1) -> Any:
    """The first true value of ``what()``; fails when there is none in time."""
    end = time.monotonic() + within
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"nothing came of {what} in {within:g} s"
        time.sleep(every)


class JupyterServer:
    """``jupyter lab`` in its own folders; ``http`` speaks to it with its token, ``log()`` is what it has printed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.home, self.runtime = folder / "home", folder / "run"
        self.home.mkdir(exist_ok=True)
        self._log = folder / "log"
        own = {key: value for key, value in os.environ.items() if not key.startswith(("AFKIT_", "JUPYTER", "DASK_", "PYTHONDONTWRITE"))}
        own |= {
            "HOME": str(self.home),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_TOKEN": TOKEN,
            "PATH": path_for_servers(folder),
        }
        self.environment = own | dict(environment)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
        self.process = subprocess.Popen(
            [*command, "--ServerApp.base_url=/user/ada/", "--LanguageServerManager.autodetect=False"],
            cwd=self.home,
            env=self.environment,
            stdout=self._log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.url = until(self._address, within=60)
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"token {TOKEN}"}, timeout=60)
        until(self._answers, within=60)

    def _address(self) -> str:
        assert self.process.poll() is None, self.log()
        file = self.runtime / f"jpserver-{self.process.pid}.json"
        with contextlib.suppress(OSError, ValueError):
            return f"http://127.0.0.1:{json.loads(file.read_text())['port']}/user/ada/"
        return ""

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("api").status_code == 200
        return False

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def clusters(self) -> list[dict[str, Any]]:
        answer = self.http.get("dask/clusters")
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def warnings(self) -> list[str]:
        answer = self.http.get("afkit/lifetime")
        assert answer.status_code == 200, answer.text
        return [one["kind"] for one in answer.json()["warnings"]]

    @contextlib.contextmanager
    def kernel(self) -> Iterator[BlockingKernelClient]:
        key = self.http.post("api/kernels", json={"name": "python3"}).raise_for_status().json()["id"]
        client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{key}.json"))
        client.load_connection_file()
        client.start_channels()
        try:
            until(lambda: _ready(client), within=90)
            yield client
        finally:
            client.stop_channels()
            with contextlib.suppress(httpx.TransportError):
                self.http.delete(f"api/kernels/{key}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.http.close()


def _ready(client: BlockingKernelClient) -> bool:
    # on a busy machine a late heartbeat looks to the client like a dead kernel
    with contextlib.suppress(RuntimeError):
        client.wait_for_ready(timeout=60)
        return True
    return False


def execute(client: BlockingKernelClient, code: str, *, within: float = 60.0) -> str:
    """Run a cell; what it printed. Fails where the cell fails."""
    printed: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            printed.append(content["text"])
        elif message["msg_type"] == "error":
            raise AssertionError("\n".join(content["traceback"]))

    client.execute_interactive(code, timeout=within, output_hook=hook, allow_stdin=False)
    return "".join(printed)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody has fetched counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
