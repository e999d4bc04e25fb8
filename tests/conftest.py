"""Fixtures and rules of the whole suite; they live in ``tests/support``."""

from __future__ import annotations

import signal

# under nohup everything that a test starts would ignore the signal that it is then sent
signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest_plugins = ["tests.support.rules", "tests.support.secrets", "tests.support.golden", "tests.support.parts"]
