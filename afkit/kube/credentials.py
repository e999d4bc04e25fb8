"""What opens the API server: a token that stands somewhere, a file that is re-read, or a program that prints one. Never shown."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from afkit.errors import KubernetesError

__all__ = ["ExecCredential", "FileToken", "Headers", "StaticHeader"]

_REREAD = 30.0
_PROGRAM_SECONDS = 30.0


class Headers(Protocol):
    """Gives the value of the ``Authorization`` header (empty: none)."""

    async def value(self, *, renew: bool = False) -> str:
        """The value now; ``renew``: the last one was refused."""
        ...


@dataclass(frozen=True, slots=True)
class StaticHeader:
    """A header that stays as it is (empty: none, where a client certificate opens or nothing is needed)."""

    header: str = field(repr=False)

    async def value(self, *, renew: bool = False) -> str:  # noqa: ARG002  # nothing can renew it
        """The header."""
        return self.header


class FileToken:
    """A token in a file that others renew (a pod's own): read again every half minute, and when it was refused."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._header = ""
        self._read_at = 0.0

    def __repr__(self) -> str:
        return f"FileToken({str(self._path)!r})"

    async def value(self, *, renew: bool = False) -> str:
        """The token as it stands in the file."""
        now = time.monotonic()
        if renew or not self._header or now - self._read_at > _REREAD:
            self._header = self._read() or self._header
            self._read_at = now
        return self._header

    def _read(self) -> str:
        try:
            return f"Bearer {self._path.read_text('ascii').strip()}"
        except (OSError, UnicodeDecodeError) as error:
            if self._header:
                return ""
            raise KubernetesError(f"The token for the API server cannot be read from {self._path}.", reason="NoCredentials") from error


class ExecCredential:
    """The token that a program named in the kubeconfig prints (as cloud providers have it); kept until it expires."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], api_version: str) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._api_version = api_version
        self._header = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"ExecCredential({self._command[0]!r})"

    async def value(self, *, renew: bool = False) -> str:
        """The token; runs the program when there is none that still holds."""
        async with self._lock:
            if renew or not self._header or time.time() > self._until:
                status = await self._run()
                self._header = f"Bearer {status.get('token', '')}"
                self._until = _expiry(status.get("expirationTimestamp"))
        return self._header

    async def _run(self) -> Mapping[str, Any]:
        asked = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = {**os.environ, **self._environment, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
        sentence = f"The program {self._command[0]!r} of the kubeconfig gave no token."
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise KubernetesError(sentence, f"Is it installed? {error.strerror}.", reason="NoCredentials") from error
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), _PROGRAM_SECONDS)
            status = json.loads(printed)["status"]
            if process.returncode == 0 and isinstance(status, dict) and status.get("token"):
                return status
        except (TimeoutError, ValueError, KeyError, TypeError):
            # what it printed may hold a secret: it is not chained
            pass
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        raise KubernetesError(sentence, "Run it by hand to see what it says.", reason="NoCredentials")


def _expiry(text: object) -> float:
    if not isinstance(text, str):
        return float("inf")
    try:
        return datetime.datetime.fromisoformat(text).timestamp() - 60
    except ValueError:
        return time.time() + 60
