"""What is said about repositories: states, causes and remedies; and what is asked for. Real mounts are in tests/session."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import afkit
from afkit.errors import MalformedError
from afkit.session.cvmfs import Checkup, Health, checkup, given, main
from afkit.session.cvmfs_ask import ask
from afkit.session.cvmfs_words import Mount, mounts_of, shape_of, words

WHOLE = "30 20 0:27 / /cvmfs ro,relatime master:5 - tmpfs tmpfs rw\n31 30 0:60 / /cvmfs/a.example.org ro master:7 - fuse.cvmfs2 cvmfs2 ro\n"
CLOSED = "30 20 0:27 / /cvmfs ro,relatime - tmpfs tmpfs rw\n"
SINGLE = "31 20 0:60 / /cvmfs/a.example.org ro - fuse.cvmfs2 cvmfs2 ro\n"


@pytest.mark.parametrize(
    ("mountinfo", "shape"),
    [
        (WHOLE, "whole"),
        (WHOLE.replace("master:", "shared:"), "whole"),
        (CLOSED, "closed"),
        (SINGLE, "single"),
        (WHOLE + SINGLE, "single"),
        ("", "none"),
        ("x - y\n", "none"),
    ],
)
def test_the_shape_of_a_mount_is_read_from_the_kernels_table(mountinfo: str, shape: str) -> None:
    assert shape_of(mounts_of(mountinfo), "/cvmfs", "a.example.org") == shape


def test_a_later_mount_covers_an_earlier_one_and_names_are_unescaped() -> None:
    assert shape_of(mounts_of(WHOLE + CLOSED), "/cvmfs", "a.example.org") == "closed"
    assert mounts_of("1 2 0:1 / /a\\040b rw shared:1 - ext4 /dev/x rw\n") == (Mount("/a b", "ext4", True),)


@pytest.mark.parametrize("state", ["ENOENT", "ELOOP", "ENOTCONN", "EIO", "EACCES", "hang", "hidden", "unknown", "EBADF"])
@pytest.mark.parametrize("shape", ["whole", "closed", "single", "none"])
def test_each_state_has_a_cause_and_a_remedy(state: str, shape: str) -> None:
    said = words(state, shape, "/cvmfs", "a.example.org")
    assert "/cvmfs/a.example.org" in said.message
    assert said.remedy.endswith(".")
    assert "{" not in said.message + said.remedy


def test_advice_after_the_clients_end_depends_on_the_shape() -> None:
    assert "heals by itself" in words("ENOTCONN", "whole", "/cvmfs", "a.b").remedy
    for shape in ("closed", "single"):
        assert "never comes back" in words("ENOTCONN", shape, "/cvmfs", "a.b").remedy
        assert "start it again" in words("ENOTCONN", shape, "/cvmfs", "a.b").remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("/cvmfs", ())),
        ("a.example.org,b.example.org", ("/cvmfs", ("a.example.org", "b.example.org"))),
        (" a.example.org , a.example.org,", ("/cvmfs", ("a.example.org",))),
        ("/srv/trees/", ("/srv/trees", None)),
    ],
)
def test_what_a_session_was_given(text: str, expected: tuple[str, tuple[str, ...] | None]) -> None:
    assert given({"AFKIT_CVMFS": text}) == expected
    assert given({}) == ("/cvmfs", ())


def test_a_plain_tree_is_well(tmp_path: Path) -> None:
    (tmp_path / "a.example.org").mkdir()
    (tmp_path / "a.example.org" / "file").write_text("x")
    seen = afkit.cvmfs.check("a.example.org", folder=str(tmp_path))
    assert (seen.state, seen.message, bool(seen)) == ("ok", "", True)
    assert str(seen).startswith("a.example.org: ok, 0.")
    assert afkit.cvmfs.check("b.example.org", folder=str(tmp_path)).state == "ENOENT"


def test_what_is_no_repository_is_refused_before_anything_is_touched() -> None:
    for name in ("../etc", "", "/cvmfs", 7):
        with pytest.raises(MalformedError):
            afkit.cvmfs.check(name)  # type: ignore[call-overload]
    with pytest.raises(MalformedError):
        checkup({"AFKIT_CVMFS": "a/../b"})


def test_a_session_without_repositories_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFKIT_CVMFS", raising=False)
    seen = afkit.cvmfs.check()
    assert (seen.good, str(seen)) == (True, "This session has no CVMFS repository.")


def test_a_checkup_shows_each_repository_with_its_remedy() -> None:
    bad = Health("a.example.org", "/cvmfs/a.example.org", "EIO", "It is <broken>.", "Wait.", seconds=0.1)
    seen = Checkup("/cvmfs", (bad, Health("b.example.org", "/cvmfs/b.example.org", "ok", attributes=(("revision", "7"),))))
    assert str(seen) == "a.example.org: EIO\n  It is <broken>.\n  → Wait.\nb.example.org: ok, revision 7, 0.00 s"
    assert "&lt;broken&gt;" in seen._repr_html_()
    assert not seen
    assert [one.good for one in seen] == [False, True]
    assert bad.as_json()["state"] == "EIO"


def test_the_command_prints_one_line_and_refuses_unless_the_facility_only_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.example.org").mkdir()
    codes = [main([], {"AFKIT_CVMFS": str(tmp_path)} | more) for more in ({}, {"AFKIT_CVMFS_ON_FAILURE": "warn"})]
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert codes == [1, 0]
    assert (first["refused"], second["refused"]) == (True, False)
    assert first["repositories"] == {"a.example.org": "hidden"}
    assert first["message"]
    (tmp_path / "a.example.org" / "file").touch()
    assert main(["a.example.org", "--folder", str(tmp_path)], {}) == 0


def test_the_line_fits_into_an_event_of_kubernetes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ",".join(f"repository-{number}.example.org" for number in range(10))
    main(["--folder", str(tmp_path), *names.split(",")], {})
    assert len(capsys.readouterr().out) < 1024


def test_a_child_that_does_not_come_to_a_word_holds_nobody(tmp_path: Path) -> None:
    began = time.monotonic()
    answers = ask(str(tmp_path), ["a.example.org"] * 3, 0.0)
    assert time.monotonic() - began < 3
    assert [answer.found for answer in answers] == [None] * 3
    assert afkit.cvmfs.check("a.example.org", folder=str(tmp_path), timeout=0.0).state == "unknown"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no list of open files on this system")
def test_no_open_file_stays(tmp_path: Path) -> None:
    def opened() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    ask(str(tmp_path), ["a"], 4)
    before = opened()
    for _ in range(3):
        ask(str(tmp_path), ["a"], 4)
    assert opened() == before


def test_the_public_name_loads_only_when_it_is_used() -> None:
    code = "import sys, afkit; assert 'afkit.session.cvmfs' not in sys.modules; afkit.cvmfs.check; assert 'distributed' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
