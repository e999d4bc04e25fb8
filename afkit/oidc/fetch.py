"""Asks providers over HTTP: bounded in bytes and time, never redirected, no cookies, nothing of an answer in an error."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

import aiohttp

from afkit.errors import ProviderError
from afkit.oidc.strict import StrictError, read_object
from afkit.oidc.token import Token

__all__ = ["MOST_BYTES", "Answer", "Fetch", "HttpFetch", "basic_auth", "bearer", "get_object"]

MOST_BYTES: Final = 1 << 20
_TIMEOUT: Final = 10.0
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "afkit"}


Form = Mapping[str, "str | Token"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a provider, of whatever status."""

    status: int
    content: bytes = field(repr=False)

    def object(self, what: str) -> dict[str, Any]:
        """The JSON object that it is. ``what`` names it in the `ProviderError` that is raised where it is none."""
        try:
            return read_object(self.content, MOST_BYTES)
        except StrictError as error:
            raise ProviderError(f"The answer of {what} {error}.") from None


class Fetch(Protocol):
    """Asks one address. Raises `ProviderError` where there is no answer, or one that is too large or leads elsewhere."""

    async def __call__(self, url: str, *, form: Form | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """GET, or POST of ``form``."""
        ...


class HttpFetch:
    """The real one. ``context``: which certificates are accepted (default: the system's). ``timeout``: seconds for the whole."""

    def __init__(self, context: ssl.SSLContext | None = None, timeout: float = _TIMEOUT) -> None:
        self._context = context
        self._timeout = timeout

    async def __call__(self, url: str, *, form: Form | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """See `Fetch`."""
        self._context = self._context or ssl.create_default_context()
        body = None if form is None else {key: value.reveal() if isinstance(value, Token) else value for key, value in form.items()}
        host = url.partition("?")[0]
        try:
            async with asyncio.timeout(self._timeout), _session(self._context) as session:
                request = session.request(
                    "GET" if body is None else "POST", url, data=body, headers={**_HEADERS, **(headers or {})}, allow_redirects=False
                )
                async with request as response:
                    if 300 <= response.status < 400:
                        raise ProviderError(f"{host} leads to another address, which is not followed.")
                    return Answer(response.status, await _content(response, host))
        except TimeoutError as error:
            raise ProviderError(f"{host} did not answer within {self._timeout:g} seconds.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # what aiohttp says of an answer may repeat it
            raise ProviderError(f"{host} cannot be asked: {type(error).__name__}.") from None


async def get_object(fetch: Fetch, url: str) -> dict[str, Any]:
    """The JSON object at an address. Raises `ProviderError` for everything else."""
    answer = await fetch(url)
    if answer.status != 200:
        raise ProviderError(f"{url} answers with the status {answer.status}.")
    return answer.object(url)


def bearer(token: Token) -> Mapping[str, str]:
    """The header that presents an access token (RFC 6750)."""
    return {"Authorization": f"Bearer {token.reveal()}"}


def basic_auth(client_id: str, secret: Token) -> Mapping[str, str]:
    """The header by which a client says who it is (RFC 6749, section 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    # a connection for each question: they are hours apart, and a provider that was restarted is found again
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


async def _content(response: aiohttp.ClientResponse, host: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        content += chunk
        if len(content) > MOST_BYTES:
            raise ProviderError(f"{host} answers with more than {MOST_BYTES} bytes.")
    return bytes(content)
