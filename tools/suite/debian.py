"""The parts of the tests that come from the system's packages: installed where that is possible, else named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.suite.browser import find_browser

PACKAGES = ("chromium", "fonts-liberation", "fonts-dejavu-core")
"""Chromium, and letters for it: a bare image has none."""
_PATIENCE = ("-o", "DPkg::Lock::Timeout=300")


class PackageError(Exception):
    """A package could not be had; the text says why."""


def install_missing(*, root: bool) -> None:
    """Install Chromium with apt where this is ``root`` on Debian or Ubuntu; elsewhere say what is left out, and how to get it.

    In continuous integration (``CI=true``) the tests that need it then fail instead of being left out.
    """
    if find_browser() is not None:
        return
    if root and install(*PACKAGES) and find_browser() is not None:
        return
    print(
        "afkit: NOT TESTED without a Chromium: the browser suite. As root `apt-get install chromium` brings one, "
        "elsewhere `.venv/bin/playwright install chromium`, or AFKIT_CHROMIUM=/path/to/chromium names one.",
        flush=True,
    )


def install(*packages: str) -> bool:
    """Install packages, as root on Debian or Ubuntu; returns whether that went well. Never removes a package for it."""
    if sys.platform != "linux" or not shutil.which("apt-get"):
        return False
    print(f"afkit: apt-get install {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "--no-remove", *_PATIENCE, *packages]
    ended = 1
    for command in (["apt-get", "update", "-q", *_PATIENCE], wanted):
        ended = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
    return ended == 0


def unpack(folder: Path, *packages: str) -> None:
    """Fetch packages and unpack their files into ``folder``: the machine stays as it is. Raises ``PackageError``."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise PackageError(f"this is neither Debian nor Ubuntu: install {', '.join(packages)} yourself")
    subprocess.run(["apt-get", "update", "-q", *_PATIENCE], stdout=subprocess.DEVNULL, check=False)
    fetch = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages]
    if subprocess.run(fetch, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise PackageError(f"these packages could not be fetched (the lines above say why): {' '.join(packages)}")
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
        archive.unlink()


def release() -> str:
    """Which system this is, for what depends on its packages."""
    file = Path("/etc/os-release")
    return file.read_text() if file.exists() else sys.platform
