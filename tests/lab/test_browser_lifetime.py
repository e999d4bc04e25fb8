"""The warning before a session ends, as a person sees it in JupyterLab."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.lab.browser import open_lab
from tests.lab.server import JupyterServer

SHOTS = Path("test-results/lab")


@pytest.mark.slow("JupyterLab is loaded, and time has to pass")
def test_a_person_is_warned_and_can_keep_an_idle_session(start_jupyter: Callable[..., JupyterServer], page: Page) -> None:
    limits = {"idle": 30, "max": 28_800, "started": time.time() - 28_300, "ends": time.time() + 500}
    server = start_jupyter(AFKIT_LIFETIME=json.dumps(limits))
    errors = open_lab(page, server)
    toasts = page.locator(".Toastify__toast")
    idle = toasts.filter(has_text="This session has been idle and ends in less than a minute. What is not saved then is lost.")
    oldest = toasts.filter(has_text="after 8h, the longest allowed. Save your work; files stay. (")
    expect(oldest).to_be_visible(timeout=60_000)
    expect(idle).to_be_visible(timeout=60_000)
    # no button that would not help
    expect(oldest.get_by_role("button", name="Keep it running")).to_have_count(0)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "lifetime.png")
    idle.get_by_role("button", name="Keep it running").click()
    expect(idle).to_have_count(0, timeout=10_000)
    expect(oldest).to_have_count(1)
    assert server.warnings() == ["max"]
    assert errors == []
