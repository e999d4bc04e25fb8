"""Real parts that many suites use, found on this machine or said to be missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.rules import missing
from tools.suite.browser import find_browser


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a real Chromium."""
    path = find_browser()
    if path is None:
        missing("a Chromium", "As root: apt-get install chromium; elsewhere: .venv/bin/playwright install chromium.")
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real collision data that the notebooks are tried on."""
    folder = os.environ.get("AFKIT_TEST_DATA", "")
    if not folder or not Path(folder, "uproot-Zmumu.root").exists():
        missing("the real ROOT files", "AFKIT_TEST_DATA names the folder that has them.")
    return Path(folder)


def path_for_servers(folder: Path) -> str:
    """A PATH for what starts JupyterLab: where there is a Node.js, one before it that says nothing.

    JupyterLab asks a Node.js for yarn's settings at every start, a second of a processor, and needs them for nothing but its own build.
    """
    path = os.environ["PATH"]
    if not shutil.which("node"):
        return path
    place = folder / "programs"
    place.mkdir(exist_ok=True)
    (place / "node").write_text("#!/bin/sh\n")
    (place / "node").chmod(0o755)
    return f"{place}{os.pathsep}{path}"
