"""The whole story on a real facility, as somebody at home would see it: from the login to a plot, in a real browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import open_notebook, run_all
from tests.browser.look import barriers, log_in, overflow, visitor
from tests.up.running import Up, until

Picture = Callable[..., None]
TUTORIAL = "/user/ada/lab/tree/tutorials/tutorial.ipynb"


@pytest.fixture(autouse=True)
def stopped(facility: Up) -> Iterator[None]:
    """No server runs before and after a test."""
    yield
    for user in facility.facility["users"]:
        if facility.state_of(user):
            facility.api("DELETE", f"/users/{user}/server")
            until(lambda user=user: not facility.state_of(user), f"the end of the server of {user}")


def enter(page: Page, facility: Up, user: str = "ada", path: str = "/") -> None:
    """Log in with the generated password."""
    log_in(page, user, facility.facility["users"][user], path)


def home(facility: Up) -> str:
    """The facility's address without its last slash."""
    return str(facility.facility["url"]).rstrip("/")


@pytest.mark.slow("a server, JupyterLab, and the tutorial's analysis on a Dask cluster")
@pytest.mark.timeout(600)
def test_from_the_login_to_a_plot(browser: Browser, facility: Up, picture: Picture) -> None:
    with visitor(browser, home(facility)) as page:
        enter(page, facility)
        page.get_by_role("heading", name="Start a server").wait_for()
        training = page.get_by_role("radio", name="Training", exact=True)
        expect(training).to_be_disabled()
        expect(page.locator(".af-card", has=training)).to_contain_text("Training is not for you. Ask the person who runs this machine.")
        expect(page.get_by_text("Good to know")).to_be_visible()
        assert barriers(page) == []
        picture(page, "laptop-form-light", whole=True)
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/hub/spawn-pending/ada")
        page.get_by_role("heading", name="Your server is starting").wait_for()
        page.wait_for_url("**/user/ada/lab**")
        open_notebook(page, home(facility) + TUTORIAL)
        run_all(page)
        picture(page, "laptop-plot-light")
        page.goto("/hub/home")
        expect(page.get_by_text("Running", exact=True)).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("Not running", exact=True).wait_for()
    assert not facility.state_of("ada")


def test_grace_is_told_what_this_machine_is_not(browser: Browser, facility: Up, picture: Picture) -> None:
    with visitor(browser, home(facility)) as page:
        enter(page, facility, "grace")
        training = page.get_by_role("radio", name="Training", exact=True)
        expect(training).to_be_enabled()
        training.check()
        gpu = page.locator(".af-card", has=training).locator(".af-tile", has=page.get_by_label("A machine with an NVIDIA GPU"))
        expect(gpu.get_by_role("radio")).to_be_disabled()
        expect(gpu).to_contain_text("This machine")
        picture(page, "laptop-training-light", whole=True)
        assert barriers(page) == []


def test_by_keyboard_alone(browser: Browser, facility: Up) -> None:
    with visitor(browser, home(facility)) as page:
        page.goto("/")
        page.keyboard.type("ada")
        page.keyboard.press("Tab")
        page.keyboard.type(facility.facility["users"]["ada"])
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Start a server").wait_for()
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.evaluate("document.activeElement.id")
            if focused == "af.analysis.size.small":
                page.keyboard.press("ArrowDown")
            if focused == "af-start":
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**/user/ada/lab**")
    assert facility.state_of("ada")["user_options"]["size"] == "large"


def test_without_scripts_from_the_login_to_a_server(browser: Browser, facility: Up) -> None:
    with visitor(browser, home(facility), java_script_enabled=False) as page:
        enter(page, facility, "grace")
        page.get_by_role("radio", name="Large", exact=True).first.check()
        page.get_by_role("button", name="Start").click()
        # the page asks again by itself
        page.wait_for_url("**/user/grace/lab**", wait_until="commit")
    assert facility.state_of("grace")["user_options"]["size"] == "large"


def test_a_link_fills_the_form_in_and_starts_nothing(browser: Browser, facility: Up) -> None:
    with visitor(browser, home(facility)) as page:
        enter(page, facility, path="/hub/spawn?profile=analysis&size=large&interface=document")
        expect(page.get_by_role("radio", name="Large", exact=True)).to_be_checked()
        expect(page.get_by_role("radio", name="One document at a time")).to_be_checked()
        assert not facility.state_of("ada")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/user/ada/doc**")
        assert urlsplit(page.url).query.strip("?") == "", "the choice does not follow into the server's address"


