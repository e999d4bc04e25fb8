"""Speaks to the facility's Dask service (``/services/dask/`` of the hub): typed questions and answers, deadlines, errors as sentences.

Every question may be asked twice: a cluster is made once for its name and id, however often the network loses the answer. So what fails
on the way (no connection, 429, 502, 503, 504) is asked again until the deadline. Standard library alone; `afkit.session.answers` reads
what comes back.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from afkit.errors import AfkitError, DeadlineError, IdentityError, PlatformError, RequestError, UnknownChoiceError
from afkit.session.answers import Access, Capacity, State, unreadable
from afkit.session.terms import service_address

__all__ = ["Service", "aside", "here"]

TOKEN = "/var/run/secrets/afkit.io/services/token"  # noqa: S105 - where it is
"""The pod's own token for the facility's services (or where ``AFKIT_TOKEN_FILE`` says). Kubernetes writes it anew before it expires."""

MOST = 16 << 20
"""Bytes of an answer."""

CALL = 30.0
"""Seconds that one attempt may take."""

_AGAIN = frozenset({429, 502, 503, 504})
_REASONS = {kind.reason: kind for kind in RequestError.__subclasses__()}
_FAULTS: dict[int, tuple[type[AfkitError], str, str]] = {
    401: (IdentityError, "The facility's Dask service does not know this session.", "Stop the server and start it again."),
    403: (IdentityError, "This session may not use the facility's Dask service.", "Ask the facility's support."),
    429: (PlatformError, "The facility's Dask service has too much to do.", "Try again in a minute."),
}
"""Class, sentence and hint where the answer has none."""


def here(environ: Mapping[str, str] | None = None) -> Service | None:
    """The service of the facility that this process's session belongs to; ``None`` outside of any."""
    environ = os.environ if environ is None else environ
    base = service_address(environ)
    return Service(base, environ) if base else None


