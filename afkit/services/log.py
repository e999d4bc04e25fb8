"""The log of a service in its pod: constant texts with fields."""

from __future__ import annotations

import logging

__all__ = ["Fields", "begin_log"]


class Fields(logging.Formatter):
    """A line of the log, and behind it the fields of the record."""

    _KNOWN = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        """The text, then ``field=value``; values are quoted, so that none can pretend to be another line."""
        fields = [f"{key}={value!r}" for key, value in vars(record).items() if key not in self._KNOWN and key not in ("message", "asctime")]
        return " ".join([super().format(record), *fields])


def begin_log() -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(Fields("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
