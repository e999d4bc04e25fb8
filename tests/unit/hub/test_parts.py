"""The hub's smaller parts that need no hub."""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afkit.errors import FacilityError, LimitExceededError, MalformedError, NoCapacityError, NotEntitledError, UnknownChoiceError
from afkit.facility.follow import FacilitySource
from afkit.facility.load import load_facility
from afkit.hub import dask, processes
from afkit.hub.authenticator import AfkitLocalAuthenticator, Attempts
from afkit.hub.events import DECISION, SERVER_END, schema
from afkit.hub.lifetime import due, overdue
from afkit.hub.refusal import Refused, ServerFailed, answer, status_of
from afkit.hub.running import Running
from afkit.hub.scopes import grant_services, service_scopes
from afkit.hub.serverlog import exit_cause, open_log, redact, tail, trim
from afkit.hub.usage import Ledger
from afkit.policy.model import Use

LAPTOP = (Path(__file__).parents[3] / "afkit/up/laptop.yaml").read_text()


# --- the facility file


def test_a_changed_file_is_read_a_broken_one_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text(LAPTOP)
    source = FacilitySource(file, {"tess": ["accelerated"], "ada": ["accelerated"]})
    first = source.current()
    assert first.identity is not None and first.identity.local is not None
    assert first.identity.local["tess"] == ("accelerated",) and first.identity.local["ada"] == ("physicists", "accelerated")
    assert source.current() is first
    seen: list[str] = []
    source.on_change(lambda facility: seen.append(facility.title))

    file.write_text(LAPTOP.replace("profiles:", "profils:"))
    assert source.current() is first and seen == []
    assert source.problems and all(problem.severity == "error" for problem in source.problems)

    file.write_text(LAPTOP.replace("title: Analysis facility on this machine", "title: Another"))
    assert source.current().title == "Another" and seen == ["Another"] and source.problems == ()

    file.unlink()
    assert source.current().title == "Another" and source.problems
    file.write_text(LAPTOP)
    assert source.current().title == first.title and source.problems == ()


def test_the_file_below_is_watched_too(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(LAPTOP)
    file = tmp_path / "facility.yaml"
    file.write_text("version: 1\nextends: base.yaml\nfacility: {title: Over}\n")
    source = FacilitySource(file)
    assert "seventh" not in source.current().sizes
    (tmp_path / "base.yaml").write_text(LAPTOP.replace("sizes:\n", "sizes:\n  seventh: {cpu: 1, memory: 1Gi}\n", 1))
    assert "seventh" in source.current().sizes and source.current().title == "Over"


def test_a_file_in_a_pod_is_followed_through_its_links(tmp_path: Path) -> None:
    """As a kubelet keeps a ConfigMap: a new version is a new folder, and the old one goes."""
    for version, title in (("v1", "One"), ("v2", "Two")):
        (tmp_path / version).mkdir()
        text = LAPTOP.replace("title: Analysis facility on this machine", f"title: {title}")
        (tmp_path / version / "facility.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "facility.yaml").symlink_to("..data/facility.yaml")
    source = FacilitySource(tmp_path / "facility.yaml")
    assert source.current().title == "One"
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "..data")
    shutil.rmtree(tmp_path / "v1")
    assert source.current().title == "Two" and source.problems == ()


def test_a_file_with_errors_at_the_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "facility.yaml").write_text("version: 2\n")
    with pytest.raises(FacilityError):
        FacilitySource(tmp_path / "facility.yaml")


# --- logs of servers


@pytest.mark.parametrize(
    "text",
    [
        "JUPYTERHUB_API_TOKEN=0123456789abcdef", "http://127.0.0.1:1/lab?token=abcdef0123", "Authorization: Bearer abcdef0123456789abcdef",
        "Authorization: token abcdef0123456789abcdef", '{"password": "abcdef0123"}', "Cookie: abcdef0123456789", "api_key = abcdef0123",
        "eyJhbGciOiJIUzI1NiJ9.abcdef0123.abcdef0123", "key abcdef0123456789abcdef0123456789abcdef", "https://user:abcdef0123@example.org/x",
        "OAUTH_CLIENT_SECRET: 'abcdef0123'", "token abcdef0123456789abcdef",
    ],
)  # fmt: skip
def test_secrets_are_hidden(text: str) -> None:
    assert "abcdef0123" not in redact(text) and "0123456789abcdef" not in redact(text)
    assert "[hidden]" in redact(text)


def test_what_is_no_secret_stays() -> None:
    text = "ImportError: cannot import name 'x' from 'y' (/home/ada/y.py), 3 tokens left"
    assert redact(text) == text


def test_a_log_keeps_its_end_and_one_predecessor(tmp_path: Path) -> None:
    file = tmp_path / "servers" / "ada.log"
    for number in range(3):
        descriptor = open_log(file)
        os.write(descriptor, b"".join(b"run %d line %d\n" % (number, line) for line in range(100)))
        os.close(descriptor)
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in file.parent.iterdir()) == ["ada.log", "ada.log.1"]
    assert tail(file, 2) == ("run 2 line 98", "run 2 line 99") and tail(file.with_name("ada.log.1"), 1) == ("run 1 line 99",)
    assert tail(tmp_path / "none") == ()


