"""What `afkit up` says and to whom: a terminal, a pipe, a browser; and what its options change."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.secrets import Secrets
from tests.up.conftest import Make, register
from tests.up.running import Up, until


class Terminal:
    """`afkit up` in a terminal of its own, as a person starts it."""

    def __init__(self, run: Up) -> None:
        self.run = run
        self.text = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(run.command[0], run.command, {**os.environ, **run.environment})

    def read(self, until_text: str, seconds: float = 60) -> str:
        deadline = time.monotonic() + seconds
        while until_text not in self.text:
            assert time.monotonic() < deadline, self.text
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.master, 65536).decode().replace("\r\n", "\n")
                except OSError:  # the other side has closed
                    break
        return self.text

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(tmp_path: Path, secrets_seen: Secrets) -> Iterator[Terminal]:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    run = Up(tmp_path / "s", "--port", "0", browser=True, BROWSER=str(browser))
    one = Terminal(run)
    yield one
    run.kill()
    try:
        os.kill(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    register(run, secrets_seen)


def test_terminal(terminal: Terminal, tmp_path: Path) -> None:
    text = terminal.read("admins\n")
    run = terminal.run
    (url,) = re.findall(r"https?://\S+", text)
    passwords = dict(re.findall(r"^  (\S+) +([a-z0-9]{4}(?:-[a-z0-9]{4}){3})   ", text, re.MULTILINE))
    assert set(passwords) == {"ada", "grace", "root-of-all"}
    content = until(lambda: (run.state / "facility.json").read_text(), "facility.json")
    assert all(word in content for word in (url, *passwords.values()))
    until((tmp_path / "opened").exists, "the browser")
    assert until((tmp_path / "opened").read_text, "the address") == f"{url}\n"
    assert "\x1b" not in text

    run.look()
    terminal.type(b"\x03")
    assert "Stopped; nothing is left running.\n" in terminal.read("running.\n")
    assert terminal.wait() == 0
    assert not run.left()


def test_terminal_closed(terminal: Terminal) -> None:
    terminal.read("admins\n")
    terminal.run.look()
    os.close(terminal.master)
    assert terminal.wait() == 0
    assert not terminal.run.left()
    assert not (terminal.run.state / "facility.json").exists()


def test_what_this_machine_is_not(tmp_path: Path, up: Make) -> None:
    run = up(tmp_path / "s", "--port", "0").start().ready()
    _, _, err = run.end()
    assert "Not on this machine:\n" in err
    assert re.search(r"Pools that this machine is not, shown in the form but refused: (amd64|arm64) \((amd64|arm64)\)", err)


def test_nobody_reads(tmp_path: Path, up: Make) -> None:
    """`afkit up | head -1`: the reader goes, the facility stays."""
    run = up(tmp_path / "s", "--port", "0").start()
    assert run.running.stdout is not None
    run.running.stdout.close()
    run.running.stdout = None
    run.ready()
    assert run.api("GET", "/users").status_code == 200
    code, _, err = run.end()
    assert code == 0
    assert "Error" not in err


def test_options(tmp_path: Path, up: Make) -> None:
    """A person more, no token, the pure-Python proxy, one asked-for port."""
    run = up(tmp_path / "s", "--port", "0", "--no-token", "--proxy", "python", "--user", "ben=physicists").start().ready()
    assert set(run.facility) == {"url", "pid", "users"}
    assert run.log_in("ben", run.facility["users"]["ben"]).status_code == 302
    before = run.child("proxy")
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: run.child("proxy") != before, "another proxy")
    until(lambda: _logs_in(run, "ben"), "the hub has told it its routes again")
    code, _, err = run.end()
    assert code == 0
    (notice,) = [line for line in err.splitlines() if "pure-Python proxy" in line]
    assert "over 100 MiB fail" in notice
    assert not run.left()


def _logs_in(run: Up, user: str) -> bool:
    try:
        return run.log_in(user, run.facility["users"][user]).status_code == 302
    except Exception:  # noqa: BLE001  # no proxy, or one that knows no hub: a transport error or a page without a form
        return False


PRODUCTION = """\
version: 1
facility: {name: site, title: A site}
identity:
  allow: [physicists]
  issuers: {cms: {url: "https://auth.example.org/", dialect: wlcg, client: {id: hub, secret: {env: NO_SUCH_VARIABLE}}}}
groups:
  physicists: {from: ["cms:/cms"]}
pools:
  cpu: {arch: amd64}
  arm: {arch: arm64}
images: {python: {image: "registry.example.org/python:1@sha256:%s", arch: [amd64, arm64]}}
sizes: {small: {cpu: 1, memory: 2Gi}}
profiles: {analysis: {allow: [physicists], pools: [cpu, arm], images: [python], sizes: [small]}}
"""


class TestProductionFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "facility.yaml"
        path.write_text(PRODUCTION % ("1" * 64))
        return path

    def test_nobody_could_log_in(self, tmp_path: Path, file: Path, up: Make) -> None:
        code, out, err = up(tmp_path / "s", str(file)).start().result()
        assert (code, out) == (2, "")
        assert err == (
            "afkit: Nobody could log in: the facility site has no people of its own under identity.local."
            " Add some with --user, for example --user ada=physicists.\n"
        )

    def test_with_a_person_and_one_more_while_it_runs(self, tmp_path: Path, file: Path, up: Make) -> None:
        run = up(tmp_path / "x", str(file), "--port", "0", "--user", "ada=physicists", XDG_STATE_HOME=str(tmp_path)).start().ready()
        assert set(run.facility["users"]) == {"ada"}
        file.write_text(file.read_text().replace("identity:\n", "identity:\n  local: {users: {ben: {groups: [physicists]}}}\n"))
        until(lambda: set(run.reread()["users"]) == {"ada", "ben"}, "ben has a password")
        assert run.log_in("ben", run.facility["users"]["ben"]).status_code == 302
        file.write_text("version: 2\n")
        run.serve()
        code, _, err = run.end()
        assert code == 0
        assert "New in the facility file: ben; passwords are in" in err


def test_default_state_directory(tmp_path: Path) -> None:
    """`afkit up` without ``--state``."""
    state = tmp_path / "xdg/afkit/laptop"
    run = Up(state, "--port", "0", XDG_STATE_HOME=str(tmp_path / "xdg"))
    run.arguments = [*run.arguments]
    popen = subprocess.Popen([*run.command[:4], "--no-browser"], env={**os.environ, **run.environment}, stderr=subprocess.DEVNULL)
    run.popen = popen
    try:
        run.ready()
        assert run.facility["url"].startswith("http://127.0.0.1:")
        popen.terminate()
        assert popen.wait(60) == 0
    finally:
        run.kill()


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "afkit", "up", "--help"], capture_output=True, text=True, check=True)
    for heavy in ("jupyterhub", "distributed", "tornado", "kubernetes_asyncio"):  # the benchmark measures the time, alone
        assert not re.search(rf"\| +{heavy}$", done.stderr, re.MULTILINE)
    for word in ("FILE", "--port", "--state", "--user", "--no-browser", "--no-token"):
        assert word in done.stdout
