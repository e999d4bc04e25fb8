"""Registries of images in the cluster's network: one for everybody, some that want to know who asks, one that forbids everything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.images import registry
from tools.images.registry import Registry
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.layout import NODE_ADDRESS

OPEN, PRIVATE, CLOSED, FORBIDDING, SILENT = (f"{NODE_ADDRESS}:{port}" for port in range(5000, 5005))
"""Addresses for the node: the same content behind the first three, which no login opens, one's, and another's; the last is nobody's."""
USER: Final = "puller"
PASSWORD: Final = "pull-from-here"
_HASH: Final = "$2b$05$IhzFBOYYibg3mvv3pMvbIePri/b9gTFFdwwKpB/u5t2gzRTHzHPL6"
_FORBIDDING: Final = """
import http.server, sys


class Forbidding(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = b'{"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}'
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(said)

    do_HEAD = do_GET


host, port = sys.argv[1].split(":")
http.server.ThreadingHTTPServer((host, int(port)), Forbidding).serve_forever()
"""
"""What some registries answer to whoever has logged in and may not have an image; Debian's has no such rules."""


@contextmanager
def served(cluster: Cluster) -> Iterator[Registry]:
    """All of them, until the block ends; what is pushed to the open one is in the others too."""
    folder = cluster.volume_root / "registry"
    folder.mkdir(exist_ok=True)
    (folder / "users").write_text(f"{USER}:{_HASH}\n")
    locked = f"auth: {{htpasswd: {{realm: tests, path: {folder / 'users'}}}}}\n"
    programs = {address: _serving(folder, address, more) for address, more in ((OPEN, ""), (PRIVATE, locked), (CLOSED, locked))}
    programs[FORBIDDING] = [sys.executable, "-c", _FORBIDDING, FORBIDDING]
    for address in (*programs, SILENT):
        _reached_without_tls(cluster, address)
    try:
        for address, command in programs.items():
            cluster.start_program(_name(address), command)
        pushed = Registry(cluster.forward(OPEN).removeprefix("http://"))
        pushed.wait()
        yield pushed
    finally:
        for address in programs:
            cluster.end_program(_name(address))


def _serving(folder: Path, address: str, more: str) -> list[str]:
    *words, written = registry.command(folder, address)
    own = folder / f"{_name(address)}.yml"
    own.write_text(Path(written).read_text(encoding="utf-8") + more, encoding="utf-8")
    return [*words, str(own)]


def _name(address: str) -> str:
    return f"registry-{address.rpartition(':')[2]}"


def _reached_without_tls(cluster: Cluster, address: str) -> None:
    """As an administrator tells the node's containerd of a registry in the site's own network."""
    folder = cluster.layout.etc / "certs.d" / address
    folder.mkdir(exist_ok=True)
    (folder / "hosts.toml").write_text(
        f'server = "http://{address}"\n\n[host."http://{address}"]\n  capabilities = ["pull", "resolve"]\n', encoding="utf-8"
    )
