"""What the service asks the hub: whose token this is, and in which groups somebody is."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from afkit.errors import PlatformError
from afkit.services.dask.refusal import CallerError

__all__ = ["Hub"]

SERVICE: Final = "dask"
_FRESH: Final = 10.0
"""Seconds for which an answer holds."""
_MOST: Final = 4096
_OPENS: Final = frozenset((f"access:services!service={SERVICE}", "access:services"))
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class Hub:
    """The hub whose API is at ``url``; ``token`` is the service's own."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._known: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def name_of(self, token: str) -> str:
        """The login name behind somebody's hub token. Raises `CallerError` where it opens nothing here."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        user = await self._kept(key, lambda: self._ask("/user", token))
        if user is None or user.get("kind") != "user" or not isinstance(user.get("name"), str):
            raise CallerError(401, "token", "The hub does not know this token as a person's.", "Log in again, or start the server anew.")
        if _OPENS.isdisjoint(user.get("scopes") or ()):
            raise CallerError(
                403, "not-entitled", "This token does not open the Dask service.", "Use one with access:services!service=dask."
            )
        return str(user["name"])

    async def groups_of(self, name: str) -> tuple[str, ...]:
        """The JupyterHub groups of a person. Raises `CallerError` for who is no user of the hub any more."""
        user = await self._kept(f"user {name}", lambda: self._ask(f"/users/{quote(name, safe='')}", self._token))
        if user is None:
            raise CallerError(403, "not-entitled", "The hub does not know you any more.")
        return tuple(str(one) for one in user.get("groups") or ())

    async def _kept(self, key: str, ask: Any) -> Any:
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        found = await ask()
        self._known[key] = (now, found)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return found

    async def _ask(self, path: str, token: str) -> Any:
        """The answer's JSON; ``None`` where the hub refuses."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            headers = {"Authorization": f"token {token}"}
            async with self._session.get(f"{self._url}{path}", headers=headers) as answer:
                if answer.status in (401, 403, 404):
                    return None
                answer.raise_for_status()
                return await answer.json()
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise PlatformError("The facility's hub does not answer the Dask service.", "Try again in a moment.") from error
