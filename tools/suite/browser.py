"""Finds a Chromium on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_OF_PLAYWRIGHT = {
    "~/.cache/ms-playwright": "chromium-*/chrome-linux*/chrome",
    "~/Library/Caches/ms-playwright": "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
}


def find_browser() -> str | None:
    """The path of a Chromium: ``AFKIT_CHROMIUM``, one on the PATH, an application of macOS, or one that playwright installed."""
    named = os.environ.get("AFKIT_CHROMIUM")
    if named:
        return named
    found = [path for name in _NAMES if (path := shutil.which(name))]
    found += [place for place in _PLACES if Path(place).exists()]
    for folder, pattern in _OF_PLAYWRIGHT.items():
        found += sorted(str(path) for path in Path(folder).expanduser().glob(pattern))
    return found[0] if found else None
