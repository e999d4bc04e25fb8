"""State directories that cannot be written, with real file systems: full, read-only, not one's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rules import missing
from tests.up.conftest import Make
from tests.up.running import Up, answers, until


class Mounted:
    """A file system of its own, of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, size: str) -> Path:
        self.folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder)], check=False).returncode != 0:
            self.folder.rmdir()
            missing("a small file system", "This container may not mount one.")
        return self.folder


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        missing("a small file system", "Run the suite as root: it mounts a tmpfs of a few megabytes.")
    one = Mounted(tmp_path / "mounted")
    yield one
    if one.folder.is_mount():
        subprocess.run(["umount", str(one.folder)], check=True)


def test_full(mounted: Mounted) -> None:
    folder = mounted.make("1m")
    code, out, err = Up(folder / "s").start().result()
    assert (code, out) == (3, "")
    assert err == (
        f"afkit: The state directory {folder}/s cannot be used: the disk is full."
        " Free some space there, or name another with --state DIR.\n"
    )


def test_read_only(mounted: Mounted) -> None:
    folder = mounted.make("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    code, out, err = Up(folder / "s").start().result()
    assert (code, out) == (3, "")
    assert "cannot be used: the file system is read-only." in err


def test_fills_up_while_it_runs(mounted: Mounted, up: Make) -> None:
    """The hub cannot write its database any more; all the same it ends in order, and with space again all is there again."""
    folder = mounted.make("64m")
    run = up(folder / "s", "--port", "0").start().ready()
    run.serve()
    with pytest.raises(OSError, match="No space left"), (folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 2**20)
    assert run.api("POST", "/users/grace/server").status_code >= 400
    assert run.api("GET", "/").status_code == 200
    os.kill(run.child("proxy").pid, signal.SIGKILL)
    until(lambda: answers(run), "an answer through another proxy")
    code, _, err = run.end()
    assert code == 0, err
    assert not run.left()

    (folder / "ballast").unlink()
    again = up(folder / "s", "--port", "0").start().ready()
    assert again.facility["users"] == run.facility["users"]
    again.serve("grace")
    assert again.end()[0] == 0


def test_not_writable(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o500)
    # root may write everywhere, unless it gives that right up
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run([*without, *Up(folder / "s").command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"afkit: The state directory {folder}/s cannot be used: you may not write there. Name another with --state DIR.\n"
