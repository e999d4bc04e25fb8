"""What is published of the hub's decisions: events of a JSON schema on the hub's event log, a counter on its metrics endpoint.

An administrator sends events somewhere with ``c.EventLogger.handlers``; the counter is on ``/hub/metrics`` by itself. No
event has a token, a password or the body of a request.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from prometheus_client import Counter

__all__ = ["DECISION", "DECISIONS", "SERVER_END", "register", "schema"]

_FOLDER: Final = Path(__file__).parent / "events"

DECISION: Final = "https://schema.afkit.io/hub/decision"
SERVER_END: Final = "https://schema.afkit.io/hub/server-end"

DECISIONS: Final = Counter(
    "afkit_decisions", "Decisions on choices of servers, of both gates, by result (granted, refused) and reason code", ["result", "reason"]
)


@cache
def schema(event: str) -> dict[str, Any]:
    """The JSON schema of an event (`DECISION`, `SERVER_END`). Raises ``KeyError`` for another."""
    name = {DECISION: "decision.json", SERVER_END: "server_end.json"}[event]
    loaded: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return loaded


def register(eventlog: Any) -> None:
    """Make the events known to the hub's event log, once."""
    for event in (DECISION, SERVER_END):
        if event not in eventlog.schemas:
            eventlog.register_event_schema(schema(event))
