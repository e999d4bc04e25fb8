"""The way from a bare checkout to a filled environment, tried for real on a tiny project of the same shape."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import shutil
import stat
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]
PYPROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"
[project]
name = "tiny"
version = "1"
[project.optional-dependencies]
laptop = [{wanted}]
[tool.hatch.build.targets.wheel]
include = ["tiny.py"]
"""


def a_python(folder: Path, name: str, body: str) -> None:
    """A program with this name whose only words are ``body``."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def with_python(shell: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which(shell) or shell, ROOT / "tools" / "with-python", "-c", "print('ran')"]
    return subprocess.run(command, env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_first_python_that_can_make_environments_is_taken(shell: str, tmp_path: Path) -> None:
    a_python(tmp_path, "python3.11", "exit 127")
    a_python(tmp_path, "python3.12", 'case "$2" in *print*) echo twelve;; esac')
    a_python(tmp_path, "python3", "echo three")
    assert with_python(shell, tmp_path).stdout == "twelve\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_package_to_install_is_named(shell: str, tmp_path: Path) -> None:
    a_python(tmp_path, "python3.12", 'case "$2" in *ensurepip*) exit 1;; *%d*) echo 3.12;; esac')
    done = with_python(shell, tmp_path)
    assert done.returncode == 1
    assert "python3.12-venv" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_new_enough_python_it_says_so(shell: str, tmp_path: Path) -> None:
    a_python(tmp_path, "python3", "exit 1")
    done = with_python(shell, tmp_path)
    assert done.returncode == 1
    assert "no Python 3.11 or newer was found" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_named_python_is_taken_or_refused_by_name(tmp_path: Path) -> None:
    a_python(tmp_path, "mine", 'case "$2" in *print*) echo mine;; esac')
    a_python(tmp_path, "python3.11", "echo eleven")
    assert with_python("sh", tmp_path, PYTHON="mine").stdout == "mine\n"
    assert "PYTHON=absent" in with_python("sh", tmp_path, PYTHON="absent").stderr


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A checkout of the same shape that needs nothing but its build backend."""
    (tmp_path / "tools").mkdir()
    for name in ("with-python", "environment.py"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools" / name)
    (tmp_path / "tiny.py").write_text("")
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(wanted=""))
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    return tmp_path


def make(checkout: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *words], cwd=checkout, env={**clean, **environment}, capture_output=True, text=True, check=False)


def test_uv_fills_the_environment_and_a_second_make_has_nothing_to_do(tiny: Path) -> None:
    first = make(tiny, ".venv/.laptop")
    assert first.returncode == 0, first.stderr
    assert "by uv" in first.stderr
    assert (tiny / ".venv" / "bin" / "python").exists()
    assert make(tiny, ".venv/.laptop").stderr == ""


def test_pip_goes_on_where_uv_fails(tiny: Path) -> None:
    done = make(tiny, ".venv/.laptop", UV_DEFAULT_INDEX="http://127.0.0.1:1/simple", UV_NO_CACHE="1")
    assert done.returncode == 0, done.stderr
    assert "pip goes on" in done.stderr
    assert "by pip" in done.stderr


def test_a_run_that_failed_leaves_no_stamp(tiny: Path) -> None:
    (tiny / "pyproject.toml").write_text(PYPROJECT.format(wanted='"afkit-no-such-package-for-a-test==1"'))
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple", "PIP_RETRIES": "0"}
    make(tiny, ".venv/.laptop", **nowhere, PIP_INDEX_URL="http://127.0.0.1:1/simple")
    done = make(tiny, ".venv/.laptop", **nowhere, PIP_INDEX_URL="http://127.0.0.1:1/simple")
    assert done.returncode != 0
    assert "could not be installed" in done.stderr
    assert not (tiny / ".venv" / ".laptop").exists()


def test_a_moved_checkout_makes_its_environment_anew(tiny: Path) -> None:
    assert make(tiny, ".venv/.laptop").returncode == 0
    moved = tiny.with_name(f"{tiny.name} moved")
    tiny.rename(moved)
    done = make(moved, ".venv/.laptop")
    assert done.returncode == 0, done.stderr
    assert "made anew" in done.stderr


def test_the_index_of_pip_reaches_uv_unprinted(tiny: Path, index: tuple[str, list[str]]) -> None:
    url, asked = index
    (tiny / "pyproject.toml").write_text(PYPROJECT.format(wanted='"afkit-wheel-for-a-test"'))
    (tiny / "pip.conf").write_text(f"[global]\nextra-index-url = {url}\n")
    done = make(tiny, ".venv/.laptop", PIP_CONFIG_FILE=str(tiny / "pip.conf"), UV_NO_CACHE="1")
    assert done.returncode == 0, done.stderr
    assert "by uv" in done.stderr
    assert any("uv/" in agent for agent in asked)
    assert "a-password-for-a-test" not in done.stdout + done.stderr
    assert "127.0.0.1" not in done.stdout + done.stderr


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A package index on this machine with one wheel: its address, and who asked."""
    folder = tmp_path_factory.mktemp("index")
    project = folder / "simple" / "afkit-wheel-for-a-test"
    project.mkdir(parents=True)
    name = "afkit_wheel_for_a_test-1-py3-none-any.whl"
    a_wheel(project / name)
    (project / "index.html").write_text(f'<a href="{name}">{name}</a>')
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.headers.get("User-Agent", ""))

    server = HTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://somebody:a-password-for-a-test@127.0.0.1:{server.server_port}/simple", asked
    server.shutdown()
    server.server_close()


def a_wheel(path: Path) -> None:
    """Write an empty wheel."""
    info = "afkit_wheel_for_a_test-1.dist-info"
    files = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: afkit-wheel-for-a-test\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
