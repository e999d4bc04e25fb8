"""The form under the hand: by keyboard, with and without JavaScript, on the gallery's offers."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.look import log_in, visitor

Picture = Callable[..., None]


def radio(page: Page, name: str) -> object:
    """A radio button by its label."""
    return page.get_by_role("radio", name=name, exact=True)


def test_what_does_not_fit_is_greyed_with_the_reason_as_one_chooses(browser: Browser, states_url: str, picture: Picture) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "grace", "gallery")
        expect(radio(page, "ROOT")).to_be_enabled()
        radio(page, "An eighth of a node").check()
        expect(page.locator("#af-summary")).to_contain_text("An eighth of a node")
        radio(page, "ARM64 nodes").check()
        for name in ("ROOT", "An image of your group", "An eighth of a node"):
            expect(radio(page, name)).to_be_disabled()
        expect(page.locator(".af-tile", has=radio(page, "ROOT"))).to_contain_text("Not offered with ARM64 nodes.")
        expect(radio(page, "Small")).to_be_checked()
        expect(page.locator("#af-changed")).to_have_text("Size is now Small: An eighth of a node is not offered with ARM64 nodes.")
        picture(page, "form-greyed-light", whole=True)
        radio(page, "AMD64 nodes").check()
        expect(radio(page, "An eighth of a node")).to_be_enabled()
        expect(page.locator(".af-clash")).to_have_count(0)
        expect(page.locator("#af-changed")).to_have_text("")


def test_a_choice_follows_the_image(browser: Browser, states_url: str) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "grace", "gallery")
        radio(page, "VS Code").check()
        radio(page, "ROOT").check()
        expect(radio(page, "VS Code")).to_be_disabled()
        expect(radio(page, "JupyterLab")).to_be_checked()


def test_only_the_chosen_profile_is_open_and_the_summary_says_its_end(browser: Browser, states_url: str) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "grace", "gallery")
        expect(page.get_by_role("group", name="Interface")).to_be_visible()
        radio(page, "Training on a GPU").check()
        expect(page.get_by_role("group", name="Interface")).to_be_hidden()
        expect(page.locator("#af-summary")).to_contain_text("NVIDIA A100")
        expect(page.locator("#af-summary")).to_contain_text("after 2 hours idle, 24 hours at most")
        expect(radio(page, "NVIDIA T4")).to_be_disabled()
        radio(page, "Slice of an A100").check()
        expect(page.locator("#af-summary")).to_contain_text("after 24 hours idle, 7 days at most")


def test_typing_a_reference_marks_it_and_it_is_needed_then(browser: Browser, states_url: str) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "grace", "gallery")
        text = page.get_by_label("Its whole reference")
        text.fill("registry.example.org/groups/a/b:1")
        expect(radio(page, "An image of your group")).to_be_checked()
        expect(page.locator("#af-summary")).to_contain_text("registry.example.org/groups/a/b:1")
        text.fill("")
        expect(radio(page, "An image of your group")).to_be_checked()
        page.get_by_role("button", name="Start").click()
        assert page.evaluate("document.activeElement.validity.valueMissing"), "the browser itself asks for the reference"
        assert urlsplit(page.url).path == "/hub/spawn"


def test_the_link_to_a_choice(browser: Browser, states_url: str) -> None:
    with visitor(browser, states_url, permissions=["clipboard-read", "clipboard-write"]) as page:
        log_in(page, "grace", "gallery", "/hub/spawn?next=/user/grace/lab/tree/a.ipynb")
        radio(page, "ARM64 nodes").check()
        page.get_by_role("button", name="Copy link to this choice").click()
        expect(page.locator("#af-copied")).to_contain_text("Copied.")
        link = urlsplit(page.evaluate("navigator.clipboard.readText()"))
        assert f"{link.scheme}://{link.netloc}{link.path}" == f"{states_url}/hub/spawn"
        assert dict(parse_qsl(link.query)) == {
            "profile": "analysis",
            "pool": "arm",
            "image": "scientific",
            "size": "small",
            "interface": "lab",
            "next": "/user/grace/lab/tree/a.ipynb",
        }


def test_focus_goes_to_the_refusal(browser: Browser, states_url: str) -> None:
    for scripts in (True, False):
        with visitor(browser, states_url, java_script_enabled=scripts) as page:
            log_in(page, "refused", "gallery")
            alert = page.get_by_role("alert")
            expect(alert).to_have_text("Size large of Analysis is not for you. Ask af-support@example.org.")
            expect(alert).to_be_focused()
            expect(alert).to_be_in_viewport()


def test_a_profile_is_found_among_thirty(browser: Browser, states_url: str) -> None:
    with visitor(browser, states_url) as page:
        log_in(page, "many", "gallery")
        page.get_by_label("Find one of 30 profiles").fill("profile 27")
        expect(page.locator(".af-card:visible")).to_have_count(1)
        page.keyboard.press("Enter")
        assert urlsplit(page.url).path == "/hub/spawn", "looking for a profile starts nothing"


def test_by_keyboard_alone(browser: Browser, states_url: str) -> None:
    """From the login to the start: what has the focus shows it, and every choice is reached."""
    with visitor(browser, states_url) as page:
        page.goto("/hub/spawn")
        page.keyboard.type("keyboard")
        page.keyboard.press("Tab")
        page.keyboard.type("gallery")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Start a server").wait_for()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        seen: list[str] = []
        for _ in range(30):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id"))
            assert page.evaluate(_RING), f"the focus on {seen[-1]} is not to be seen"
            if seen[-1] == "af.analysis.pool.cpu":
                page.keyboard.press("ArrowRight")
                expect(radio(page, "ARM64 nodes")).to_be_checked()
            if seen[-1] == "af-start":
                break
        wanted = [
            "af.analysis",
            "af.analysis.pool.cpu",
            "af.analysis.image.scientific",
            "af.analysis.size.small",
            "af.analysis.interface.lab",
            "af-start",
        ]
        assert [each for each in seen if each in wanted] == wanted
        page.keyboard.press("Enter")
        page.wait_for_url("**/hub/spawn-pending/keyboard")


_RING = """() => {
  const shows = (element) => {
    const style = getComputedStyle(element);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
  const active = document.activeElement;
  return shows(active) || shows(active.parentElement);
}"""


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_theme_is_the_systems_until_it_is_chosen(browser: Browser, states_url: str, look: str) -> None:
    other = {"light": "dark", "dark": "light"}[look]
    with visitor(browser, states_url, color_scheme=look) as page:
        page.goto("/hub/login")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name=f"{other.title()} mode").click()
        after = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert before != after
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_without_scripts_all_is_there(browser: Browser, states_url: str, picture: Picture) -> None:
    with visitor(browser, states_url, java_script_enabled=False) as page:
        log_in(page, "no-scripts", "gallery")
        expect(page.get_by_text("Only with AMD64 nodes.").first).to_be_visible()
        expect(page.get_by_text("Ends after 24 hours idle, 7 days at most").first).to_be_visible()
        expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
        picture(page, "form-without-scripts-light", whole=True)
        radio(page, "Training on a GPU").check()
        expect(page.get_by_role("group", name="Interface")).to_be_hidden()
        radio(page, "Slice of an A100").check()
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/hub/spawn-pending/no-scripts")


def test_little_motion_where_little_is_wanted(browser: Browser, states_url: str) -> None:
    moves = "getComputedStyle(document.querySelector('.af-tile')).transitionDuration"
    for wish, still in (("reduce", True), ("no-preference", False)):
        with visitor(browser, states_url, reduced_motion=wish) as page:
            log_in(page, "ada", "gallery")
            assert (page.evaluate(moves) in {"0s", ""}) is still
