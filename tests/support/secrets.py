"""Tokens and passwords must be in no output: tests register what they made, and the run fails where one was printed.

Registered secrets are looked for in the captured output of every test, in the log files that a test gave to ``watch``, and
(by the stages' runner) in everything that all suites printed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

SHORTEST = 8
"""Characters: anything shorter would be found by chance."""


class Secrets:
    """What must not be printed by this run, and the logs that are looked through at its end."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._texts: list[tuple[str, str]] = []
        self.found_by_workers: list[str] = []

    def add(self, *secrets: str) -> None:
        """Register secrets; a short one is a mistake of the test."""
        for secret in secrets:
            if len(secret) < SHORTEST or "\n" in secret:
                raise ValueError(f"a secret of {len(secret)} characters cannot be looked for")
            self._secrets.add(secret)

    def add_facility(self, facility_json: Path) -> dict[str, Any]:
        """Register the passwords and the token of a ``facility.json``; returns its content."""
        content: dict[str, Any] = json.loads(facility_json.read_text())
        self.add(*content["users"].values(), *filter(None, [content.get("token")]))
        return content

    def read(self, name: str, text: str) -> None:
        """Look through ``text`` (the output of a process, a log) at the end of the run; ``name`` says what it is."""
        self._texts.append((name, text))

    def watch(self, *logs: Path) -> None:
        """Look through log files as they are now. Call it when the process that writes them has ended."""
        for log in logs:
            self.read(str(log), log.read_text(errors="replace"))

    def leaks(self) -> list[str]:
        """The names of the texts that contain a registered secret, with the line's number."""
        found = list(self.found_by_workers)
        for name, text in self._texts:
            if any(secret in text for secret in self._secrets):
                lines = enumerate(text.splitlines(), 1)
                found += [f"{name}, line {number}" for number, line in lines if any(secret in line for secret in self._secrets)]
        return found

    def hand_on(self) -> None:
        """Give the secrets to the stages' runner, where this run is one of its stages."""
        folder = os.environ.get("AFKIT_SECRETS_SEEN")
        if folder and self._secrets:
            descriptor, _ = tempfile.mkstemp(dir=folder)
            with os.fdopen(descriptor, "w") as file:
                file.writelines(f"{secret}\n" for secret in sorted(self._secrets))


_SEEN = Secrets()
_LEAKS = "afkit_leaks"


@pytest.fixture(scope="session")
def secrets_seen() -> Secrets:
    """The secrets of this run: ``add`` what you made, ``watch`` the logs of what you ran."""
    return _SEEN


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for title, text in report.sections:
        _SEEN.read(f"{item.nodeid}, {title}", text)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    _SEEN.hand_on()
    leaks = _SEEN.leaks()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_LEAKS] = leaks
    if leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended: what it found is a failure of the whole run."""
    _SEEN.found_by_workers += getattr(node, "workeroutput", {}).get(_LEAKS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for leak in _SEEN.leaks():
        terminalreporter.write_line(f"FAILED: a secret was printed: {leak}", red=True, bold=True)
