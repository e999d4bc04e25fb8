"""Fills the project's virtual environments: with uv, and with pip in the same run where uv is missing or fails.

Run as ``tools/with-python tools/environment.py TARGET``, by any Python from 3.11 on, before anything is installed; so
only the standard library is used. A lock lets two runs at once do the work once. A stamp (``.venv/.laptop``) is
written last.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"


@dataclass(frozen=True)
class Target:
    """What one stamp stands for: the environment's folder, the extras that are installed, and the versions that are chosen.

    ``covers`` are stamps of the same folder that ask for a part of it.
    """

    folder: str
    stamp: str
    extras: str
    constraints: str = "constraints.txt"
    covers: tuple[str, ...] = ()


TARGETS = {
    "laptop": Target(".venv", ".laptop", "laptop"),
    "test": Target(".venv", ".test", "test,kubernetes", covers=(".laptop",)),
    "docs": Target(".venv", ".docs", "docs,kubernetes", covers=(".laptop", ".test")),
    "oldest": Target(".venv-oldest", ".test", "test", "constraints-oldest.txt"),
}

PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "no-index": "UV_NO_INDEX",
    "find-links": "UV_FIND_LINKS",
}
"""Settings of pip that uv does not read, and how uv spells them."""


def main(arguments: list[str]) -> int:
    """Fill one environment; returns the exit code. Says what it does on standard error, and why it could not."""
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        say(f"usage: environment.py {'|'.join(TARGETS)}")
        return 2
    os.chdir(ROOT)
    target = TARGETS[arguments[0]]
    try:
        with only_one(ROOT / f"{target.folder}.lock"):
            return 0 if up_to_date(target) else fill(target)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        say(f"{target.folder} cannot be written: {error.strerror or error}")
        return 1


def up_to_date(target: Target) -> bool:
    """Whether the environment is usable and its stamp newer than what it was made from."""
    stamp = Path(target.folder, target.stamp)
    if not (usable(Path(target.folder)) and stamp.exists()):
        return False
    made = stamp.stat().st_mtime_ns
    return all(source.stat().st_mtime_ns <= made for source in [Path(target.constraints), *sources()])


def project() -> dict[str, Any]:
    """What ``pyproject.toml`` says."""
    return tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))


def sources() -> Iterator[Path]:
    """The files that an installation reads or copies, an editable one too."""
    yield Path("pyproject.toml")
    wheel = project().get("tool", {}).get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    for place in wheel.get("shared-data", {}):
        yield from (file for file in [Path(place), *Path(place).rglob("*")] if file.is_file())


def usable(folder: Path) -> bool:
    """Whether the environment's Python runs and its scripts point here (a checkout may have been moved or copied)."""
    python = folder / "bin" / "python"
    try:
        here = str(folder.resolve()) in (folder / "bin" / "activate").read_text()
        return here and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def fill(target: Target) -> int:
    """Make the environment where it is missing, install, and write the stamp."""
    started = time.monotonic()
    folder = Path(target.folder)
    python = folder / "bin" / "python"
    if not usable(folder):
        if folder.exists():
            say(f"{folder} was made elsewhere or its Python is gone; it is made anew")
            shutil.rmtree(folder)
        if subprocess.run([sys.executable, "-m", "venv", folder], check=False).returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            say(f"{sys.executable} could not make {folder}. Install the package python{version}-venv, or name another Python: PYTHON=…")
            return 1
    Path(folder, target.stamp).unlink(missing_ok=True)
    how = install(python, target)
    if how is None:
        say("the packages could not be installed; the lines above say why. Nothing is lost: run the same command again")
        return 1
    for stamp in (target.stamp, *target.covers):
        Path(folder, stamp).touch()
    say(f"{folder} is ready: [{target.extras}] by {how} in {time.monotonic() - started:.0f} s")
    return 0


def install(python: Path, target: Target) -> str | None:
    """Install the extras by uv, else by pip; returns the one that did it."""
    wanted = ["-c", target.constraints, "-e", f".[{target.extras}]"]
    uv = python.with_name("uv")
    if not uv.exists():
        pip(python, UV)
    if uv.exists():
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        again = ["--reinstall-package", project()["project"]["name"]]
        environment = uv_environment(os.environ, pip_settings(python))
        command = [uv, "pip", "install", *quiet, *again, "--python", python, *wanted]
        if subprocess.run(command, env=environment, check=False).returncode == 0:
            return "uv"
    say("uv is missing here or failed; pip goes on (slower)")
    return "pip" if pip(python, *wanted) == 0 else None


def pip(python: Path, *wanted: str) -> int:
    """Run ``pip install``; returns its exit code."""
    quiet = [] if sys.stderr.isatty() and "-e" in wanted else ["--quiet"]
    return subprocess.run([python, "-m", "pip", "install", *quiet, "--disable-pip-version-check", *wanted], check=False).returncode


def pip_settings(python: Path) -> dict[str, str]:
    """Pip's settings as pip itself finds them: its environment variables over its files, ``install`` over ``global``."""
    listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    return parse_settings(listed)


def parse_settings(listed: str) -> dict[str, str]:
    """The settings in what ``pip config list`` prints (``global.index-url='…'``, ``:env:.cert='…'``)."""
    found: dict[str, str] = {}
    lines = [line.partition("=") for line in listed.splitlines()]
    for prefix in ("global.", "install.", ":env:."):
        for key, _, value in lines:
            if key.startswith(prefix):
                with contextlib.suppress(ValueError, SyntaxError):
                    found[key.removeprefix(prefix)] = str(ast.literal_eval(value))
    return found


def uv_environment(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: pip's settings handed on where uv has none of its own. They are never printed."""
    handed = dict(environment)
    for key, variable in PIP_TO_UV.items():
        value = " ".join(settings.get(key, "").split())
        if key == "find-links":
            # pip passes over a folder that does not exist, uv stops at it
            value = ",".join(place for place in value.split() if "://" in place or Path(place).exists())
        if key == "no-index" and value.lower() in {"0", "false", "no", "off"}:
            value = ""
        if value:
            handed.setdefault(variable, value)
    return handed


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a file's lock; a second process waits and says so. The system frees it however the holder ends."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another make is filling this environment; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Print one line to standard error."""
    print(f"afkit: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
