"""hub_config/laptop: a hub without `afkit up`, configured in ten lines."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from afkit.up.ports import HOST, free_ports
from afkit.up.processes import process, started
from tests.support.secrets import Secrets
from tests.up.running import until

EXAMPLE = Path(__file__).resolve().parents[2] / "hub_config/laptop"


def test_ten_lines() -> None:
    lines = (EXAMPLE / "jupyterhub_config.py").read_text().splitlines()
    code = [line for line in lines if line and not line.startswith(('"""', "#"))]
    assert len(code) <= 10


def test_runs(tmp_path: Path, secrets_seen: Secrets) -> None:
    folder = tmp_path / "laptop"
    shutil.copytree(EXAMPLE, folder)
    (folder / "passwords.json").write_text('{"emmy": "correct-horse", "max": "battery-staple"}')
    (folder / "passwords.json").chmod(0o600)
    secrets_seen.add("correct-horse", "battery-staple")
    public, hub, api = free_ports(3)
    url = f"http://{HOST}:{public}/"
    command = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py", f"--JupyterHub.bind_url={url}"]
    command += [f"--JupyterHub.hub_port={hub}", f"--TraefikProxy.traefik_api_url=http://{HOST}:{api}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "hub.log").open("wb") as log:
        popen = subprocess.Popen(command, cwd=folder, env={**os.environ, "PATH": path}, stdout=log, stderr=log)
    proxies: list[int] = []
    try:
        # the hub answers a moment before it can be stopped in order; `afkit up` does not depend on that
        until(lambda: popen.poll() is not None or "now running" in (folder / "hub.log").read_text(), "the hub runs", 90)
        children = subprocess.run(["pgrep", "-P", str(popen.pid)], capture_output=True, text=True, check=True).stdout.split()
        proxies = [int(pid) for pid in children]
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            client.get("hub/login")
            form = {"username": "emmy", "password": "correct-horse", "_xsrf": client.cookies["_xsrf"]}
            answer = client.post("hub/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/hub/spawn")
    finally:
        popen.send_signal(signal.SIGTERM)
        popen.wait(60)
        left = [one for pid in proxies if (one := process(pid))]
        for one in left:
            os.kill(one.pid, signal.SIGKILL)
        secrets_seen.watch(folder / "hub.log")
    assert not left, [started(one.pid) for one in left]
