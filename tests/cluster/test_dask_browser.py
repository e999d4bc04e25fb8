"""The sidebar of JupyterLab in a person's server: a cluster in pods is in it by itself, and its plots open by a click, through the hub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.look import log_in, opened, visitor
from tests.cluster.dasks import Clusters
from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("JupyterLab in a real browser, with a cluster in pods")]

MADE = 'import afkit\nc = afkit.cluster(workers=1, cores=0.25, memory="400MiB", name="higgs", wait=1)\nprint(c.dashboard_link)'


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with opened(chromium) as browser:
        yield browser


def test_a_cluster_is_in_the_sidebar_and_its_plots_open_by_a_click(browser: Browser, hub: HubInPod) -> None:
    hub.never_here_before("ada", "grace")
    assert hub.start("ada", {"profile": "analysis"}).status_code == 201
    clusters = Clusters(hub, "ada")
    with visitor(browser, hub.url) as ada, visitor(browser, hub.url) as grace, hub.kernel("ada") as kernel:
        path = kernel.run(MADE).strip()
        # as it looks the first time, whatever was open before
        log_in(ada, "ada", hub.deployed.password, "/user/ada/lab?reset")
        ada.locator(".jp-Launcher").first.wait_for()
        ada.locator('.lm-TabBar-tab[data-id="dask-dashboard-launcher"]').click()
        item = ada.locator(".dask-ClusterListingItem")
        expect(item).to_contain_text("higgs")
        # there before the page was: chosen by a click, not by itself
        item.click()
        ada.locator(".dask-DashboardListing-list").get_by_text("Task Stream").first.click()
        plot = ada.frame_locator(".dask-DaskDashboard-widget iframe, .dask-DaskDashboard-widget .jp-IFrame iframe").first
        plot.locator(".bk-Figure, .bk-Canvas").first.wait_for()
        # the link that the notebook shows leads there too, and lets nobody else in
        link = ada.context.new_page()
        link.goto(path)
        link.locator(".bk-Figure, .bk-Canvas").first.wait_for()
        link.close()
        log_in(grace, "grace", hub.deployed.password, "/hub/home")
        assert grace.goto(path).status in (403, 404)  # type: ignore[union-attr]  # a page answers
        item.get_by_text("SHUTDOWN").click()
        expect(item).to_have_count(0)
        until(lambda: not clusters.pods("higgs"), 30, "its pods are gone")
    hub.stop("ada")
