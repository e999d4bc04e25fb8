"""An OpenID provider on this machine, over real HTTP: it behaves, and misbehaves where a test says so.

::

    with Provider(clients={"hub": Client(redirects=("https://af.example.org/hub/oauth_callback/cms",))}) as provider:
        provider.people["ada"] = {"preferred_username": "ada", "wlcg.groups": ["/cms"]}

It has discovery, keys, the code flow with PKCE and nonce, refresh tokens that rotate (one that is used twice ends its whole family),
userinfo, token exchange (RFC 8693), introspection (RFC 7662), revocation (RFC 7009) and logout. Whoever is in `Provider.people` may
log in without a password: a page asks who it is, or `Provider.person` says so beforehand.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from afkit.testing.authority import Authority
from afkit.testing.grants import Grants
from afkit.testing.pages import routes
from afkit.testing.signing import Algorithm, Signer

__all__ = ["Client", "Fault", "Provider"]


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the provider. ``redirects`` are compared letter by letter; ``exchanges``: audiences it may exchange tokens for."""

    secret: str = "secret-of-a-client-in-a-test"  # noqa: S105  # of tests alone
    redirects: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What one address does instead: wait for ``delay`` seconds, then answer ``status`` with ``body``, or behave (status 0)."""

    status: int = 0
    body: bytes = b""
    content_type: str = "application/json"
    delay: float = 0
    location: str = ""


class Provider:
    """One provider; ``with`` starts and ends it. What it does may be changed while it runs.

    ``authority``: serves https by it, else http. ``path``: below which it is, so that its issuer ends like that (``"/"``,
    ``"/realms/cern"``). ``port``: 0 chooses one, which stays the same when it is started again.

    ``people``: subject → claims, which stand in all tokens and at userinfo, save ``userinfo_only``. ``faults``: address
    (``discovery``, ``jwks``, ``authorize``, ``token``, ``userinfo``, ``introspect``, ``revoke``, ``logout``) → `Fault`. ``edit``:
    the kind of a token (``id``, ``access``) → what changes its claims before they are signed (``userinfo``: of that answer).
    ``lose``: seconds between what the token address does and its answer. ``refreshes``: whether there are refresh tokens.
    ``asked``: every request, as method and address; ``issued``: every token, for tests that look for them where none may be.
    """

    def __init__(
        self,
        clients: Mapping[str, Client] | None = None,
        *,
        people: Mapping[str, Mapping[str, Any]] | None = None,
        authority: Authority | None = None,
        path: str = "",
        algorithm: Algorithm = "RS256",
        port: int = 0,
    ) -> None:
        self.clients = dict(clients or {"hub": Client()})
        self.people = {subject: dict(claims) for subject, claims in (people or {}).items()}
        self.person = ""
        self.userinfo_only: frozenset[str] = frozenset()
        self.faults: dict[str, Fault] = {}
        self.edit: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self.header: dict[str, Any] = {}
        self.describe: dict[str, Any] = {}
        self.life = 3600
        self.skew = 0.0
        self.lose = 0.0
        self.refreshes = True
        self.asked: list[str] = []
        self.issued: list[str] = []
        self.signers = [Signer(algorithm)]
        self.grants = Grants()
        self._authority = authority
        self._socket = _listen(port)
        self._port = self._socket.getsockname()[1]
        self.path = path.rstrip("/")
        self.address = f"{'https' if authority else 'http'}://localhost:{self._port}{self.path}"
        self.issuer = f"{self.address}/" if path.endswith("/") else self.address
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def now(self) -> float:
        """Its clock, which may be wrong (`skew` seconds)."""
        return time.time() + self.skew

    def rotate(self, *, keep: bool = True) -> None:
        """A new key signs from now on; without ``keep`` the old ones are published no longer."""
        new = Signer(self.signers[0].algorithm)
        self.signers = [new, *(self.signers if keep else [])]

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """A token of this provider, by its first key. ``kind`` is ``id`` or ``access``."""
        edited = self.edit.get(kind, dict)(dict(claims))
        made = self.signers[0].sign(edited, {"typ": "at+jwt" if kind == "access" else "JWT", **self.header})
        self.issued.append(made)
        return made

    def times(self) -> dict[str, int]:
        """``iat``, ``nbf`` and ``exp`` of a token that is made now."""
        now = int(self.now())
        return {"iat": now, "nbf": now, "exp": now + self.life}

    def start(self) -> None:
        """Answer. After `stop` it answers at the same port again, and has forgotten nothing."""
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.result(10)

    def stop(self) -> None:
        """Be down: connections are refused."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop = None

    def _serve(self, started: Future[None]) -> None:
        self._loop = loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        application = web.Application(middlewares=[self._middle])
        application.add_routes(routes(self))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        try:
            loop.run_until_complete(self._begin(runner))
        except BaseException as error:  # noqa: BLE001  # whoever waits for the start gets it
            started.set_exception(error)
            return
        started.set_result(None)
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(loop)  # answers that nobody waits for any more
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    async def _begin(self, runner: web.AppRunner) -> None:
        await runner.setup()
        if self._socket.fileno() < 0:
            self._socket = _listen(self._port)
        context = self._authority.context() if self._authority else None
        await web.SockSite(runner, self._socket, ssl_context=context).start()

    @web.middleware
    async def _middle(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path.removeprefix(self.path)}")
        fault = self.faults.get(request.match_info.route.name or "", Fault())
        await asyncio.sleep(fault.delay)
        if not fault.status:
            answer: web.StreamResponse = await handler(request)
            return answer
        headers = {"Location": fault.location} if fault.location else {}
        return web.Response(status=fault.status, body=fault.body, content_type=fault.content_type, headers=headers)


def _listen(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made
