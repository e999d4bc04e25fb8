"""The registry's files: who may read them, what is removed, what is left alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from afkit.errors import PlatformError
from afkit.session import registry
from afkit.session.left import Held
from afkit.session.registry import Entry


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "runtime" / "afkit"


def entry(**changes: object) -> Entry:
    made = Entry(
        id="11111111-2222-3333-4444-555555555555",
        name="mine",
        pid=os.getpid(),
        started=registry.process_start(os.getpid()),
        host=os.uname().nodename,
        session="s",
        made=1.0,
        held=Held("mine", 2, 2000, 1 << 30, ("0",)),
        scheduler="tcp://127.0.0.1:1",
        token="a-token",
        adaptive=(0, 2),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_an_entry_is_read_as_it_was_written(runtime: Path) -> None:
    path = registry.write(entry())
    assert registry.entries() == [entry()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    assert "a-token" not in repr(entry())
    registry.remove(entry().id)
    assert registry.entries() == []
    registry.remove(entry().id)


def test_one_that_is_starting_is_counted_and_not_shown() -> None:
    registry.write(entry(scheduler=""))
    assert registry.entries() == []
    assert len(registry.entries(starting=True)) == 1


def test_an_entry_of_a_process_that_is_gone_is_removed(runtime: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    registry.write(entry(pid=done.pid))
    assert registry.entries(starting=True) == []
    assert not list(runtime.glob("*.json"))


def test_a_later_process_with_the_same_pid_is_another_one(runtime: Path) -> None:
    registry.write(entry(started="1"))
    assert registry.entries() == []
    assert not list(runtime.glob("*.json"))


def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = registry.process_start(child.pid)
    assert started
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert registry.process_start(child.pid) == ""
    child.communicate()


def test_an_entry_of_another_host_is_left_alone(runtime: Path) -> None:
    registry.write(entry(host="elsewhere"))
    assert registry.entries(starting=True) == []
    assert list(runtime.glob("*.json"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"held": 3}', json.dumps({"held": {"name": "x"}, "adaptive": 3})])
def test_what_is_no_entry_is_passed_over(runtime: Path, text: str) -> None:
    registry.write(entry())
    (runtime / "other.json").write_text(text)
    assert registry.entries() == [entry()]


def test_a_folder_that_others_can_read_is_closed(runtime: Path) -> None:
    runtime.mkdir(parents=True, mode=0o755)
    runtime.chmod(0o755)
    registry.folder(create=True)
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_locks_nothing_and_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "file"))
    with pytest.raises(PlatformError, match="cannot be made"):
        registry.folder(create=True)
    with registry.lock():
        assert registry.entries() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_else_s_folder_is_not_used(runtime: Path) -> None:
    runtime.mkdir(parents=True)
    os.chown(runtime, 65534, 65534)
    with pytest.raises(PlatformError, match="belongs to somebody else"):
        registry.folder(create=True)


def test_the_lock_excludes(tmp_path: Path) -> None:
    script = "from afkit.session import registry\nwith registry.lock():\n    print('got it', flush=True)\n"
    with registry.lock():
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1)
    assert child.communicate(timeout=20)[0] == "got it\n"


def test_a_cluster_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    for control in (str(tmp_path / "none"), "127.0.0.1:9"):
        with pytest.raises(PlatformError, match="'mine' is gone"):
            registry.call(entry(control=control), "state", timeout=2)
