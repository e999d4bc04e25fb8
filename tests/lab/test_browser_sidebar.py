"""JupyterLab's Dask sidebar in a real browser: a cluster of a notebook appears, its buttons work, New makes one."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.lab.browser import open_lab
from tests.lab.server import JupyterServer, execute, until

SHOTS = Path("test-results/lab")


@pytest.mark.slow("JupyterLab is loaded, and clusters start, scale and stop under a browser on busy cores")
def test_a_cluster_appears_by_itself_and_its_buttons_work(jupyter: JupyterServer, page: Page) -> None:
    errors = open_lab(page, jupyter)
    page.locator('.lm-TabBar-tab[data-id="dask-dashboard-launcher"]').click()
    with jupyter.kernel() as client:
        execute(client, "import afkit; cluster = afkit.cluster(workers=1, name='higgs')")
        item = page.locator(".dask-ClusterListingItem")
        expect(item).to_have_count(1, timeout=20_000)
        expect(item).to_contain_text("higgs")
        expect(item).to_contain_text("Number of Cores: 1")
        # the sidebar takes its dashboard by itself: the plots can be opened
        page.locator(".dask-DashboardListing-list").get_by_text("Task Stream").first.wait_for(timeout=30_000)
        page.locator(".dask-DashboardListing-list").get_by_text("Task Stream").first.click()
        plot = page.frame_locator(".dask-DaskDashboard-widget iframe, .dask-DaskDashboard-widget .jp-IFrame iframe").first
        plot.locator(".bk-Figure, .bk-Canvas").first.wait_for(timeout=30_000)
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / "dask-sidebar.png")

        item.get_by_text("SCALE").click()
        page.locator(".jp-Dialog input.dask-ScalingInput").first.fill("2")
        page.locator(".jp-Dialog").get_by_role("button", name="SCALE").click()
        until(lambda: jupyter.clusters()[0]["workers"] == 2)
        expect(item).to_contain_text("Workers: 2", timeout=20_000)

        item.get_by_text("SCALE").click()
        page.locator(".jp-Dialog input.dask-ScalingInput").first.fill("5000")
        page.locator(".jp-Dialog").get_by_role("button", name="SCALE").click()
        expect(page.locator(".jp-Dialog")).to_contain_text("left", timeout=20_000)
        page.screenshot(path=SHOTS / "dask-sidebar-refused.png")
        page.locator(".jp-Dialog").get_by_role("button").last.click()

        item.get_by_text("SHUTDOWN").click()
        expect(item).to_have_count(0, timeout=20_000)
        until(lambda: execute(client, "print(cluster.status.name)").strip() == "closed")

    page.locator(".dask-DaskClusterManager").get_by_text("NEW").click()
    expect(item).to_have_count(1, timeout=40_000)
    assert len(jupyter.clusters()) == 1
    # the refused size, which the sidebar throws too, and a dashboard that it asks for before the cluster has loaded it
    expected = ("400 ", "Object", "404 ")
    unexpected = [error for error in errors if not error.startswith(expected)]
    missing = [error for error in errors if error.startswith("404 ") and "/individual-plots.json" not in error]
    assert unexpected + missing == [], "\n".join(errors)
