"""Asks a cluster's scheduler what it sees, by plain HTTP and JSON: it is its user's own process, and nothing it says is believed.

Answers are bounded in size and time, and every value is checked and clamped; Dask's own protocol, which would run what a peer
sends, is spoken nowhere in this service.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from afkit.pods.daskcluster import DASHBOARD_PORT

__all__ = ["GroupSeen", "Schedulers", "Seen", "seen_of"]

MOST_ANSWER: Final = 512 << 10
_MOST_NAMES: Final = 2000
_MOST_TEXT: Final = 500
_TIMEOUT: Final = 5.0
_MOVES: Final = 60.0
"""Seconds beyond a drain that results may take to move."""
_LONGEST: Final = 1e9


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """A group as the scheduler sees it: workers that joined, how many its load needs, who is there, and who may go."""

    ready: int = 0
    needed: int = 0
    idle: tuple[str, ...] = ()
    present: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scheduler says. ``gone``: seconds since the creating client's last connection closed; ``idle``: without any work."""

    client: bool = False
    gone: float | None = None
    clients: int = 0
    idle: float = 0.0
    results: int = 0
    groups: Mapping[str, GroupSeen] = field(default_factory=dict)
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()


class Schedulers:
    """Connections to all schedulers. ``port`` is that of their HTTP side, ``seconds`` what an answer may take."""

    def __init__(self, port: int = DASHBOARD_PORT, seconds: float = _TIMEOUT) -> None:
        self._port = port
        self._seconds = seconds
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=4, keepalive_timeout=30, use_dns_cache=False)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), max_line_size=4096, max_field_size=4096
        )

    async def close(self) -> None:
        """Close them."""
        await self._session.close()

    async def state(self, host: str, token: str) -> Seen | None:
        """What the scheduler at ``host`` says now; ``None``: it does not answer, or not in the form that was agreed on."""
        return seen_of(await self._call("GET", host, token, "state", None, self._seconds))

    async def retire(self, host: str, token: str, workers: list[str], *, drain: float | None) -> tuple[set[str], dict[str, str]]:
        """Ask workers to go: (those that went, those that stay and why). ``drain``: seconds for running tasks; ``None``: busy ones stay."""
        body = {"workers": workers, "busy": "leave" if drain is None else "drain", "seconds": drain or 0}
        said = await self._call("POST", host, token, "retire", body, (drain or 0) + _MOVES)
        if not isinstance(said, Mapping):
            return set(), {}
        asked = set(workers)
        kept = said.get("kept")
        stay = {name: str(why)[:40] for name, why in kept.items() if name in asked} if isinstance(kept, Mapping) else {}
        return asked & set(_names(said.get("retired"))) - stay.keys(), stay

    async def _call(self, method: str, host: str, token: str, what: str, body: Any, seconds: float) -> Any:
        where = f"[{host}]" if ":" in host else host
        try:
            async with self._session.request(
                method,
                f"http://{where}:{self._port}/afkit/v1/{what}",
                json=body,
                headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as answer:
                if answer.status != 200:
                    return None
                return json.loads(await _bounded(answer))
        except (OSError, aiohttp.ClientError, ValueError, RecursionError):
            return None


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for part in answer.content.iter_chunked(64 << 10):
        content += part
        if len(content) > MOST_ANSWER:
            raise ValueError("the answer is too large")
    return content


def seen_of(said: Any) -> Seen | None:
    """An answer, checked: what is missing or of another form counts as nothing."""
    if not isinstance(said, Mapping):
        return None
    client, groups, refused = _mapping(said.get("client")), _mapping(said.get("groups")), _mapping(said.get("refused"))
    return Seen(
        client=client.get("seen") is True,
        gone=None if client.get("gone_s") is None else _seconds(client.get("gone_s")),
        clients=_count(said.get("clients")),
        idle=_seconds(said.get("idle_s")),
        results=_count(said.get("results")),
        groups={str(name): _group(_mapping(one)) for name, one in list(groups.items())[:64]},
        refused={str(name)[:80]: _sentence(_mapping(one)) for name, one in list(refused.items())[:64]},
        kept=frozenset(_names(said.get("kept"))),
    )


def _group(one: Mapping[str, Any]) -> GroupSeen:
    return GroupSeen(
        _count(one.get("ready")), _count(one.get("needed")), tuple(_names(one.get("idle"))), frozenset(_names(one.get("present")))
    )


def _sentence(one: Mapping[str, Any]) -> tuple[str, str]:
    message, hint = (" ".join(str(one.get(key) or "").split())[:_MOST_TEXT] for key in ("message", "hint"))
    return message, hint


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _names(value: Any) -> list[str]:
    return [one for one in value[:_MOST_NAMES] if isinstance(one, str)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    number = _seconds(value)
    return int(number)


def _seconds(value: Any) -> float:
    # a whole number may be too large to become a float at all
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return 0.0
    return float(min(max(value, 0.0), _LONGEST))
