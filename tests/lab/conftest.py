"""Real Jupyter servers for the tests of the session's server extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.lab.server import JupyterServer


@pytest.fixture
def start_jupyter(tmp_path: Path) -> Iterator[Callable[..., JupyterServer]]:
    """Starts a server with what is given as its further environment; it ends with the test."""
    servers: list[JupyterServer] = []

    def start(**environment: str) -> JupyterServer:
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        servers.append(JupyterServer(folder, environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """One server for the tests of a file, without any limit of life."""
    server = JupyterServer(tmp_path_factory.mktemp("jupyter"), {})
    yield server
    server.stop()


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    """A page of a browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()
