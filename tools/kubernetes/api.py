"""A small client of the API server for the launcher and the fixtures: blocking, JSON in and out, nothing cached."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused, or gave no answer (``status`` 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Talks to the API server that a kubeconfig names, with the client certificate or the token in it."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        self._server = urlsplit(config["clusters"][0]["cluster"]["server"])
        user = config["users"][0]["user"]
        self._context = ssl.create_default_context(
            cadata=base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            self._context.load_cert_chain(pair.name)

    def request(self, method: str, path: str, body: object = None, *, kind: str = "application/json", timeout: float = 30) -> Object:
        """One request; returns the object in the answer. Raises ``ApiError``."""
        connection = self._connect(timeout)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": kind, "Accept": "application/json"}
            )
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(response.status, f"{method} {path}: {response.status} {message_of(content)}")
        return cast("Object", json.loads(content)) if content[:1] == b"{" else {"text": content.decode()}

    def get(self, path: str) -> Object:
        """An object or a list."""
        return self.request("GET", path)

    def apply(self, path: str, body: Mapping[str, Any], *, timeout: float = 30) -> Object:
        """Make or change an object by server-side apply, at the path of the object itself."""
        query = f"{path}?fieldManager=afkit-tools&force=true"
        return self.request("PATCH", query, body, kind="application/apply-patch+yaml", timeout=timeout)

    def merge(self, path: str, body: Mapping[str, Any]) -> Object:
        """Change an object by a merge patch."""
        return self.request("PATCH", path, body, kind="application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object; one that is not there is fine."""
        try:
            self.request("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def until(self, path: str, condition: Callable[[Object | None], bool], seconds: float = 60) -> Object | None:
        """The object of this path (that of one object) once the condition holds; None: it is gone, or was never there.

        Watches, so it returns as soon as the API server says so. Raises ``TimeoutError`` with the object's last state.
        """
        deadline = time.monotonic() + seconds
        collection, _, name = path.rpartition("/")
        last: Object | None = None
        while (left := deadline - time.monotonic()) > 0:
            listed = self.get(f"{collection}?fieldSelector=metadata.name%3D{name}")
            last = next(iter(listed.get("items", [])), None)
            if condition(last):
                return last
            query = f"{collection}?watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={listed['metadata']['resourceVersion']}"
            for event in self.watch(query, left):
                last = None if event["type"] == "DELETED" else event["object"]
                if event["type"] != "ERROR" and condition(last):
                    return last
        raise TimeoutError(f"{path} after {seconds:g} s: {json.dumps((last or {}).get('status'))}")

    def watch(self, path: str, seconds: float) -> Iterator[Object]:
        """The events of a watch, at most so long."""
        connection = self._connect(max(seconds, 1))
        try:
            connection.request("GET", f"{path}&timeoutSeconds={max(int(seconds), 1)}", headers={"Accept": "application/json"})
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(response.status, message_of(response.read()))
            while line := response.readline():
                yield json.loads(line)
        except TimeoutError:
            return
        finally:
            connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._server.hostname or "", self._server.port or 443, timeout=timeout, context=self._context)


def message_of(content: bytes) -> str:
    """The sentence in a Status, else the start of whatever came."""
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content[:300].decode(errors="replace")


def kubeconfig_from_environment() -> Path | None:
    """The cluster that the tests were given instead of one of their own."""
    given = os.environ.get("AFKIT_TEST_KUBECONFIG")
    return Path(given).resolve() if given else None
