"""A registry of images on loopback (Debian's ``docker-registry``), and pushing to it, or to any that asks for no login.

What is pushed has the digests of the store: nothing is compressed or rewritten on the way.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import subprocess
import time
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tools.images import store
from tools.images.programs import program
from tools.images.store import Image

PATIENCE = 20.0
"""Seconds that the registry has to start."""
_CONFIGURATION = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{folder}"}}, delete: {{enabled: true}}}}
http: {{addr: "{address}", secret: "{folder}"}}
"""


class RegistryError(Exception):
    """The registry did not do what was asked; the text says what it said."""


@contextlib.contextmanager
def running(folder: Path, address: str) -> Iterator[Registry]:
    """A registry with its content in a folder, at ``HOST:PORT``; it ends with the block."""
    process = subprocess.Popen(command(folder, address), stdout=subprocess.DEVNULL, stderr=(folder / "registry.log").open("w"))
    try:
        registry = Registry(address)
        registry.wait(lambda: process.poll() is None)
        yield registry
    finally:
        process.terminate()
        process.wait()


def command(folder: Path, address: str) -> list[str]:
    """The command line of a registry; writes its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "registry.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder / "content", address=address), encoding="utf-8")
    return [str(program("docker-registry")), "serve", str(configuration)]


class Registry:
    """A registry by its address, spoken to as the distribution specification says."""

    def __init__(self, address: str) -> None:
        self.address = address

    def wait(self, alive: object = None) -> None:
        """Wait until it answers. Raises ``RegistryError``."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (not callable(alive) or alive()):
            with contextlib.suppress(OSError):
                self.request("GET", "/v2/", wanted=(200,))
                return
            time.sleep(0.02)
        raise RegistryError(f"the registry at {self.address} does not answer")

    def push(self, images: Collection[Image], repository: str, tag: str) -> str:
        """Push the platforms of an image and the index over them; returns the index's digest, which pins all of them."""
        for image in images:
            manifest, *parts = image.blobs()
            for digest in parts:
                self.upload(repository, digest)
            text = store.blob(manifest).read_bytes()
            self.put_manifest(repository, manifest, text, str(json.loads(text)["mediaType"]))
        index = {"schemaVersion": 2, "mediaType": store.INDEX, "manifests": [image.descriptor for image in images]}
        text = json.dumps(index, sort_keys=True, separators=(",", ":")).encode()
        self.put_manifest(repository, tag, text, store.INDEX)
        return "sha256:" + hashlib.sha256(text).hexdigest()

    def upload(self, repository: str, digest: str) -> None:
        """Push a blob, unless the registry has it."""
        if self.request("HEAD", f"/v2/{repository}/blobs/{digest}", wanted=(200, 404))[0] == 200:
            return
        place = self.request("POST", f"/v2/{repository}/blobs/uploads/", wanted=(202,))[1]["location"]
        parts = urllib.parse.urlsplit(place)
        query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), ("digest", digest)])
        blob = store.blob(digest)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.stat().st_size)}
        self.request("PUT", f"{parts.path}?{query}", blob, headers, wanted=(201,))

    def put_manifest(self, repository: str, reference: str, text: bytes, kind: str) -> None:
        """Push a manifest or an index under a tag or its digest."""
        self.request("PUT", f"/v2/{repository}/manifests/{reference}", text, {"Content-Type": kind}, wanted=(201,))

    def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest or an index; its tags are gone with it."""
        self.request("DELETE", f"/v2/{repository}/manifests/{digest}", wanted=(202, 404))

    def request(
        self, method: str, path: str, body: bytes | Path | None = None, headers: Mapping[str, str] | None = None, *, wanted: Collection[int]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request; returns status, headers (names in lower case) and body. Raises ``RegistryError`` for an unwanted status."""
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(contextlib.closing(http.client.HTTPConnection(self.address, timeout=300)))
            sent = stack.enter_context(body.open("rb")) if isinstance(body, Path) else body
            connection.request(method, path, sent, dict(headers or {}))
            answer = connection.getresponse()
            said = answer.read()
        if answer.status not in wanted:
            raise RegistryError(f"{method} {path}: {answer.status} {said[:300].decode(errors='replace')}")
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, said
