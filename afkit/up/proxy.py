"""Which proxy stands in front of the hub and the servers, how it is started, and what the hub must know of it.

The supervisor starts the proxy, not the hub: a proxy that the hub starts outlives a killed hub, and the next hub would then
use it unasked (seen with traefik and with configurable-http-proxy).
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afkit.up.ports import HOST

__all__ = ["Addresses", "Proxy", "find_traefik", "python_proxy", "traefik_proxy"]


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports (all on the loopback address) of the public URL, the hub, and the proxy's own interface."""

    public: int
    hub: int
    api: int

    @property
    def url(self) -> str:
        """What people open."""
        return f"http://{HOST}:{self.public}/"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A way to run a proxy. ``files`` are written before each first start; ``hub`` goes into the hub's settings.

    ``notice`` is one line for the person who started it (empty: nothing is missing). The two with secrets stay out of the repr.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[Path, str] = field(default_factory=dict)
    hub: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notice: str = ""


def find_traefik() -> str | None:
    """Full path of the traefik of this Python environment, ``None`` without it or without the hub's package for it."""
    program = Path(sysconfig.get_path("scripts")) / "traefik"
    return str(program) if program.is_file() and importlib.util.find_spec("jupyterhub_traefik_proxy") else None


def traefik_proxy(program: str, addresses: Addresses, folder: Path) -> Proxy:
    """The Go program traefik with its file provider: the hub writes the routes, traefik watches the file."""
    rules = folder / "rules.toml"
    static = folder / "traefik.toml"
    return Proxy(
        name="traefik",
        command=(program, f"--configfile={static}"),
        files={static: _traefik_static(addresses, rules), rules: _TRAEFIK_RULES},
        hub={"kind": "traefik", "api": f"http://{HOST}:{addresses.api}", "rules": str(rules), "password": secrets.token_hex(32)},
    )


def python_proxy(addresses: Addresses) -> Proxy:
    """configurable-http-proxy in pure Python: runs wherever Python does."""
    token = secrets.token_hex(32)
    command = [sys.executable, "-c", _PYTHON_PROXY]
    command += ["--ip", HOST, "--port", str(addresses.public), "--api-ip", HOST, "--api-port", str(addresses.api)]
    command += ["--error-target", f"http://{HOST}:{addresses.hub}/hub/error"]
    return Proxy(
        name="configurable-http-proxy",
        command=tuple(command),
        environment={"CONFIGPROXY_AUTH_TOKEN": token},
        hub={"kind": "python", "api": f"http://{HOST}:{addresses.api}", "token": token},
        notice="The pure-Python proxy is used: progress and other streams come late, uploads and downloads over 100 MiB fail, requests"
        " wait when ten are open, and browsers talk to kernels by an older protocol after a first try that fails.",
    )


_PYTHON_PROXY = """\
import logging
from configurable_http_proxy.cli import main
# it would log whole addresses, and there may be a token in one; the hub and the servers log what was refused
logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
main()
"""

_TRAEFIK_RULES = '[http.middlewares.none.headers.customResponseHeaders]\nX-Afkit = ""\n'
"""What stands in the file of routes until the hub has written its own: traefik refuses an empty one."""


def _traefik_static(addresses: Addresses, rules: Path) -> str:
    return f"""\
[global]
checkNewVersion = false
sendAnonymousUsage = false

[api]

[providers]
providersThrottleDuration = "0s"

[providers.file]
filename = {json.dumps(str(rules), ensure_ascii=False)}
watch = true

[entryPoints.http]
address = "{HOST}:{addresses.public}"

# an upload may take longer than traefik's minute
[entryPoints.http.transport.respondingTimeouts]
readTimeout = "0s"

[entryPoints.auth_api]
address = "{HOST}:{addresses.api}"
"""
