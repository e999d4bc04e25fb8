"""What the browser tests do with a page: log in, look for barriers, take a picture."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 90_000
"""Milliseconds that anything may take: a page, a server, a notebook's cell."""
MOST_BYTES = 150_000
"""Size of a picture that is kept in the documentation."""


@contextmanager
def opened(path: str) -> Iterator[Browser]:
    """One Chromium for many visitors, with the patience that all of its tests have, and with a font that a desktop would have."""
    expect.set_options(timeout=PATIENCE)
    fonts = {"FONTCONFIG_FILE": str(Path(__file__).with_name("fonts.conf"))}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), env={**os.environ, **fonts})
        yield browser
        browser.close()


@contextmanager
def visitor(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page of somebody who has never been here; nothing may be loaded from elsewhere, and no script may fail.

    ``options`` are those of the browser's context (``color_scheme``, ``java_script_enabled``, ``viewport`` …).
    """
    options = {"viewport": {"width": 1280, "height": 900}, "base_url": url, "reduced_motion": "reduce"} | options
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    context.set_default_navigation_timeout(PATIENCE)
    elsewhere: list[str] = []
    failed: list[str] = []
    home = urlsplit(url).netloc
    context.on("request", lambda request: elsewhere.append(request.url) if _is_elsewhere(request.url, home) else None)
    page = context.new_page()
    page.on("pageerror", lambda error: failed.append(str(error)))
    try:
        yield page
        assert not elsewhere, f"loaded from outside the facility: {elsewhere}"
        assert not failed, f"scripts failed: {failed}"
    finally:
        context.close()


def _is_elsewhere(address: str, home: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != home


def log_in(page: Page, name: str, password: str, path: str = "/hub/spawn") -> None:
    """Ask for a page, and log in on the way."""
    page.goto(path)
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state()


def barriers(page: Page) -> list[str]:
    """Serious and critical findings of axe-core, each as rule and elements."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {[node['target'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def take(page: Page, file: Path, *, whole: bool = False) -> None:
    """A picture of the page, with few enough colours to be small."""
    if whole:
        page.evaluate("scrollTo(0, 0)")
    picture = Image.open(io.BytesIO(page.screenshot(full_page=whole, animations="disabled", caret="hide")))
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)
    assert file.stat().st_size < MOST_BYTES, f"{file.name} has {file.stat().st_size} bytes"