def test_a_link_to_what_is_not_theirs_says_so(browser: Browser, facility: Up, picture: Picture) -> None:
    with visitor(browser, home(facility)) as page:
        enter(page, facility, path="/hub/spawn?profile=training")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Training is not for you.")
        expect(alert).to_be_focused()
        assert barriers(page) == []
        page.goto("/hub/spawn?profile=trainings")
        expect(page.get_by_role("alert")).to_contain_text("Did you mean training?")
        picture(page, "laptop-refused-light")


def test_what_was_chosen_stays_when_it_is_refused(browser: Browser, facility: Up) -> None:
    """Somebody sends what the page does not let them choose."""
    with visitor(browser, home(facility)) as page:
        enter(page, facility)
        page.get_by_role("radio", name="Large", exact=True).check()
        page.locator("[value=arm64]").first.evaluate("radio => { radio.disabled = false; radio.checked = true; }")
        with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
            page.get_by_role("button", name="Start").click()
        assert answer.value.status == 409
        expect(page.get_by_role("group", name="Node pool").get_by_role("alert")).to_contain_text("This machine is")
        expect(page.get_by_role("radio", name="Large", exact=True)).to_be_checked()
    assert not facility.state_of("ada")


def test_a_bookmark_of_a_server_that_does_not_run(browser: Browser, facility: Up) -> None:
    with visitor(browser, home(facility)) as page:
        enter(page, facility, path=TUTORIAL)
        page.get_by_role("heading", name="Your server is not running").wait_for()
        assert barriers(page) == []
        page.get_by_role("link", name="Choose and start").click()
        page.get_by_role("button", name="Start").click()
        page.wait_for_url(f"**{TUTORIAL}*", wait_until="commit")


@pytest.mark.parametrize(
    "link",
    [
        "/hub/user-redirect/lab/tree/tutorials/tutorial.ipynb",
        "/hub/user-redirect/git-pull?repo=https%3A%2F%2Fexample.org%2Fcourse&urlpath=lab%2Ftree%2Fcourse%2Fday1.ipynb&branch=main",
    ],
)
def test_an_open_in_link_survives_login_and_form(browser: Browser, facility: Up, link: str) -> None:
    wanted = link.replace("/hub/user-redirect/", "/user/ada/")
    with visitor(browser, home(facility)) as page:
        enter(page, facility, path=link)
        page.get_by_role("heading", name="Start a server").wait_for()
        page.get_by_role("radio", name="Large", exact=True).check()
        page.get_by_role("button", name="Start").click()
        page.wait_for_url(f"{home(facility)}{wanted}", wait_until="commit")


def test_how_a_server_ended_is_said(browser: Browser, facility: Up, picture: Picture) -> None:
    os.kill(facility.serve("ada").pid, signal.SIGKILL)
    until(lambda: not facility.state_of("ada").get("ready"), "the hub sees the end")
    lab = f"{home(facility)}/user/ada/lab"
    until(lambda: "/hub/" in httpx.get(lab, follow_redirects=True, timeout=30).url.path, "the address is the hub's again")
    with visitor(browser, home(facility)) as page:
        enter(page, facility, path="/user/ada/lab")
        page.get_by_role("heading", name="Your server is not running").wait_for()
        expect(page.locator(".af-alert")).to_contain_text("SIGKILL")
        picture(page, "laptop-ended-light")
        page.get_by_text("The last lines of its log").click()
        expect(page.locator(".af-log")).to_contain_text("ServerApp")
        assert barriers(page) == []
        page.goto("/hub/home")
        expect(page.locator(".af-server").first).to_contain_text("SIGKILL")


def test_an_administrator_starts_what_somebody_may_have(browser: Browser, facility: Up) -> None:
    with visitor(browser, home(facility)) as page:
        enter(page, facility, "root-of-all", "/hub/spawn/ada")
        expect(page.get_by_text("For ada, with what ada may have.")).to_be_visible()
        expect(page.get_by_role("radio", name="Training", exact=True)).to_be_disabled()
        page.get_by_role("radio", name="Large", exact=True).check()
        page.get_by_role("button", name="Start").click()
        until(lambda: facility.state_of("ada").get("ready"), "the server of ada")
    assert facility.state_of("ada")["user_options"]["size"] == "large"


def test_every_page_without_barriers_in_the_dark_and_on_a_phone(browser: Browser, facility: Up, picture: Picture) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}
    with visitor(browser, home(facility), **phone) as page:
        page.goto("/hub/login")
        assert barriers(page) == []
        enter(page, facility)
        for path in ("/hub/spawn", "/hub/home", "/hub/token", "/hub/nothing"):
            page.goto(path)
            assert barriers(page) == [], path
            assert overflow(page) <= 0, path
            if path == "/hub/spawn":
                picture(page, "laptop-form-phone")
