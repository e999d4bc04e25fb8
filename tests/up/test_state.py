"""What `afkit up` keeps and claims: the state directory and its lock, ports, logs."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from afkit.errors import CallError, PlatformError
from afkit.up.logs import Log
from afkit.up.ports import DEFAULT, HOST, choose_port, free_ports
from afkit.up.processes import MARK
from afkit.up.state import State, default_directory, read_json, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestState:
    def test_is_private_and_complete(self, tmp_path: Path) -> None:
        state = State.open(tmp_path / "a" / "b")
        assert [mode(folder) for folder in (state.directory, state.homes, state.logs, state.runtime)] == [0o700] * 4
        assert len(state.mark) == 32
        state.close()

    def test_mark_stays(self, tmp_path: Path) -> None:
        marks = set()
        for _ in range(2):
            state = State.open(tmp_path / "s")
            marks.add(state.mark)
            state.close()
        assert len(marks) == 1

    def test_second_one_is_told_who_has_it(self, tmp_path: Path) -> None:
        state = State.open(tmp_path / "s")
        state.note("http://127.0.0.1:8123/")
        with pytest.raises(PlatformError, match=rf"Another afkit up \(process {os.getpid()}, at http://127.0.0.1:8123/\) uses"):
            State.open(tmp_path / "s")
        state.close()
        State.open(tmp_path / "s").close()

    def test_lock_is_not_inherited(self, tmp_path: Path) -> None:
        state = State.open(tmp_path / "s")
        pipe = subprocess.PIPE
        child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=pipe, stdout=pipe, close_fds=False)
        assert child.stdout is not None
        child.stdout.readline()
        state.close()
        State.open(tmp_path / "s").close()
        child.communicate(b"\n")

    def test_of_many_at_once_one_gets_it(self, tmp_path: Path) -> None:
        code = "import sys, pathlib; from afkit.up.state import State; State.open(pathlib.Path(sys.argv[1])); print('mine', flush=True)"
        command = [sys.executable, "-c", f"{code}; input()", str(tmp_path / "s")]
        pipe = subprocess.PIPE
        many = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(6)]
        said = [child.stdout.readline() for child in many if child.stdout]  # who has it waits for its input
        errors = [child.communicate("\n")[1] for child in many]
        assert sorted(said) == [""] * 5 + ["mine\n"]
        assert all(said or "Another afkit up (process " in error for said, error in zip(said, errors, strict=True))

    def test_another_directory_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("")
        tmp_path.chmod(0o755)
        with pytest.raises(CallError, match="is not empty and was not made by afkit up"):
            State.open(tmp_path)
        assert mode(tmp_path) == 0o755
        assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]

    @pytest.mark.parametrize("kind", ["empty", "text", "directory", "link", "dangling"])
    def test_another_programs_lock_is_not_ours(self, tmp_path: Path, kind: str) -> None:
        lock, target = tmp_path / "s/lock", tmp_path / "target"
        lock.parent.mkdir(mode=0o755)
        (lock.parent / "status").write_text("")
        if kind == "directory":
            lock.mkdir()
        elif kind in ("link", "dangling"):
            lock.symlink_to(target)
        else:
            lock.write_text("4711\n" if kind == "text" else "")
        if kind == "link":
            target.write_text('{"pid": 4711}')
        with pytest.raises(CallError, match="is not empty and was not made by afkit up"):
            State.open(lock.parent)
        assert mode(lock.parent) == 0o755
        assert {entry.name for entry in lock.parent.iterdir()} == {"lock", "status"}
        assert target.exists() == (kind == "link")

    def test_a_first_start_that_was_killed_or_a_note_that_was_lost_keeps_nobody_out(self, tmp_path: Path) -> None:
        lock = tmp_path / "s/lock"
        lock.parent.mkdir()
        lock.write_text("")
        first = State.open(lock.parent)
        first.close()
        lock.write_text("")  # the disk was full
        again = State.open(lock.parent)
        again.close()
        assert again.mark == first.mark

    def test_a_copy_is_a_facility_of_its_own(self, tmp_path: Path) -> None:
        first = State.open(tmp_path / "first")
        write_private(first.processes, "{}")
        first.close()
        shutil.copytree(first.directory, tmp_path / "copy")
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, MARK: first.mark})
        try:
            for _ in range(2):
                with pytest.raises(PlatformError, match="is a copy of one whose facility is running"):
                    State.open(tmp_path / "copy")
            State.open(tmp_path / "first").close()
        finally:
            child.communicate(b"\n")
        copy = State.open(tmp_path / "copy")
        copy.close()
        assert copy.mark != first.mark and not copy.processes.exists()
        first.directory.rename(tmp_path / "moved")
        moved = State.open(tmp_path / "moved")
        moved.close()
        assert moved.mark == first.mark

    def test_an_empty_one_is_taken(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        State.open(tmp_path).close()
        assert mode(tmp_path) == 0o700

    def test_path_through_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(PlatformError, match="cannot be used: a part of the path is a file") as caught:
            State.open(tmp_path / "file" / "s")
        assert caught.value.hint == "Name another with --state DIR."

    def test_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(PlatformError, match="the path is too long"):
            State.open(tmp_path / ("x" * 300))

    def test_leftovers_of_a_kill_are_removed(self, tmp_path: Path) -> None:
        state = State.open(tmp_path / "s")
        write_private(state.facility_json, "{}")
        (state.directory / ".facility.json-abc").write_text("half a tok")
        state.close()
        State.open(tmp_path / "s").close()
        assert not state.facility_json.exists()
        assert not list(state.directory.glob(".*"))

    @pytest.mark.parametrize("written", ["relative/path", ""])
    def test_default_directory_without_xdg(self, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", written)
        assert default_directory("lab") == Path.home() / ".local/state/afkit/lab"

    def test_default_directory_with_xdg(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert default_directory("lab") == tmp_path / "afkit/lab"

    def test_private_file(self, tmp_path: Path) -> None:
        path = tmp_path / "f.json"
        path.write_text("old")
        path.chmod(0o644)
        write_private(path, "new")
        assert (path.read_text(), mode(path)) == ("new", 0o600)
        assert [entry.name for entry in tmp_path.iterdir()] == ["f.json"]

    @pytest.mark.parametrize("content", ["", "[1]", "{", "\udcff"])
    def test_damaged_json_is_empty(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "f.json"
        path.write_bytes(content.encode(errors="surrogateescape"))
        assert read_json(path) == {}


class TestPorts:
    def test_default_or_next(self) -> None:
        first = choose_port(None)
        assert DEFAULT <= first <= DEFAULT + 20
        with socket.create_server((HOST, first)):
            assert choose_port(None) != first

    def test_taken(self) -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PlatformError, match=f"Port {port} is taken by another program"):
                choose_port(port)

    def test_taken_on_all_addresses(self) -> None:
        with socket.create_server(("", 0)) as taken, pytest.raises(PlatformError, match="is taken"):
            choose_port(taken.getsockname()[1])

    def test_zero_is_any(self) -> None:
        assert choose_port(0) > 1023

    def test_a_port_that_was_just_given_back(self) -> None:
        with socket.create_server((HOST, 0)) as server:
            port = server.getsockname()[1]
            client = socket.create_connection((HOST, port))
            peer, _ = server.accept()
            peer.close()  # this side then waits for late packets
            client.close()
        assert choose_port(port) == port

    def test_different(self) -> None:
        assert len(set(free_ports(5))) == 5


class TestLogs:
    def test_bounded_and_tail(self, tmp_path: Path) -> None:
        log = Log(tmp_path / "x.log", most=100_000)
        reader, writer = os.pipe()
        thread = log.follow(reader)
        for number in range(50_000):
            os.write(writer, b"line %d\n" % number)
        os.write(writer, b"no newline")
        os.close(writer)
        thread.join(20)
        assert not thread.is_alive()
        assert log.tail(2) == ["line 49999", "no newline"]
        sizes = {entry.name: entry.stat().st_size for entry in tmp_path.iterdir()}
        assert set(sizes) == {"x.log", "x.log.1"}
        assert max(sizes.values()) <= 100_000
        assert (tmp_path / "x.log").read_bytes().endswith(b"\nline 49999\nno newline")

    def test_a_first_chunk_over_the_bound_is_kept(self, tmp_path: Path) -> None:
        log = Log(tmp_path / "x.log", most=3)
        reader, writer = os.pipe()
        os.write(writer, b"more than three\n")
        os.close(writer)
        log.follow(reader).join(10)
        assert (tmp_path / "x.log").read_bytes() == b"more than three\n"

    def test_a_folder_that_is_gone_does_not_stop_the_child(self, tmp_path: Path) -> None:
        log = Log(tmp_path / "gone" / "x.log")
        reader, writer = os.pipe()
        thread = log.follow(reader)
        os.write(writer, b"x" * 300_000 + b"\nlast\n")  # more than a pipe holds: this returns only if somebody reads
        os.close(writer)
        thread.join(10)
        assert log.tail(1) == ["last"]
