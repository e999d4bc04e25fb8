"""Real parts that many suites use, found on this machine or said to be missing."""

from __future__ import annotations

import os
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
