"""Servers that fail, end, are killed, or outlive a killed hub: what is left is consistent, and their page says why they ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jsonschema
import jupyterhub
import psutil
import pytest

from afkit.hub.events import SERVER_END, schema
from tests.hub.conftest import MakeHub, running
from tests.hub.harness import Hub, Kernel, until
from tests.support.secrets import Secrets


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Hub]:
    """The hub of the tests that kill it."""
    yield from running(Hub(tmp_path_factory.mktemp("killed")), secrets_seen)


@pytest.fixture
def mortal(killed: Hub) -> Iterator[Hub]:
    """The same: it runs, and nothing runs in it, when a test begins and ends."""
    yield killed
    if not killed.alive():
        killed.start()
    killed.stop_all()


def server_process(hub: Hub, name: str, server: str = "") -> psutil.Process:
    record = hub.server(name, server)
    assert record is not None
    return psutil.Process(record["state"]["pid"])


def test_a_server_has_a_home_of_its_own_and_what_the_file_gives_it(hub: Hub) -> None:
    assert hub.start_server("ada", {"profile": "analysis", "interface": "tree"}).status_code == 201
    process = server_process(hub, "ada")
    environment = process.environ()
    home = hub.state / "homes" / "ada"
    assert process.cwd() == environment["HOME"] == str(home)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (hub.state / "servers" / "ada.log").stat().st_mode & 0o777 == 0o600
    wanted = {
        "AFKIT_FACILITY": "hubtest", "AFKIT_PROFILE": "analysis", "AFKIT_POOL": "amd64", "CPU_LIMIT": "1.0", "MEM_LIMIT": str(2**30),
        "GREETING": "hello ada", "BRACES": "${HOME} {} $${0}", "INTERFACE": "tree", "JUPYTERHUB_DEFAULT_URL": "/tree?q=${x}",
        "AFKIT_SERVICES": f"{hub.url}/services/",
    }  # fmt: skip
    assert {key: environment.get(key) for key in wanted} == wanted
    assert (
        environment["PATH"].split(os.pathsep)[0] == str(Path(process.exe()).parent)
        or Path(environment["PATH"].split(os.pathsep)[0], "jupyter").exists()
    )
    hub.stop_server("ada")
    # nothing of that choice is left for the next one
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    environment = server_process(hub, "ada").environ()
    assert "INTERFACE" not in environment and environment["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    hub.stop_server("ada")


def test_limits_that_are_none_are_not_told(hub: Hub) -> None:
    assert hub.start_server("grace", {"profile": "analysis", "size": "large"}).status_code == 201
    environment = server_process(hub, "grace").environ()
    assert environment["CPU_LIMIT"] == "4.0" and "MEM_LIMIT" not in environment
    hub.stop_server("grace")
    assert hub.start_server("grace", {"profile": "training"}).status_code == 201
    assert server_process(hub, "grace").environ()["MEM_LIMIT"] == str(2**30)
    hub.stop_server("grace")


def test_stopping_a_server_ends_all_that_it_started(hub: Hub) -> None:
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    with Kernel(hub, "ada") as kernel:
        kernel.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
        names = sorted(process.name() for process in hub.processes())
        assert "sleep" in names and len(names) == 3
        hub.stop_server("ada")
    until(lambda: hub.processes() == [], 5, "nothing is left")
    assert hub.server("ada") is None


def test_a_server_that_is_killed_leaves_nothing_and_its_page_says_why(hub: Hub) -> None:
    before = len(hub.events_of(SERVER_END))
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    browser = hub.browser("ada")
    with Kernel(hub, "ada") as kernel:
        kernel.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
        server_process(hub, "ada").kill()
        until(lambda: hub.server("ada") is None, 30, "the hub has noticed")
    until(lambda: hub.processes() == [], 10, "nothing is left")
    page = browser.get("/hub/user/ada/lab")
    assert page.status_code == 424
    assert "The server was ended by SIGKILL, by somebody, or by the system because memory ran out." in page.text
    assert "jupyterhub-singleuser" in page.text or "Jupyter" in page.text, "the last lines of its log"
    events = hub.events_of(SERVER_END)[before:]
    assert [(event["user"], event["server"], event["why"]) for event in events] == [("ada", "", "exit")]
    jsonschema.validate({key: value for key, value in events[0].items() if not key.startswith("__")}, schema(SERVER_END))
    # the next one starts, and says no more of the last
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    hub.stop_server("ada")
    assert "SIGKILL" not in browser.get("/hub/user/ada/lab").text


@pytest.mark.oldest
def test_a_server_that_cannot_start_says_why_and_is_no_failure_of_the_hub(hub: Hub) -> None:
    config = hub.state / "homes" / "noor" / ".jupyter" / "jupyter_server_config.py"
    config.parent.mkdir(parents=True)
    config.write_text("import sys\nprint('my config is broken', 'token=abcdefabcdef0123', '<b>')\nsys.exit(3)\n")
    token = hub.token_of("noor")
    browser = hub.browser("noor")
    for _ in range(3):  # two counted failures would end this hub
        answer = hub.api("POST", "/users/noor/server", token=token)
        assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (424, "server-failed"), answer.text
    assert answer.json()["message"] == "The server ended with exit code 3."
    assert "my config is broken token=[hidden]" in answer.json()["hint"]
    page = browser.get("/hub/spawn-pending/noor")
    assert page.status_code == 424
    assert "exit code 3" in page.text and "my config is broken token=[hidden] &lt;b&gt;" in page.text
    assert hub.alive() and hub.processes() == []
    config.unlink()
    assert hub.start_server("noor").status_code == 201
    hub.stop_server("noor")


def test_a_kernel_that_is_killed_comes_back_and_the_server_stays(hub: Hub) -> None:
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    with Kernel(hub, "ada") as kernel:
        pid = int(kernel.run("import os; print(os.getpid())"))
        os.kill(pid, signal.SIGKILL)
        until(lambda: kernel.state() in ("idle", "starting") and not psutil.pid_exists(pid), 30, "the kernel is back")
    assert server_process(hub, "ada").is_running()
    hub.stop_server("ada")
    assert hub.processes() == []


@pytest.mark.oldest
def test_a_killed_hub_finds_its_servers_again(mortal: Hub) -> None:
    hub = mortal
    assert hub.start_server("grace", {"profile": "training"}).status_code == 201
    first = server_process(hub, "grace").pid
    hub.kill()
    assert psutil.pid_exists(first)
    hub.start()
    found = until(lambda: (server := hub.server("grace")) and server["ready"] and server, 30, "the server is found again")
    assert found["state"]["pid"] == first
    assert found["state"]["afkit"]["running"]["chosen"]["profile"] == "training"
    assert hub.api("GET", "/../../user/grace/api/status", token=hub.token_of("grace")).status_code == 200
    # it is counted: one more is granted, a third is not
    assert hub.start_server("grace", {"profile": "training"}, "second").status_code == 201
    assert hub.start_server("grace", {"profile": "training"}, "third").json()["reason"] == "limit-exceeded"
    hub.stop_server("grace", "second")
    hub.stop_server("grace")
    assert hub.processes() == []


def test_what_was_killed_with_the_hub_is_put_in_order(mortal: Hub) -> None:
    hub = mortal
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    with Kernel(hub, "ada") as kernel:
        kernel.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
        server = server_process(hub, "ada")
        hub.kill()
        server.kill()
    hub.start()
    until(lambda: hub.server("ada") is None, 30, "the hub knows that it is gone")
    until(lambda: hub.processes() == [], 10, "nothing is left")
    assert "The server ended while the hub was not running." in hub.browser("ada").get("/hub/user/ada/lab").text
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201


def test_a_hub_that_is_killed_during_a_start_leaves_no_stray(mortal: Hub) -> None:
    hub = mortal
    token = hub.token_of("ada")

    def start() -> None:
        try:
            hub.api("POST", "/users/ada/server", token=token, json={"profile": "analysis"})
        except httpx.HTTPError:  # the connection goes away with the hub
            return

    thread = threading.Thread(target=start)
    thread.start()
    until(hub.processes, 20, "the server's process is there")
    hub.kill()
    thread.join()
    hub.start()
    # either it is found and becomes ready, or it is ended; it is never left beside
    until(lambda: (server := hub.server("ada")) is None or server["ready"], 60, "the hub has decided")
    if hub.server("ada") is None:
        until(lambda: hub.processes() == [], 20, "the stray is ended")
    assert hub.start_server("ada", {"profile": "analysis"}).status_code in (201, 400)
    hub.stop_server("ada")
    until(lambda: hub.processes() == [], 10, "nothing is left")


LIFETIMES = "lifetime: {idle: 24h, max: 7d}"


@pytest.mark.oldest
def test_idle_and_old_servers_are_stopped_and_a_busy_kernel_is_not_idle(make_hub: MakeHub) -> None:
    file = (Path(__file__).parent / "facility.yaml").read_text()
    assert LIFETIMES in file
    hub = make_hub(facility=file.replace(LIFETIMES, "lifetime: {idle: 10s, max: 36s}")).start()
    browser = hub.browser("ada")
    began = time.monotonic()
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    assert hub.start_server("grace", {"profile": "training"}).status_code == 201
    with Kernel(hub, "grace") as kernel:
        kernel.send("import time; time.sleep(120)")
        until(lambda: hub.server("ada") is None, 30, "the idle one is stopped")
        assert time.monotonic() - began >= 10
        # longer than grace's server may be idle: nothing is to happen, so there is no event to wait for
        time.sleep(max(began + 22 - time.monotonic(), 0))
        assert hub.server("grace") is not None, "a kernel that computes is no idle server"
        until(lambda: hub.server("grace") is None, 40, "the old one is stopped, busy or not")
    assert time.monotonic() - began >= 34
    until(lambda: hub.processes() == [], 10, "nothing is left")
    until(lambda: len(hub.events_of(SERVER_END)) >= 2, 20, "both ends are published")
    ends = [(event["user"], event["why"]) for event in hub.events_of(SERVER_END)]
    assert ends == [("ada", "idle"), ("grace", "age")]
    assert "nothing had happened in it for 10s" in browser.get("/hub/user/ada/lab").text


def test_a_restart_of_the_hub_does_not_make_servers_younger(mortal: Hub) -> None:
    hub = mortal
    file = hub.facility.read_text()
    hub.facility.write_text(file.replace(LIFETIMES, "lifetime: {max: 20s}"))
    began = time.monotonic()
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    hub.kill()
    hub.start()
    again = time.monotonic()
    until(lambda: hub.server("ada") is None, 60, "its time is over")
    over = time.monotonic()
    assert over - began >= 18
    assert over - again < 20, "its age counts from its own start"
    hub.facility.write_text(file)


@pytest.mark.oldest
def test_a_start_that_is_cancelled_leaves_nothing(hub: Hub) -> None:
    statuses: list[int] = []
    token = hub.token_of("ada")
    thread = threading.Thread(
        target=lambda: statuses.append(hub.api("POST", "/users/ada/server", token=token, json={"profile": "analysis"}).status_code)
    )
    thread.start()
    until(hub.processes, 20, "the server's process is there")
    assert hub.api("DELETE", "/users/ada/server", token=token).status_code in (202, 204)
    thread.join()
    until(lambda: hub.server("ada") is None, 20, "the hub knows that it is gone")
    until(lambda: hub.processes() == [], 10, "nothing is left")
    # what it held of the limits is free again
    assert hub.start_server("ada", {"profile": "analysis"}, token=token).status_code == 201
    hub.stop_server("ada")
    assert statuses and statuses[0] < 500, statuses


def test_a_server_that_never_answers_is_no_failure_of_the_hub(make_hub: MakeHub) -> None:
    hub = make_hub(after="c.Spawner.start_timeout = 5; c.Spawner.consecutive_failure_limit = 2").start()
    config = hub.state / "homes" / "noor" / ".jupyter" / "jupyter_server_config.py"
    config.parent.mkdir(parents=True)
    config.write_text("import time\ntime.sleep(600)\n")
    for _ in range(2):
        answer = hub.api("POST", "/users/noor/server")
        assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (424, "server-failed"), answer.text
        assert answer.json()["message"] == "The server did not answer within 4 seconds."
    time.sleep(3)  # a hub that has had enough ends two seconds later
    assert hub.alive() and hub.processes() == []


def test_a_home_that_cannot_be_made_is_one_sentence(hub: Hub) -> None:
    homes, aside, printed = hub.state / "homes", hub.state / "aside", len(hub.printed())
    if homes.exists():
        homes.rename(aside)
    homes.write_text("a file where the directory of homes belongs")
    answer = hub.api("POST", "/users/ada/server", json={"profile": "analysis"})
    homes.unlink()
    if aside.exists():
        aside.rename(homes)
    assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (424, "server-failed")
    assert answer.json()["message"] == "The server could not be started: Not a directory."
    if not jupyterhub.__version__.startswith("5."):  # which writes the traceback of every failed start itself
        assert "Traceback" not in hub.printed()[printed:]
