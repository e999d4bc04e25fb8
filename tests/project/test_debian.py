"""Chromium is installed where root can do it with apt; elsewhere one line says what is left out, and how to get it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.suite.browser import find_browser
from tools.suite.debian import install_missing


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose PATH has a folder of our own only, and whose apt-get makes what it is asked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AFKIT_CHROMIUM", raising=False)
    if find_browser() is not None:
        pytest.skip("this machine has a Chromium outside the PATH")
    apt = tmp_path / "apt-get"
    apt.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / 'asked').open('a').write(' '.join(sys.argv[1:]) + chr(10))\n"
        "if 'install' in sys.argv and 'chromium' in sys.argv:\n"
        "    (here / 'chromium').touch(mode=0o755)\n"
    )
    apt.chmod(0o755)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="apt is Debian's")
def test_root_on_debian_installs_it_and_says_so(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install_missing(root=True)
    assert find_browser() == str(bare / "chromium")
    assert "apt-get install chromium" in capsys.readouterr().out
    assert (bare / "asked").read_text().splitlines()[0] == "update -q -o DPkg::Lock::Timeout=300"


def test_others_are_told_what_is_left_out(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install_missing(root=False)
    said = capsys.readouterr().out
    assert "NOT TESTED without a Chromium" in said
    assert "playwright install chromium" in said
    assert not (bare / "asked").exists()


def test_nothing_is_done_where_there_is_one(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bare / "google-chrome").touch(mode=0o755)
    install_missing(root=True)
    assert capsys.readouterr().out == ""
    assert not (bare / "asked").exists()
