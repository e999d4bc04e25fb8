"""One real run, looked at from all sides: what it says, who may in, what an administrator can do, what it leaves."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from afkit.up.processes import alive, process
from tests.support.secrets import Secrets
from tests.up.conftest import Make, register
from tests.up.running import CLUSTER, Up, answers, listening, until


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Up]:
    state = tmp_path_factory.mktemp("a path") / "with späces #1 % & more" / ("long" * 30)
    one = Up(state, "--port", "0").start()
    yield one.ready()
    one.kill()
    register(one, secrets_seen)


def test_state_is_private(run: Up) -> None:
    assert stat.S_IMODE(run.state.stat().st_mode) == 0o700
    for name in ("facility.json", "passwords.json", "cookie_secret", "run/settings.json", "run/processes.json"):
        assert stat.S_IMODE((run.state / name).stat().st_mode) == 0o600, name


def test_facility_json(run: Up) -> None:
    assert set(run.facility) == {"url", "pid", "users", "token"}
    assert run.facility["pid"] == run.running.pid
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", run.facility["url"])
    assert set(run.facility["users"]) == {"ada", "grace", "root-of-all"}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
def test_listens_on_loopback_only(run: Up) -> None:
    run.serve()
    addresses = listening(run.look())
    assert len(addresses) >= 4  # public, the proxy's own, hub, server
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}


def test_people_exist_before_any_login(run: Up) -> None:
    users = {user["name"]: user for user in run.api("GET", "/users").json()}
    assert set(users) == {"ada", "grace", "root-of-all"}
    assert users["ada"]["groups"] == ["physicists"]
    assert users["root-of-all"]["admin"]
    assert not users["ada"]["admin"]


def test_log_in(run: Up) -> None:
    for user, password in run.facility["users"].items():
        answer = run.log_in(user, password)
        assert answer.status_code == 302, user
        assert answer.headers["location"].startswith(("/hub/", f"/user/{user}/"))
    assert run.log_in("ada", "wrong").status_code in (401, 403)
    assert run.log_in("ada", run.facility["users"]["grace"]).status_code in (401, 403)
    assert run.log_in("eve", run.facility["users"]["ada"]).status_code in (401, 403)


def test_token_is_an_administrators(run: Up) -> None:
    assert run.api("GET", "/users", token="0" * 64).status_code == 403
    metrics = run.request("GET", "hub/metrics")
    assert metrics.status_code == 200
    assert "jupyterhub_" in metrics.text
    assert run.api("POST", "/groups/ours").status_code == 201
    assert run.api("DELETE", "/groups/ours").status_code == 204


def test_lab_asks_no_questions_and_runs_no_npm(run: Up) -> None:
    run.serve()
    settings = run.request("GET", "user/ada/lab/api/settings/").json()["settings"]
    (news,) = [entry for entry in settings if entry["id"] == "@jupyterlab/apputils-extension:notification"]
    defaults = news["schema"]["properties"]
    assert (defaults["fetchNews"]["default"], defaults["checkForUpdates"]["default"]) == ("false", False)
    assert run.request("GET", "user/ada/lsp/status").json()["specs"] == {}


def test_second_one_on_this_state(run: Up) -> None:
    code, out, err = Up(run.state).start().result()
    assert (code, out) == (3, "")
    assert f"Another afkit up (process {run.running.pid}, at {run.facility['url']}) uses" in err
    assert "Traceback" not in err
    assert run.api("GET", "/").status_code == 200


def test_port_taken(run: Up, tmp_path: Path) -> None:
    port = run.facility["url"].rsplit(":", 1)[1].rstrip("/")
    code, out, err = Up(tmp_path / "other", "--port", port).start().result()
    assert (code, out) == (3, "")
    assert err == (
        f"afkit: Port {port} is taken by another program. Name another with --port N, or leave --port out to have a free one chosen.\n"
    )


def test_another_one_of_the_same_file_leaves_its_servers_alone(run: Up, tmp_path: Path, up: Make) -> None:
    server = run.serve()
    kernel = run.execute("import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)")
    other = up(tmp_path / "other", "--port", "0").start().ready()
    other.serve()
    assert other.end()[0] == 0
    assert run.server() == server and alive(server) and alive(kernel)
    assert run.request("GET", "user/ada/api/status").status_code == 200


def test_proxy_killed(run: Up) -> None:
    server = run.serve()
    old = run.child("proxy")
    os.kill(old.pid, signal.SIGKILL)
    until(lambda: run.child("proxy") != old, "another proxy")
    until(lambda: answers(run), "an answer through it")
    assert run.request("GET", "user/ada/api/status").status_code == 200
    assert run.server() == server


def test_server_killed(run: Up) -> None:
    server = run.serve()
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not run.state_of(), "the hub has seen that the server is gone")
    assert run.serve() != server


def test_worker_killed(run: Up) -> None:
    """The session goes on, and the cluster gets another worker or says that it has none."""
    server = run.serve()
    kernel = run.execute(CLUSTER)
    worker = process(int(run.printed["worker"]))
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not alive(worker), "the worker is gone")
    assert alive(kernel)
    assert run.server() == server
    assert run.request("GET", "user/ada/api/status").status_code == 200


def test_kernel_killed(run: Up) -> None:
    """Its cluster goes with it, the server stays."""
    server = run.serve()
    kernel = run.execute(CLUSTER)
    worker = process(int(run.printed["worker"]))
    assert worker is not None
    os.kill(kernel.pid, signal.SIGKILL)
    until(lambda: not alive(worker), "the worker is gone", 10)
    assert run.server() == server


def test_stop(run: Up) -> None:
    """The last one: it ends the run."""
    run.serve()
    kernel = run.execute("import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)")
    assert kernel in run.seen
    code, out, err = run.end(signal.SIGTERM, times=2)
    assert code == 0, err
    assert out.count("http://") == 1
    assert run.facility["url"] in out
    assert str(run.state / "facility.json") in out
    assert not any(password in out + err for password in run.facility["users"].values())
    assert "Stopped; nothing is left running." in err
    assert not run.left()
    assert not (run.state / "facility.json").exists()
    assert list((run.state / "run").iterdir()) == []
    leaders = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(run.state) not in leaders
