"""From exec to the first answer of a single-user server: afkit's environment and command, beside plain pip's.

The peer is ``jupyterhub-singleuser`` of a second environment with the same packages at the same versions, filled by plain
pip (made once, kept in the cache). Both register with the same real hub.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row, alternate, show
from tools.cache import cached

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PATIENCE = 60.0
"""Seconds that a server has to answer."""


def rows() -> list[Row]:
    """Seconds of wall time, and of processor time until then; the first start of each is thrown away."""
    plain = plain_environment()
    with tempfile.TemporaryDirectory() as folder, hub(Path(folder)) as environment:
        ours = [sys.executable, "-m", "jupyterhub.singleuser", "--LanguageServerManager.autodetect=False"]
        theirs = [str(plain / "bin" / "jupyterhub-singleuser")]
        start(ours, environment)
        start(theirs, environment)
        wall = alternate(lambda: start(ours, environment)[0], lambda: start(theirs, environment)[0], rounds=5)
        cpu = alternate(lambda: start(ours, environment)[1], lambda: start(theirs, environment)[1], rounds=3)
    name = "jupyterhub-singleuser, plain pip"
    return [
        Row("server, exec to first answer", name, "s", *wall, aim=0.6),
        Row("server, processor time until then", name, "s", *cpu),
    ]


def start(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Start a server, wait for its first answer, end it; returns wall and processor seconds until the answer."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/user/bench/"
    root = ["--allow-root"] if os.geteuid() == 0 else []
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, *root],
        env={**environment, "JUPYTERHUB_SERVICE_URL": url},
        cwd=environment["HOME"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_answered(f"{url}api", process)
        return time.perf_counter() - began, cpu_seconds(process.pid)
    finally:
        process.terminate()
        process.wait()


def until_answered(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the address answers, whatever it answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} did not answer")


def cpu_seconds(pid: int) -> float:
    """Processor seconds that a process and its ended children have used."""
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def hub(folder: Path) -> Iterator[dict[str, str]]:
    """A plain hub; yields the environment that it would give to a server of somebody called bench."""
    token = secrets.token_hex(16)
    port, api, proxy = free_port(), free_port(), free_port()
    (folder / "jupyterhub_config.py").write_text(
        f"c = get_config()\n"
        f"c.JupyterHub.bind_url = 'http://127.0.0.1:{port}'\n"
        f"c.JupyterHub.hub_bind_url = 'http://127.0.0.1:{api}'\n"
        f"c.JupyterHub.proxy_class = 'configurable-http-proxy'\n"
        f"c.ConfigurableHTTPProxy.command = [{str(Path(sys.executable).with_name('configurable-http-proxy'))!r}]\n"
        f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{proxy}'\n"
        f"c.JupyterHub.authenticator_class = 'null'\n"
        f"c.JupyterHub.services = [dict(name='bench', api_token={token!r})]\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until_answered(f"http://127.0.0.1:{api}/hub/api/", process)
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "JUPYTERHUB_API_TOKEN": token,
            "JUPYTERHUB_API_URL": f"http://127.0.0.1:{api}/hub/api",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-bench",
            "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/bench/oauth_callback",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/bench/",
            "JUPYTERHUB_USER": "bench",
            "SHELL": "/bin/sh",
        }
    finally:
        process.terminate()
        process.wait()


def plain_environment() -> Path:
    """An environment with what a server needs, at the versions of the constraints, filled by plain pip."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = sorted({*extras["hub"], *extras["session"], *extras["analysis"]})
    content = "\n".join([sys.version, *wanted]).encode() + CONSTRAINTS.read_bytes()

    def make(folder: Path) -> None:
        print("filling the peer's environment with plain pip (once; about two minutes)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        pip = [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", str(CONSTRAINTS), *wanted], check=True)

    return cached("plain-pip", content, make) / "env"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    """Print the table."""
    print(show(rows()))
