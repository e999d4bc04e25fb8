"""What issuers publish, asked for when it is needed: kept in memory and in a folder, one question at a time for each issuer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from afkit.errors import ProviderError
from afkit.oidc.addresses import discovery_url, flaw_of_issuer
from afkit.oidc.discovery import Metadata, parse_metadata
from afkit.oidc.fetch import Fetch, HttpFetch, get_object
from afkit.oidc.freshness import Known, may_ask, usable
from afkit.oidc.keys import Key, Keys, parse_keys
from afkit.oidc.store import Published, Store

__all__ = ["Providers"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of an issuer, and what is none of it yet (``None``)."""

    times: Known = field(default_factory=Known)
    metadata: Metadata | None = None
    keys: Keys | None = None


class Providers:
    """Descriptions and keys of issuers. Ask only for issuers that are trusted: every question may fetch.

    ``folder``: where they are kept over a restart. ``loopback_http``: ``http://127.0.0.1`` may be an issuer, for tests.
    """

    def __init__(self, folder: Path | None = None, fetch: Fetch | None = None, *, loopback_http: bool = False) -> None:
        self.fetch: Fetch = fetch or HttpFetch()
        self._store = Store(folder)
        self._loopback_http = loopback_http
        self._held: dict[str, _Held] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def metadata(self, issuer: str, now: float) -> Metadata:
        """Addresses of an issuer. Raises `ProviderError` where they are not known and it does not answer."""
        held = await self._fresh(issuer, now)
        assert held.metadata is not None, "what is fresh is there"  # noqa: S101  # for the type alone
        return held.metadata

    async def key(self, issuer: str, key_id: str, algorithm: str, now: float) -> Key | None:
        """A key of an issuer; ``None`` where it publishes no such key.

        For one that is not known it is asked again, at most every `afkit.oidc.freshness.UNKNOWN_PAUSE` seconds. Raises `ProviderError`.
        """
        held = await self._fresh(issuer, now)
        if (key_id, algorithm) not in (held.keys or {}):
            held = await self._fresh(issuer, now, unknown=(key_id, algorithm))
        return (held.keys or {}).get((key_id, algorithm))

    async def _fresh(self, issuer: str, now: float, unknown: tuple[str, str] | None = None) -> _Held:
        held = self._held.get(issuer)
        if held is not None and usable(held.times, now) and not may_ask(held.times, now, unknown_key=unknown is not None):
            return held
        async with self._locks.setdefault(issuer, asyncio.Lock()):
            # somebody else may have asked meanwhile
            held = self._held.get(issuer) or self._load(issuer)
            wanted = unknown is not None and unknown not in (held.keys or {})
            if may_ask(held.times, now, unknown_key=wanted):
                held = await self._ask(issuer, held, now, unknown_key=wanted)
            self._held[issuer] = held
        if held.keys is None or not usable(held.times, now):
            message = f"The provider {issuer} cannot be asked now, and its keys are not known."
            raise ProviderError(message, "Try again in a few minutes, or ask the administrators.")
        return held

    async def _ask(self, issuer: str, held: _Held, now: float, *, unknown_key: bool) -> _Held:
        times = replace(held.times, tried=now, unknown=now if unknown_key else held.times.unknown)
        try:
            found, published = await self._publications(issuer, now)
        except ProviderError as error:
            kept = "what is known of it still counts" if usable(times, now) and held.keys else "nothing is known of it"
            _log.warning("Provider %s: %s (%s)", issuer, error.message, kept)
            return replace(held, times=times)
        self._store.save(published)
        return replace(found, times=replace(times, fetched=now))

    async def _publications(self, issuer: str, now: float) -> tuple[_Held, Published]:
        described = await get_object(self.fetch, discovery_url(issuer))
        metadata = parse_metadata(issuer, described, loopback_http=self._loopback_http)
        keys = await get_object(self.fetch, metadata.jwks)
        return _Held(metadata=metadata, keys=parse_keys(issuer, keys)), Published(issuer, now, described, keys)

    def _load(self, issuer: str) -> _Held:
        """What is kept of an issuer, read as strictly as what it says now."""
        wrong = flaw_of_issuer(issuer, loopback_http=self._loopback_http)
        if wrong:
            raise ProviderError(f"The issuer {issuer[:200]!r} {wrong}.", "Write the https address that the provider has as `issuer`.")
        kept = self._store.load(issuer)
        if kept is None:
            return _Held()
        try:
            metadata = parse_metadata(issuer, kept.metadata, loopback_http=self._loopback_http)
            return _Held(Known(kept.fetched, kept.fetched), metadata, parse_keys(issuer, kept.keys))
        except ProviderError as error:
            _log.warning("What was kept of the provider %s is of no use: %s", issuer, error.message)
            return _Held()