def test_a_log_that_is_too_long_is_cut_while_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "ada.log"
    descriptor = open_log(file)
    os.write(descriptor, b"".join(b"line %06d\n" % line for line in range(1000)))
    assert trim(file, 4000) and not trim(file, 4000)
    assert file.stat().st_size <= 1000
    os.write(descriptor, b"the next\n")
    os.close(descriptor)
    lines = file.read_bytes().splitlines()
    assert lines[-2:] == [b"line 000999", b"the next"] and all(len(line) in (8, 11) for line in lines)


@pytest.mark.parametrize(
    "status, sentence",
    [
        (None, "The server ended while the hub was not running."), (0, "The server ended by itself."),
        (3, "The server ended with exit code 3."),
        (-9, "The server was ended by SIGKILL, by somebody, or by the system because memory ran out."),
        (-11, "The server was ended by SIGSEGV, because of an error in compiled code."), (-99, "The server was ended by signal 99."),
    ],
)  # fmt: skip
def test_how_a_server_ended_in_words(status: int | None, sentence: str) -> None:
    assert exit_cause(status) == sentence


# --- lifetimes


def running(started: float = 1000.0, idle: int | None = None, age: int | None = None) -> Running:
    return Running({"profile": "p"}, Use("server", "", 1000, 2**30, "cpu"), started, idle, age, "digest")


def test_idle_counts_from_the_last_activity_and_age_from_the_start() -> None:
    assert overdue(running(), None, 1e9) is None and due(running(), None) == math.inf
    idle = running(idle=60)
    assert overdue(idle, None, 1059) is None and overdue(idle, 1050.0, 1109) is None
    assert (found := overdue(idle, 1050.0, 1110)) and found.why == "idle" and "for 1m." in found.message
    assert due(idle, 1050.0) == 1110 and due(idle, 10.0) == 1060
    old = running(idle=60, age=120)
    assert (found := overdue(old, 1119.0, 1120)) and found.why == "age" and found.lived == 120
    assert due(old, 1100.0) == 1120


def test_a_running_server_is_the_same_after_a_restart() -> None:
    one = Running({"profile": "p"}, Use("server", "x", 1000, 2**30, "gpu", 2), 1000.5, None, 60, "digest", ("nvidia/0", "nvidia/1"))
    assert Running.from_state("x", one.state()) == one
    for state in ({}, {"use": {}}, {"use": {"flavour": 1}}):
        with pytest.raises((KeyError, TypeError)):
            Running.from_state("", state)


# --- limits


def spawner(run: Running | None, active: bool = True) -> SimpleNamespace:
    return SimpleNamespace(running=run, active=active)


def test_the_ledger_counts_what_runs_what_was_granted_and_nothing_twice() -> None:
    gpu = Running({}, Use("server", "b", 2000, 0, "gpu", 1), 0.0, None, None, "", ("nvidia/0",))
    users: dict[int, Any] = {
        1: SimpleNamespace(name="ada", spawners={"": spawner(running()), "old": spawner(running(), active=False), "b": spawner(gpu)}),
        2: SimpleNamespace(name="grace", spawners={"": spawner(None)}),
    }
    ledger, ada, grace = Ledger(lambda: users), users[1], users[2]
    assert [(use.name, use.cpu) for use in ledger.usage(ada).uses] == [("", 1000), ("b", 2000)]
    assert [use.name for use in ledger.usage(ada, without="b").uses] == [""]
    assert ledger.accelerators() == {"cpu": 0, "gpu": 1, "": 0} and ledger.accelerators(("ada", "b")) == {"cpu": 0, "": 0}
    assert ledger.devices() == {"nvidia/0": 1}
    # a start that has not chosen yet is one server, and what it was granted once it is
    assert [(use.name, use.cpu) for use in ledger.usage(grace).uses] == [("", 0)]
    ledger.hold("grace", "", Use("server", "", 500))
    ledger.hold("grace", "c", Use("server", "c", 700))
    assert sorted((use.name, use.cpu) for use in ledger.usage(grace).uses) == [("", 500), ("c", 700)]
    assert ledger.held("grace", "c")
    ledger.release("grace", "c")
    ledger.release("grace", "nothing")
    users[2].spawners[""] = spawner(running())
    assert [(use.name, use.cpu) for use in ledger.usage(grace).uses] == [("", 1000)]


# --- refusals


def test_refusals_have_a_status_a_reason_and_escaped_markup() -> None:
    errors = (MalformedError, UnknownChoiceError, NotEntitledError, LimitExceededError, NoCapacityError)
    assert [status_of(error("x.")) for error in errors] == [400, 400, 403, 403, 409]
    refused = Refused(UnknownChoiceError("There is no <b> for 100% of you.", "Did you mean c?"))
    assert refused.headers == {"X-Afkit-Reason": "unknown-choice"} and "&lt;b&gt;" in refused.jupyterhub_html_message
    assert answer(400, refused) == {
        "status": 400, "reason": "unknown-choice", "message": "There is no <b> for 100% of you.", "hint": "Did you mean c?",
    }  # fmt: skip
    failed = ServerFailed("It ended.", ("line <1>",))
    assert failed.status_code == 424 and "line &lt;1&gt;" in failed.jupyterhub_html_message
    assert answer(405, None)["reason"] == "method-not-allowed"


