"""Every kill and every obstacle: what is left is consistent, and one sentence says what is wrong."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from afkit.up.processes import alive
from tests.up.conftest import Make
from tests.up.running import CLUSTER, Up, until

CHILD = "import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)"
"""What user code may do: a child in a session of its own, which dies with nobody."""


def test_all_killed_then_started_again(tmp_path: Path, up: Make) -> None:
    """`afkit up` and its hub are killed at once: the proxy, a server, a kernel, its cluster and its child live on until the next start."""
    state = tmp_path / "s"
    first = up(state, "--port", "0").start().ready()
    server = first.serve()
    kernel = first.execute(CLUSTER + CHILD)
    hub, proxy = first.child("hub"), first.child("proxy")
    first.running.kill()
    os.kill(hub.pid, signal.SIGKILL)
    first.result()
    before = first.left()
    assert {server, kernel, proxy} <= before
    assert (state / "facility.json").exists()  # nobody could take it away

    second = up(state, "--port", "0").start().ready()
    assert not {one for one in before if alive(one)}
    assert second.facility["users"] == first.facility["users"]
    assert second.api("GET", "/users", token=first.facility["token"]).status_code == 403
    assert second.state_of() == {}
    home = state / "homes"
    assert list(home.iterdir())
    second.serve()

    code, _, err = second.end(signal.SIGINT)
    assert code == 0
    assert "processes that an earlier run had left" in err
    assert not second.left()


def test_supervisor_killed(tmp_path: Path, up: Make) -> None:
    """Only `afkit up` is killed: its hub sees that and ends everything."""
    run = up(tmp_path / "s", "--port", "0").start().ready()
    run.serve()
    run.execute(CHILD)
    run.running.kill()
    run.result()
    until(lambda: not run.left(), f"nothing is left of {run.seen}", 20)


@pytest.mark.parametrize("moment", ["settings.json", "processes.json"])
def test_supervisor_killed_while_it_starts(tmp_path: Path, up: Make, moment: str) -> None:
    run = up(tmp_path / "s", "--port", "0").start()
    until(lambda: (run.state / "run" / moment).exists(), moment)
    run.running.kill()
    run.result()
    until(lambda: not run.left(), f"nothing is left of {run.seen}", 20)


def test_hub_killed(tmp_path: Path, up: Make) -> None:
    run = up(tmp_path / "s", "--port", "0").start().ready()
    run.serve()
    run.execute(CHILD)
    os.kill(run.child("hub").pid, signal.SIGKILL)
    code, _, err = run.result()
    assert code == 3
    assert "afkit: The hub ended by itself (SIGKILL)." in err
    assert f"Its last lines, from {run.state / 'logs/hub.log'}:" in err
    assert not run.left()
    assert not (run.state / "facility.json").exists()


def test_stopped_at_the_first_answer(tmp_path: Path, up: Make) -> None:
    run = up(tmp_path / "s", "--port", "0").start().ready()
    code, _, err = run.end()
    assert code == 0, err
    assert not run.left()


@pytest.mark.parametrize("moment", ["settings.json", "processes.json", "rules.toml"])
def test_stopped_while_it_starts(tmp_path: Path, up: Make, moment: str) -> None:
    run = up(tmp_path / "s", "--port", "0").start()
    until(lambda: (run.state / "run" / moment).exists(), moment)
    code, out, err = run.end()
    assert (code, out) == (0, ""), err
    assert not run.left()


def test_hub_that_cannot_start(tmp_path: Path, up: Make) -> None:
    state = tmp_path / "s"
    first = up(state, "--port", "0").start().ready()
    first.end()
    (state / "hub.sqlite").write_bytes(b"no database" * 1000)
    code, out, err = up(state, "--port", "0").start().result()
    assert (code, out) == (3, "")
    assert "afkit: The hub ended before it answered (exit status 1)." in err
    assert "file is not a database" in err
    assert "Traceback" not in err.splitlines()[0]


def test_killed_hub_left_a_lock_on_its_database(tmp_path: Path, up: Make) -> None:
    state = tmp_path / "s"
    first = up(state, "--port", "0").start().ready()
    first.end()
    with sqlite3.connect(state / "hub.sqlite") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)


def refused(state: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and the whole of standard error of a run that must not start; standard output stays empty."""
    code, out, err = Up(state, *arguments, **environment).start().result()
    assert out == ""
    assert "Traceback" not in err
    return code, err


class TestSentences:
    def test_state_directory_of_another_program(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("")
        code, err = refused(tmp_path)
        assert (code, err) == (
            2,
            f"afkit: {tmp_path} is not empty and was not made by afkit up. Name an empty or a new directory with --state DIR.\n",
        )

    def test_unknown_group(self, tmp_path: Path) -> None:
        code, err = refused(tmp_path / "s", "--user", "ben=physicist")
        assert (code, err) == (2, "afkit: --user: the facility laptop has no group 'physicist'. Did you mean physicists?\n")
        assert not (tmp_path / "s").exists()

    def test_file_with_errors(self, tmp_path: Path) -> None:
        file = tmp_path / "facility.yaml"
        file.write_text("version: 1\nfacility: {name: x}\nprofile: {}\n")
        code, err = refused(tmp_path / "s", str(file))
        assert code == 2
        assert f"{file}:3:1: AF" in err
        assert "profiles" in err

    def test_no_file(self, tmp_path: Path) -> None:
        code, err = refused(tmp_path / "s", str(tmp_path / "nothing.yaml"))
        assert code == 2
        assert "nothing.yaml" in err

    @pytest.mark.parametrize("port", ["-1", "65536", "http", "", "8 000", "1e3"])
    def test_no_port(self, tmp_path: Path, port: str) -> None:
        code, err = refused(tmp_path / "s", f"--port={port}")
        assert code == 2
        assert "is no port" in err
