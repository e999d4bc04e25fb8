"""Two people in a real browser: the form, the wait, JupyterLab in pods of their own, the tutorial on real data, a restart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import look_at_plot, open_notebook, printed, run_all, write_cell
from tests.browser.look import PATIENCE, log_in, opened, take, visitor
from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = [
    pytest.mark.timeout(600, func_only=True),
    pytest.mark.slow("two people, JupyterLab and the tutorial's analysis in a real browser"),
]

TUTORIAL = "/user/ada/lab/tree/tutorials/tutorial.ipynb"
HERS = """\
import os, socket
files = ["/data/nanoAOD_2015_CMS_Open_Data_ttbar.root", "/data/uproot-Zmumu.root"]
print("repositories:", *sorted(os.listdir("/cvmfs/cms.example.org")), afkit.cvmfs.check().good)
print("data:", open("/data/README").read().strip(), os.access("/data", os.W_OK))
try:
    socket.create_connection(("{address}", 8888), timeout=3)
    print("neighbour: reached")
except OSError as error:
    print("neighbour:", type(error).__name__)
files
"""
"""What ada writes where the tutorial asks for her files: real data, and a look around."""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with opened(chromium) as browser:
        yield browser


@pytest.fixture(autouse=True)
def never_here_before(hub: HubInPod) -> None:
    hub.never_here_before("ada", "grace")


def test_two_people_from_the_login_to_a_plot_and_after_a_restart(browser: Browser, hub: HubInPod, real_data: Path, tmp_path: Path) -> None:
    assert (real_data / "uproot-Zmumu.root").exists()
    with visitor(browser, hub.url) as ada, visitor(browser, hub.url) as grace:
        choose(ada, grace, hub)
        places = {pod["metadata"]["namespace"]: pod["metadata"]["labels"]["afkit.io/pool"] for pod in hub.pods()}
        assert places == {hub.place("ada"): "cpu", hub.place("grace"): "gpu"}
        # somebody else's server is not shown
        assert grace.goto("/user/ada/lab").status in (403, 404)  # type: ignore[union-attr]  # a page answers
        analyse(ada, hub)
        take(ada, tmp_path / "plot.png")
        stop(ada, hub)
        # the saved choice, and what she left at home
        ada.goto("/hub/spawn")
        expect(ada.get_by_role("radio", name="AMD64 nodes").first).to_be_checked()
        start(ada)
        ada.wait_for_url("**/user/ada/lab**", timeout=2 * PATIENCE)
        open_notebook(ada, f"{hub.url}{TUTORIAL}")
        look_at_plot(ada)
        expect(ada.locator(".jp-Notebook .jp-CodeCell", has_text="/data/uproot-Zmumu.root").first).to_be_visible()


def choose(ada: Page, grace: Page, hub: HubInPod) -> None:
    """Both log in, choose, wait, and are in JupyterLab."""
    log_in(ada, "ada", hub.deployed.password)
    expect(ada.get_by_role("radio", name="Training on a GPU")).to_be_disabled()
    # whatever she chose the last time
    ada.get_by_role("radio", name="Analysis").first.check()
    ada.get_by_role("radio", name="AMD64 nodes").first.check()
    log_in(grace, "grace", hub.deployed.password)
    grace.get_by_role("radio", name="Training on a GPU").check()
    grace.get_by_role("radio", name="NVIDIA A100", exact=True).check()
    for person in (ada, grace):
        start(person)
    for person, name in ((ada, "ada"), (grace, "grace")):
        person.wait_for_url(f"**/user/{name}/lab**", timeout=2 * PATIENCE)
        person.locator(".jp-Launcher").first.wait_for(timeout=2 * PATIENCE)


def start(page: Page) -> None:
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/hub/spawn-pending/**")
    page.get_by_role("heading", name="Your server is starting").wait_for()


def analyse(ada: Page, hub: HubInPod) -> None:
    """The tutorial, with ada's own files and a look around in one of its cells."""
    (hers,), (other,) = hub.pods("ada"), hub.pods("grace")
    open_notebook(ada, f"{hub.url}{TUTORIAL}")
    write_cell(ada, "AFKIT_TUTORIAL_FILES", HERS.replace("{address}", other["status"]["podIP"]))
    run_all(ada)
    said = printed(ada)
    assert "repositories: README" in said, said
    assert "data: Data that everybody of the facility may read. False" in said
    assert "neighbour: TimeoutError" in said
    assert re.search(r"^200 events$", said, re.MULTILINE)
    (mass,) = re.findall(r"^uproot-Zmumu.root: m = ([\d.]+) ± ", said, re.MULTILINE)
    assert float(mass) == pytest.approx(91, abs=1)
    # and the other way round
    with hub.kernel("grace") as kernel:
        reach = f"socket.create_connection(('{hers['status']['podIP']}', 8888), 3)"
        said = kernel.run(f"import socket\ntry:\n    {reach}\n    print('reached')\nexcept OSError as error: print(type(error).__name__)")
        assert said.strip() == "TimeoutError"


def stop(page: Page, hub: HubInPod) -> None:
    page.goto("/hub/home")
    page.get_by_role("button", name="Stop").first.click()
    page.get_by_text("Not running", exact=True).wait_for()
    until(lambda: not hub.pods("ada"), 60, "the pod is gone")
