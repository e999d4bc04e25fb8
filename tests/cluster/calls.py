"""Calls to the API server with the token in a kubeconfig."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.kubernetes.api import ApiError, message_of


def caller(kubeconfig: Path) -> Callable[..., dict[str, Any]]:
    """``call(METHOD, PATH, BODY, kind=…)`` as the identity of a kubeconfig with a token."""
    config = json.loads(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    token = config["users"][0]["user"]["token"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    def call(method: str, path: str, body: object = None, *, kind: str = "application/json") -> dict[str, Any]:
        connection = http.client.HTTPSConnection(server.hostname or "", server.port or 443, timeout=30, context=context)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind, "Accept": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(response.status, f"{method} {path}: {response.status} {message_of(content)}")
        found: dict[str, Any] = json.loads(content)
        return found

    return call
