"""A real Chromium, the gallery of all states, and a real facility on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.gallery import gallery
from tests.browser.look import opened, take
from tests.support.secrets import Secrets
from tests.up.running import Up

ROOT = Path(__file__).parents[2]
Picture = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-screenshots``: the pictures of the documentation are taken anew."""
    parser.addoption("--update-screenshots", action="store_true", help="write the pictures of the pages into docs/screenshots")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests; each visitor has a profile of their own in it."""
    with opened(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
def states_url() -> Iterator[str]:
    """The address of the gallery: its people are states, everybody's password is ``gallery``."""
    with gallery() as url:
        yield url


@pytest.fixture(scope="session")
def picture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Picture:
    """``picture(page, NAME, whole=False)`` keeps a picture: in docs/screenshots where asked for, else beside the run's other files."""
    update = request.config.getoption("--update-screenshots", default=False)
    folder = ROOT / "docs" / "screenshots" if update else tmp_path_factory.getbasetemp() / "screenshots"

    def keep(page: Page, name: str, *, whole: bool = False) -> None:
        take(page, folder / f"{name}.png", whole=whole)

    return keep


@pytest.fixture(scope="session")
def facility(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Up]:
    """``afkit up`` with its packaged facility, as somebody would run it at home."""
    run = Up(tmp_path_factory.mktemp("facility") / "state").start().ready()
    secrets_seen.add(*run.facility["users"].values(), run.facility["token"])
    try:
        yield run
        run.end()
    finally:
        run.kill()
        secrets_seen.watch(*(run.state / "logs").glob("*"))
