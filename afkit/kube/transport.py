"""Sends requests to one API server: bounded connections, times, and the few repetitions that do no harm."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from yarl import URL

from afkit.errors import KubernetesError
from afkit.kube.config import Access
from afkit.kube.deadline import Deadline
from afkit.kube.failures import no_answer, refused
from afkit.kube.trust import Trust

__all__ = ["ANYTHING", "METADATA", "Call", "Transport", "decode", "encode", "without_managed_fields"]

MOST_CONNECTIONS: Final = 16
_ENCODE: Final = json.JSONEncoder(check_circular=False, separators=(",", ":"), ensure_ascii=False).encode
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_UNSENT: Final = frozenset(("Unreachable",))
ANYTHING: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Accepts the metadata alone where the server can give that, as every kind of its own does."""
_MANAGED: Final = b',"managedFields":['
_SPEC: Final = b'}]},"spec":{'
_ONLY_METADATA: Final = b'{"kind":"PartialObjectMetadata",'
_LAST: Final = b"}]}}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``verb`` is for sentences; ``repeatable``: asking twice does no harm. ``body`` is JSON, never shown."""

    verb: str
    method: str
    path: str
    kind: str
    namespace: str = ""
    name: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    accept: str = ANYTHING
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class _Failed:
    """One try that did not do it, and whether another may follow (after so many seconds, where the server says so)."""

    failure: KubernetesError
    again: bool
    retry_after: float | None = None
    cause: BaseException | None = None


class Transport:
    """Connections to one API server. Watches have connections of their own, so that they never wait for a free one."""

    def __init__(self, access: Access, timeout: float, acting_as: str = "") -> None:
        self.access = access
        self.timeout = timeout
        self._acting_as = acting_as
        self._calls = _session(aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=60))
        self._watches = _session(aiohttp.TCPConnector(limit=0))
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()
        await self._watches.close()

    async def send(self, call: Call, deadline: Deadline | None = None) -> bytes:
        """The body of the answer; `KubernetesError` otherwise, `DeadlineError` where the caller's deadline ended the waiting.

        From the moment when a connection is free, all tries of one call together take at most ``timeout`` seconds. What certainly was
        not done (no connection, 429, an answer with ``Retry-After``) is tried again; after anything else only what is ``repeatable``.
        """
        budget: Deadline | None = None
        tried, renew = 0, False
        while True:
            await self._turn(deadline)
            try:
                budget = budget or _budget(self.timeout, deadline)
                answer = await self._try(call, budget, renew)
            finally:
                self._free.release()
            if isinstance(answer, bytes):
                return answer
            renew = answer.failure.status == 401 and not renew
            pause = _pause(tried, answer.retry_after)
            if deadline is not None and deadline.passed:
                raise deadline.error() from answer.failure
            if not (answer.again or renew) or pause >= budget.left:
                raise answer.failure from answer.cause
            tried += 1
            await asyncio.sleep(pause)

    async def _turn(self, deadline: Deadline | None) -> None:
        """Wait for a free connection; that is nobody's fault but our own, and counts against the caller's deadline alone."""
        if deadline is not None:
            deadline.check()
        if deadline is None or not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with deadline.limit():
                await self._free.acquire()
        except TimeoutError:
            raise deadline.error() from None

    async def _try(self, call: Call, budget: Deadline, renew: bool) -> bytes | _Failed:
        try:
            status, retry_after, body = await self._once(call, budget, renew)
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = no_answer(call.verb, call.kind, call.namespace, call.name, error, self.access.server)
            again = failure.reason in _UNSENT or call.repeatable or (failure.reason == "Untrusted" and self._renewed())
            return _Failed(failure, again, None, _shown(error))
        if status < 300:
            return body
        failure = refused(call.verb, call.kind, call.namespace, call.name, status, body)
        again = status == 429 or (status >= 500 and (retry_after is not None or call.repeatable))
        return _Failed(failure, again, retry_after)

    async def _once(self, call: Call, budget: Deadline, renew: bool) -> tuple[int, float | None, bytes]:
        timeout = aiohttp.ClientTimeout(total=max(0.001, budget.left), sock_connect=max(1.0, self.timeout / 2))
        async with self._request(self._calls, call, timeout, await self._headers(call, renew)) as answer:
            return answer.status, _seconds(answer.headers.get("Retry-After")), await answer.read()

    async def stream(self, call: Call, silence: float) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on, as they come, after an empty one when it begins; ends when the server ends it.

        `KubernetesError`: it was refused, broke off, or nothing came for ``silence`` seconds (reason ``Timeout``).
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=max(1.0, self.timeout / 2), sock_read=silence)
        try:
            async with self._request(self._watches, call, timeout, await self._headers(call, False)) as answer:
                if answer.status != 200:
                    if answer.status == 401:
                        await self._headers(call, True)
                    raise refused(call.verb, call.kind, call.namespace, call.name, answer.status, await answer.read())
                yield b""
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = no_answer(call.verb, call.kind, call.namespace, call.name, error, self.access.server)
            if failure.reason == "Untrusted":
                # whoever goes on with the watch tries again
                self._renewed()
            raise failure from _shown(error)

    def _renewed(self) -> bool:
        """Whether the authority that did not fit has been replaced by another one meanwhile."""
        tls = self.access.tls
        return isinstance(tls, Trust) and tls.renew()

    def _request(self, session: aiohttp.ClientSession, call: Call, timeout: aiohttp.ClientTimeout, headers: Mapping[str, str]) -> Any:
        return session.request(
            call.method,
            URL(f"{self.access.server}{call.path}", encoded=True).with_query(dict(call.query)),
            data=call.body,
            headers=headers,
            timeout=timeout,
            ssl=self._tls() or True,
            proxy=self.access.proxy,
            server_hostname=self.access.server_name,
            allow_redirects=False,
        )

    def _tls(self) -> ssl.SSLContext | None:
        tls = self.access.tls
        return tls.context() if isinstance(tls, Trust) else tls

    async def _headers(self, call: Call, renew: bool) -> dict[str, str]:
        headers = {"Accept": call.accept}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        if self._acting_as:
            headers["Impersonate-User"] = self._acting_as
        authorization = await self.access.credentials.value(renew=renew)
        if authorization:
            headers["Authorization"] = authorization
        return headers


