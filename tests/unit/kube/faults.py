"""A server on loopback whose every answer a test decides: for what may happen to a connection, not for what Kubernetes does."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

OVER = web.RequestKey("over", asyncio.Event)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultServer:
    """Calls ``answer`` for every request, and remembers the requests as ``METHOD PATH?QUERY``."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self._tls = tls
        self._over = asyncio.Event()

    async def __aenter__(self) -> FaultServer:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        self.headers.append(dict(request.headers))
        request[OVER] = self._over
        return await self.answer(request)


def status(code: int, reason: str = "", message: str = "", **headers: str) -> web.Response:
    """An answer as the API server has it for what is no success."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code, headers={key.replace("_", "-"): value for key, value in headers.items()})


async def cut(request: web.BaseRequest) -> web.StreamResponse:
    """Break the connection off without an answer."""
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


async def stream(request: web.BaseRequest, *events: tuple[str, dict[str, Any]], then: str = "end") -> web.StreamResponse:
    """A watch that tells these events, and then ends, ``cut``s or falls ``silent``."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for change, obj in events:
        await response.write(json.dumps({"type": change, "object": obj}).encode() + b"\n")
    if then == "cut":
        await asyncio.sleep(0.01)
        request.transport.abort()
    if then == "silent":
        await request[OVER].wait()
    return response


def pod(name: str, version: int, phase: str = "Pending", namespace: str = "ns", uid: str = "") -> dict[str, Any]:
    """A pod of a few fields."""
    metadata = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": {"phase": phase}}


def bookmark(version: int, *, initial: bool = False) -> dict[str, Any]:
    """The object of a bookmark."""
    annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if initial else {}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(version), **annotations}}


def certificate(folder: Path) -> tuple[str, str]:
    """The paths of a self-signed certificate for 127.0.0.1 and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    return str(paths[0]), str(paths[1])
