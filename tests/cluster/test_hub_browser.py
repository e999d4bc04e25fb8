"""Two people in a real browser: the form, the wait in plain words, JupyterLab in their own namespaces, the tutorial's analysis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.look import PATIENCE, launch, log_in, visitor
from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = [pytest.mark.timeout(600, func_only=True), pytest.mark.slow("two people, JupyterLab and a notebook in a real browser")]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = launch(playwright, chromium)
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def never_here_before(hub: HubInPod) -> None:
    hub.never_here_before("ada", "grace")


def test_two_people_choose_and_get_their_servers(browser: Browser, hub: HubInPod) -> None:
    with visitor(browser, hub.url) as ada, visitor(browser, hub.url) as grace:
        log_in(ada, "ada", hub.deployed.password)
        expect(ada.get_by_role("radio", name="Training on a GPU")).to_be_disabled()
        log_in(grace, "grace", hub.deployed.password)
        grace.get_by_role("radio", name="Training on a GPU").check()
        for person in (ada, grace):
            person.get_by_role("button", name="Start").click()
        for person, name in ((ada, "ada"), (grace, "grace")):
            person.wait_for_url(f"**/hub/spawn-pending/{name}")
            person.get_by_role("heading", name="Your server is starting").wait_for()
        for person, name in ((ada, "ada"), (grace, "grace")):
            person.wait_for_url(f"**/user/{name}/lab**", timeout=2 * PATIENCE)
            person.locator(".jp-Launcher").first.wait_for(timeout=2 * PATIENCE)
        places = {pod["metadata"]["namespace"]: pod["metadata"]["labels"]["afkit.io/pool"] for pod in hub.pods()}
        assert places == {hub.place("ada"): "cpu", hub.place("grace"): "gpu"}
        # somebody else's server is not shown
        assert grace.goto("/user/ada/lab").status in (403, 404)  # type: ignore[union-attr]  # a page answers
        ada.goto("/hub/home")
        ada.get_by_role("button", name="Stop").first.click()
        ada.get_by_text("Not running", exact=True).wait_for()
    until(lambda: not hub.pods("ada"), 60, "the pod is gone")