def _budget(seconds: float, deadline: Deadline | None) -> Deadline:
    return Deadline.after(seconds) if deadline is None else deadline.sooner(seconds)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    # no cookies, no proxies and no passwords of the environment: only what the configuration says
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def _shown(error: BaseException) -> BaseException | None:
    # these carry the request's headers, and with them the token
    return None if isinstance(error, aiohttp.ClientResponseError) else error


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _pause(tried: int, retry_after: float | None) -> float:
    if retry_after is not None:
        return retry_after + random.uniform(0, 0.1)  # noqa: S311  # spreads load, hides nothing
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**tried) * random.uniform(0.7, 1.3)  # noqa: S311  # as above


def encode(value: Any) -> bytes:
    """JSON as it is sent: short, and text that is no UTF-8 (a lone surrogate) escaped.

    All other text stands as it is: what is applied is read as YAML, which has no pairs of surrogates.
    """
    try:
        return _ENCODE(value).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def without_managed_fields(text: bytes) -> bytes:
    """JSON of an object (or of a watch's event) without ``metadata.managedFields``, which nobody reads and is half of a small pod.

    They stand last in ``metadata``, before ``spec`` or at the end of an object that is nothing but metadata; the quotes of both ends
    cannot occur inside a string. Where that is not so, the text stays as it is.
    """
    begin = text.find(_MANAGED)
    if begin < 0:
        return text
    end = text.find(_SPEC, begin)
    if end > 0:
        return text[:begin] + text[end + 2 :]
    return text[:begin] + b"}}" if text.startswith(_ONLY_METADATA) and text.rstrip().endswith(_LAST) else text


def decode(body: bytes, call: Call) -> dict[str, Any]:
    """An answer as plain data; `KubernetesError` for what is no JSON object."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise KubernetesError(
            f"What answered for the API server is none: asked to {call.verb} {call.kind}, it sent no JSON.",
            "Is there a proxy in between?",
            reason="NotKubernetes",
            kind=call.kind,
            namespace=call.namespace,
            name=call.name,
        )
    return value