def test_the_schemas_have_a_version_that_is_text() -> None:
    for event in (DECISION, SERVER_END):
        assert schema(event)["$id"] == event and isinstance(schema(event)["version"], str)
        assert set(schema(event)["required"]) == set(schema(event)["properties"])


# --- login


def test_wrong_passwords_have_to_wait_longer_and_longer() -> None:
    attempts = Attempts()
    now = 100.0
    for _ in range(5):
        assert attempts.wait("ada", now) == 0
        attempts.failed("ada", now)
    waits = []
    for _ in range(8):
        waits.append(attempts.wait("ada", now))
        now += waits[-1]
        assert attempts.wait("ada", now) == 0
        attempts.failed("ada", now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert attempts.wait("grace", now) == 0
    attempts.succeeded("ada")
    assert attempts.wait("ada", now) == 0
    for number in range(2000):
        attempts.failed(f"name{number}", now)
    assert attempts.wait("name0", now) == 0, "names are not remembered without end"


# --- scopes


def test_services_are_granted_only_where_they_are() -> None:
    def app(**more: Any) -> SimpleNamespace:
        return SimpleNamespace(**{"services": [{"name": "dask"}, {"name": "other"}], "load_roles": [], **more})

    assert service_scopes(app()) == ("access:services!service=dask",)
    five = app(load_roles=[{"name": "x"}])
    grant_services(five)
    assert five.load_roles == [{"name": "x"}, {"name": "user", "scopes": ["access:services!service=dask", "self"]}]
    six = app(extra_user_scopes={"shares!user"})
    grant_services(six)
    assert six.extra_user_scopes == {"shares!user", "access:services!service=dask"} and six.load_roles == []
    own = app(extra_user_scopes=set(), load_roles=[{"name": "user", "scopes": ["self", "list:users"]}])
    grant_services(own)
    assert own.load_roles == [{"name": "user", "scopes": ["access:services!service=dask", "list:users", "self"]}]
    none = app(services=[])
    grant_services(none)
    assert none.load_roles == []


def test_the_dask_service_is_registered_where_the_hub_has_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    facility = load_facility(Path(__file__).parents[1] / "pods" / "example.yaml")
    app = SimpleNamespace(services=[{"name": "other"}], load_roles=[])
    environ = {"AFKIT_DASK_TOKEN": "token"}
    dask.register(app, facility, environ)
    assert environ == {}, "servers and services that the hub starts do not get it"
    other, service = app.services
    assert other == {"name": "other"}
    assert service == {"name": "dask", "api_token": "token", "url": "http://afkit-dask.af-system:8080", "display": False}
    assert app.load_roles == [{"name": "afkit-dask", "services": ["dask"], "scopes": ["read:users:groups"]}]
    # a chart has registered it by itself
    dask.register(app, facility, {"AFKIT_DASK_TOKEN": "another"})
    assert app.services == [other, service]
    without = SimpleNamespace(services=[], load_roles=[])
    dask.register(without, facility, {})
    assert not without.services
    assert not dask.has_service(without)


# --- processes


def test_processes_are_found_by_their_mark_and_ended_with_their_children() -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)"
    code = f"import subprocess, sys, time; {child}; print(flush=True); time.sleep(60)"
    environment = {**os.environ, processes.MARK: "test:one"}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        started = processes.start_time(parent.pid)
        assert processes.is_process(parent.pid, started) and not processes.is_process(parent.pid, (started or 0) - 60)
        deadline = time.monotonic() + 10
        while len(found := processes.marked("test:one".__eq__)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(found) == 2 and len(processes.family(parent.pid)) == 2
        assert processes.end(found, 5.0) == 2
        parent.wait(5)
        assert processes.marked("test:one".__eq__) == () and processes.start_time(parent.pid) is None
    assert processes.family(parent.pid) == ()


def test_without_a_file_of_passwords_the_log_says_what_to_set(caplog: pytest.LogCaptureFixture) -> None:
    authenticator = AfkitLocalAuthenticator(log=logging.getLogger("afkit.test"))
    assert authenticator._passwords() == {}
    assert "set c.AfkitLocalAuthenticator.passwords_file" in caplog.text


def test_hubs_of_one_file_are_told_apart_by_their_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "facility.yaml"
    marks = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        marks += [processes.hub_mark(file, "sqlite:///hub.sqlite"), processes.hub_mark(file, "sqlite:///:memory:")]
    marks += [processes.hub_mark(file, f"postgresql://hub:{word}@db.example.org/{word}") for word in ("one", "other")]
    assert len({*marks}) == 6
    # the same hub, started again, wherever from
    assert processes.hub_mark(file, f"sqlite:///{tmp_path}/one/hub.sqlite") == marks[0]
    assert all(re.fullmatch(r"[0-9a-f]{16}", mark) for mark in marks)
