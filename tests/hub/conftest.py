"""Hubs for the tests: one for all that only asks, others for what changes or kills one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hub.harness import Hub
from tests.support.secrets import Secrets

if TYPE_CHECKING:
    from afkit.testing import Authority, Provider

MakeHub = Callable[..., Hub]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Hub]:
    """The hub that most tests share; two failed starts would end it. Nothing runs when a test begins or ends."""
    made = Hub(tmp_path_factory.mktemp("hub"), after="c.Spawner.consecutive_failure_limit = 2")
    yield from running(made, secrets_seen)


@pytest.fixture(autouse=True)
def nothing_runs_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails between start and stop leaves nothing to the next one."""
    yield
    if "hub" in request.fixturenames:
        shared: Hub = request.getfixturevalue("hub")
        if shared.alive() and shared.processes():
            shared.stop_all()


@pytest.fixture
def make_hub(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[MakeHub]:
    """Makes hubs of one's own (not started yet); they are gone after the test."""
    hubs: list[Hub] = []

    def make(**settings: object) -> Hub:
        hubs.append(Hub(tmp_path_factory.mktemp("hub"), **settings))  # type: ignore[arg-type]  # a test writes them right
        return hubs[-1]

    yield make
    for each in hubs:
        each.stop()
        _look_through(each, secrets_seen)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of the providers' certificates."""
    from afkit.testing import Authority

    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def providers(authority: Authority, secrets_seen: Secrets) -> Iterator[dict[str, Provider]]:
    """Three providers, by the names that the issuers of `tests.hub.oidc` have."""
    from afkit.testing import Provider
    from tests.hub.oidc import SECRETS

    secrets_seen.add(*SECRETS.values())
    with (
        Provider(authority=authority, path="/", algorithm="ES256") as cms,
        Provider(authority=authority, path="/realms/cern") as cern,
        Provider(authority=authority) as school,
    ):
        yield {"cms": cms, "cern": cern, "school": school}


@pytest.fixture(scope="module")
def environment(authority: Authority) -> Iterator[None]:
    """The hub trusts the providers' authority, and has its clients' secrets."""
    from tests.hub.oidc import SECRETS

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.ca))
        patch.setenv("JUPYTERHUB_CRYPT_KEY", os.urandom(32).hex())
        for name, secret in SECRETS.items():
            patch.setenv(f"{name.upper()}_SECRET", secret)
        yield


def running(hub: Hub, secrets_seen: Secrets) -> Iterator[Hub]:
    """Start a hub and end it; what it has written is looked through."""
    try:
        yield hub.start()
    finally:
        hub.stop()
        _look_through(hub, secrets_seen)


def _look_through(hub: Hub, secrets_seen: Secrets) -> None:
    """No password and no token may stand in a log, an event or a server's output."""
    secrets_seen.add(hub.token, *hub.passwords.values(), *hub.tokens)
    logs: list[Path] = [hub.log, hub.folder / "events.jsonl", *(hub.state / "servers").glob("*")]
    secrets_seen.watch(*(log for log in logs if log.exists()))
