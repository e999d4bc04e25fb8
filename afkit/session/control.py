"""The control socket of a cluster: the Jupyter server's sidebar and other kernels scale, adapt and close it through this.

A Unix socket in the cluster's own folder (mode 0700); where that path is too long for one, a loopback port. A token is asked for
in both cases. One line of JSON in, one line out.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from afkit.errors import AfkitError, MalformedError, RequestError

__all__ = ["Control", "Verb"]

Verb = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""What carries out one order; its answer goes back as it is."""

_MOST = 64 << 10
_PATH_MOST = 100
"""Bytes of a Unix socket's path that every system takes (Linux 107, macOS 103)."""

log = logging.getLogger(__name__)


class Control:
    """The server side. ``address`` and ``token`` are what the registry's entry says."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self.address = ""
        self.token = secrets.token_urlsafe(24)
        self._verbs = verbs
        self._server: asyncio.Server | None = None

    async def start(self, folder: Path) -> None:
        """Listen, in the running loop."""
        path = folder / "control"
        if len(str(path).encode()) <= _PATH_MOST:
            self._server = await asyncio.start_unix_server(self._serve, str(path), limit=_MOST)
            path.chmod(0o600)
            self.address = str(path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MOST)
            self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            answer = await self._obey(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            pass  # who asked went away, or sent a line without an end
        finally:
            writer.close()

    async def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            order = json.loads(line)
            token, verb = order["token"], self._verbs[order["do"]]
        except (ValueError, TypeError, KeyError):
            return _refused(MalformedError("This is no order."))
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(), self.token.encode()):
            return _refused(MalformedError("This is not the cluster's token."))
        try:
            return await verb(order)
        except AfkitError as error:
            return _refused(error)
        except Exception as error:  # whoever asked, in another process, needs an answer whatever went wrong here
            log.exception("an order to the cluster failed")
            return {"error": "failed", "message": f"The cluster failed: {type(error).__name__}.", "hint": ""}


def _refused(error: AfkitError) -> dict[str, Any]:
    reason = error.reason if isinstance(error, RequestError) else "failed"
    return {"error": reason, "message": error.message, "hint": error.hint}