def aside(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Do something that blocks in a thread of its own, for which the end of the process does not wait."""
    result: Future[Any] = Future()

    def run() -> None:
        try:
            result.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            result.set_exception(error)

    threading.Thread(target=run, name="afkit-service", daemon=True).start()
    return result


class Service:
    """``base`` ends in a slash. ``environ`` has the session's token, where the pod has none. Methods block, in any thread.

    They raise a `RequestError` for what is refused, `DeadlineError` when the service did not answer in time (``deadline`` is a time of
    `time.monotonic`), `IdentityError` when it does not know this session, `PlatformError` when it fails.
    """

    def __init__(self, base: str, environ: Mapping[str, str]) -> None:
        self.base = base
        self._parts = urlsplit(base)
        self._environ = environ

    def create(self, wanted: Mapping[str, Any], deadline: float) -> State:
        """Make a cluster, or find the one that the same call has made before; with ``dry_run`` neither."""
        return State.read(self._ask("POST", "clusters", deadline, wanted))

    def state(self, name: str, deadline: float, *, since: int | None = None, wait: float = 0) -> State:
        """A cluster; with ``since`` and ``wait`` once it is another than that version, or after so many seconds."""
        query = f"?since={since}&wait={wait:g}" if since is not None and wait else ""
        return State.read(self._ask("GET", f"clusters/{quote(name, safe='')}{query}", deadline, patience=wait))

    def all(self, deadline: float) -> list[State]:
        """The person's live clusters, oldest first."""
        found = self._ask("GET", "clusters", deadline).get("clusters")
        if not isinstance(found, list):
            raise unreadable("clusters")
        return sorted((State.read(one) for one in found), key=lambda state: state.made)

    def change(self, name: str, groups: list[dict[str, Any]], deadline: float) -> State:
        """Other numbers of workers: for each group ``name``, ``low`` and ``high``."""
        return State.read(self._ask("PATCH", f"clusters/{quote(name, safe='')}", deadline, {"groups": groups}))

    def delete(self, name: str, identifier: str, deadline: float) -> None:
        """End the cluster with this name and id. That there is none is fine."""
        try:
            self._ask("DELETE", f"clusters/{quote(name, safe='')}?id={quote(identifier, safe='')}", deadline)
        except UnknownChoiceError:
            return

    def access(self, name: str, deadline: float) -> Access:
        """Address and certificates of a cluster."""
        return Access.read(self._ask("GET", f"clusters/{quote(name, safe='')}/access", deadline))

    def capacity(self, deadline: float) -> Capacity:
        """What is free, and what the person's limits leave."""
        return Capacity.read(self._ask("GET", "capacity", deadline))

    # one question

    def _ask(self, method: str, path: str, deadline: float, body: Mapping[str, Any] | None = None, patience: float = 0) -> dict[str, Any]:
        pause, refused = 0.1, False
        while True:
            try:
                status, after, answer = self._once(method, path, deadline, body, patience, other=refused)
            except (OSError, http.client.HTTPException) as error:
                failure: AfkitError = _silent(error, self.base)
                after = 0.0
            else:
                if status < 300:
                    return answer
                if status == 401 and not refused and self._token(True) is not None:
                    refused = True
                    continue
                failure = _error(status, answer)
                if status not in _AGAIN:
                    raise failure
            pause = max(after, pause)
            if time.monotonic() + pause >= deadline:
                raise failure
            # many sessions that lost one service must not come back at the same moment
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(2 * pause, 5.0)

    def _once(
        self, method: str, path: str, deadline: float, body: Mapping[str, Any] | None, patience: float, *, other: bool
    ) -> tuple[int, float, dict[str, Any]]:
        """Status, seconds to wait before another try, and what was said."""
        left = min(deadline - time.monotonic(), CALL + patience)
        if left <= 0:
            raise TimeoutError
        headers = {"Accept": "application/json", "Authorization": self._token(other) or ""}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        link = self._connect(left)
        try:
            link.request(method, f"{self._parts.path}{path}", body=data, headers=headers)
            answer = link.getresponse()
            text = answer.read(MOST)
            return answer.status, _seconds(answer.headers.get("Retry-After")), _object(text)
        finally:
            link.close()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        # no proxy: that would be the way out of the facility, and must not see the token
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _token(self, other: bool) -> str | None:
        """What is sent as ``Authorization``: the pod's token, which says which pod asks, else the hub's; ``other``: the second of them."""
        found = []
        with contextlib.suppress(OSError):
            found.append(f"Bearer {Path(self._environ.get('AFKIT_TOKEN_FILE') or TOKEN).read_text().strip()}")
        if self._environ.get("JUPYTERHUB_API_TOKEN"):
            found.append(f"token {self._environ['JUPYTERHUB_API_TOKEN']}")
        return found[other] if len(found) > other else None


def _error(status: int, said: Mapping[str, Any]) -> AfkitError:
    """The error that an answer means."""
    message, hint, field = (str(said.get(key) or "") for key in ("message", "hint", "field"))
    kind = _REASONS.get(str(said.get("reason")))
    if kind is not None and status < 500 and status not in (401, 429):
        return kind(message, hint, field=field)
    fault, usual, advice = _FAULTS.get(status, (PlatformError, f"The facility's Dask service failed ({status}).", "Try again in a minute."))
    if status == 401:
        # what it says of a token is for whoever wrote this, not for people
        return fault(usual, advice)
    return fault(message or usual, hint or advice)


def _silent(error: Exception, base: str) -> PlatformError:
    host = urlsplit(base).netloc
    if isinstance(error, TimeoutError):
        found: PlatformError = DeadlineError(f"The facility's Dask service at {host} did not answer in time.", "Try again in a minute.")
    else:
        found = PlatformError(
            f"The facility's Dask service at {host} cannot be reached ({type(error).__name__}).",
            'Try again in a minute, or write where="local" for workers on this machine.',
        )
    found.__cause__ = error
    return found


def _seconds(text: str | None) -> float:
    return min(float(text), 60.0) if text and text.isdigit() else 0.0


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
