"""Rules of the whole suite: long tests are marked, missing real parts are loud, the oldest axis is a list.

- A test over 60 s is marked ``full`` (run by ``--full`` only) or ``slow("why")``; any other that takes longer fails.
- ``missing("Chromium", "apt-get install chromium")`` skips loudly at a desk and fails with ``CI=true``.
- All tests of ``tests/contract`` and those marked ``oldest`` run on the oldest supported hub and Dask too.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import NoReturn

import pytest

LONGEST = 60.0 if os.environ.get("CI") != "true" else 240.0
"""Seconds that a test may take without saying why; longer with ``CI=true``, where builds run beside the tests."""
_MISSING = "needs a real part: "


def missing(what: str, remedy: str) -> NoReturn:
    """Say that a real part is not on this machine: a loud skip, or a failure where ``CI=true``."""
    reason = f"{_MISSING}{what}. {remedy}"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests marked full too")
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing with them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/contract/" in item.path.as_posix():
            item.add_marker(pytest.mark.oldest)
        marker = item.get_closest_marker("slow")
        if marker is not None and not marker.args:
            raise pytest.UsageError(f'{item.nodeid}: say why it is slow: slow("…")')
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    excused = item.get_closest_marker("full") or item.get_closest_marker("slow")
    if report.when == "call" and report.passed and call.duration > LONGEST and not excused:
        report.outcome = "failed"
        report.longrepr = f'{item.nodeid} took {call.duration:.0f} s: mark it full, or slow("why")'
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    # a suite of which nothing is listed for this axis is no failure
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("markexpr"):
        session.exitstatus = pytest.ExitCode.OK


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if _MISSING in reason:
            reasons[reason.split(_MISSING, 1)[1]] = reasons.get(reason.split(_MISSING, 1)[1], 0) + 1
    for reason, count in reasons.items():
        terminalreporter.write_line(f"NOT TESTED: {count} test{'s' if count > 1 else ''} without {reason}", yellow=True, bold=True)
