"""Opening JupyterLab in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.lab.server import TOKEN, JupyterServer


def open_lab(page: Page, server: JupyterServer) -> list[str]:
    """Open JupyterLab; returns the list in which the page's errors gather."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: errors.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.goto(f"{server.url}lab?token={TOKEN}")
    page.locator(".jp-Launcher").wait_for(timeout=60_000)
    return errors
