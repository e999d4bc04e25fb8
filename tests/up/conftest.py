"""Runs of `afkit up` that end with the test, or with the module, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.secrets import Secrets
from tests.up.running import Up

Make = Callable[..., Up]


@pytest.fixture
def up(secrets_seen: Secrets) -> Iterator[Make]:
    """Makes runs (not started yet); what is left of them after the test is killed, their logs are looked through for secrets."""
    runs: list[Up] = []

    def make(state: Path, *arguments: str, **environment: str) -> Up:
        runs.append(Up(state, *arguments, **environment))
        return runs[-1]

    yield make
    for run in runs:
        run.kill()
        register(run, secrets_seen)


def register(run: Up, secrets_seen: Secrets) -> None:
    """A run's passwords, token and cookie secret must not stand in any of its logs."""
    if run.facility:
        secrets_seen.add(*run.facility["users"].values(), *filter(None, [run.facility.get("token")]))
    for log in (run.state / "logs").glob("*"):
        secrets_seen.watch(log)
