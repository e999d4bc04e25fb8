"""Every page in every state in real Chromium: no barrier, no width too much, light, dark and phone; a picture of each is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.look import barriers, log_in, overflow, visitor

Picture = Callable[..., None]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
}
FORMS = ("ada", "grace", "grace-gpu", "grace-own", "refused", "wrong-image", "misfit", "gone", "full", "many", "nobody")
KEPT = {
    "ada": ("light", "dark", "phone"),
    "grace-gpu": ("light", "dark"),
    "grace-own": ("light",),
    "refused": ("light", "phone"),
    "gone": ("light",),
    "misfit": ("light",),
    "full": ("light",),
    "many": ("light",),
    "nobody": ("light",),
}
"""Of these forms a picture is kept; the others are looked at only by axe."""


def judge(page: Page, name: str) -> None:
    """No serious barrier, a main part, and no scrolling to the side."""
    assert barriers(page) == [], name
    assert page.locator("main").count() == 1
    assert overflow(page) <= 0, f"{name} is too wide"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("look", sorted(LOOKS))
def test_forms(browser: Browser, states_url: str, picture: Picture, look: str) -> None:
    for name in FORMS:
        with visitor(browser, states_url, **LOOKS[look]) as page:
            log_in(page, name, "gallery")
            assert page.get_by_role("heading", name="Start a server").count() == 1
            judge(page, f"{name}, {look}")
            if look in KEPT.get(name, ()):
                picture(page, f"form-{name}-{look}", whole=look != "phone" and name != "many")


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_other_pages(browser: Browser, states_url: str, picture: Picture, look: str) -> None:
    with visitor(browser, states_url, **LOOKS[look]) as page:
        page.goto("/hub/login")
        judge(page, "login")
        picture(page, f"login-{look}")
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        assert page.get_by_role("alert").inner_text() == "Invalid username or password"
        judge(page, "login, refused")
        picture(page, f"login-refused-{look}")
        for path, name in (("home", "home"), ("token", "tokens"), ("nothing-here", "error")):
            if name == "home":
                log_in(page, "ada", "gallery", "/hub/home")
            page.goto(f"/hub/{path}")
            judge(page, name)
            picture(page, f"{name}-{look}")
        page.goto("/hub/logout")
        judge(page, "logout")


def test_pending_failed_and_running(browser: Browser, states_url: str, picture: Picture) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "slow", "gallery")
        page.get_by_role("button", name="Start").click()
        page.get_by_text("Starting the server: 1 core").first.wait_for()
        judge(page, "pending")
        page.get_by_text("What happened so far").click()
        picture(page, "pending-light")
        page.goto("/hub/home")
        page.get_by_text("Starting", exact=True).wait_for()
        judge(page, "home, starting")
        page.goto("/hub/spawn-pending/slow")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("heading", name="Your server").wait_for()
        page.get_by_role("link", name="Choose and start").wait_for()
        judge(page, "not running")
        picture(page, "not-running-light")
    with visitor(browser, states_url, color_scheme="dark") as page:
        log_in(page, "unlucky", "gallery")
        page.get_by_role("button", name="Start").click()
        page.get_by_role("heading", name="Your server did not start").wait_for()
        assert "No module named 'jupyterlab'" in page.locator("main").inner_text()
        judge(page, "failed")
        picture(page, "failed-dark")
    with visitor(browser, states_url) as page:
        log_in(page, "idle", "gallery")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/user/idle/**")
        page.goto("/hub/home")
        page.get_by_text("Running", exact=True).wait_for()
        judge(page, "home, running")
        picture(page, "home-running-light")


def test_the_administrators_banner(browser: Browser, states_url: str, picture: Picture) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "root-of-all", "gallery", "/hub/home")
        banner = page.get_by_role("region", name="For administrators")
        assert "AF204" in banner.inner_text()
        judge(page, "banner")
        picture(page, "home-administrator-light")
        page.goto("/hub/admin")
        page.get_by_text("Add Users").wait_for()
        assert "AF204" in banner.inner_text()
    with visitor(browser, states_url) as page:
        log_in(page, "ada", "gallery", "/hub/home")
        assert "AF204" not in page.content()


def test_tokens_are_made_and_revoked(browser: Browser, states_url: str) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "grace", "gallery", "/hub/token")
        page.get_by_label("What it is for").fill("a script")
        page.get_by_role("button", name="Make a token").click()
        token = page.locator("#af-made code").inner_text()
        assert len(token) >= 32
        page.reload()
        judge(page, "tokens")
        page.get_by_role("button", name="Revoke a script").click()
        page.get_by_role("rowheader", name="a script").wait_for(state="detached")
        page.reload()
        assert page.get_by_role("rowheader", name="a script").count() == 0


def test_servers_with_names(browser: Browser, states_url: str, picture: Picture) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "grace-own", "gallery", "/hub/home")
        page.get_by_label("One more server").fill("fits")
        page.get_by_role("button", name="Choose and start").click()
        page.wait_for_url("**/hub/spawn/grace-own/fits")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/hub/spawn-pending/grace-own/fits")
        judge(page, "pending, with a name")
        page.goto("/hub/home")
        picture(page, "home-named-light")
        page.get_by_role("button", name="Stop fits").click()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete fits").click()
        page.get_by_role("heading", name="fits").wait_for(state="detached")
