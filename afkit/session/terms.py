"""What the session grants a Dask cluster: the profile's terms (``AFKIT_DASK``), the server's size (``CPU_LIMIT``, ``MEM_LIMIT``).

The hub's spawner writes these variables; outside a session none exists, and the machine itself is the limit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from afkit import names
from afkit.errors import NotEntitledError, PlatformError
from afkit.session import machine

__all__ = ["Terms", "read_terms", "service_address", "session_key"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What one session may have. Amounts in millicores, bytes and seconds; ``None``: no limit.

    ``gpus``: one entry for each GPU (what ``CUDA_VISIBLE_DEVICES`` calls it). ``worker_*``: the largest worker of the profile.
    ``of``: whose ``cores`` and ``memory`` these are, for sentences. ``session``: clusters with the same key share them.
    """

    cores: int
    memory: int
    gpus: tuple[str, ...]
    arch: str
    of: str
    session: str
    in_session: bool = False
    where: str = "local"
    pool: str = ""
    pools: tuple[str, ...] = ()
    max_workers: int | None = None
    worker_cores: int | None = None
    worker_memory: int | None = None
    worker_gpus: int | None = None
    clusters: int | None = None
    workers: int | None = None
    idle: float | None = None
    lifetime: float | None = None


def read_terms(environ: Mapping[str, str] | None = None) -> Terms:
    """The terms of this process's session. Raises `NotEntitledError` where the profile gives no Dask."""
    environ = os.environ if environ is None else environ
    granted = _granted(environ)
    present = machine.gpus(environ)
    base = Terms(
        cores=_cores(environ.get("CPU_LIMIT")) or machine.cores(),
        memory=_bytes(environ.get("MEM_LIMIT")) or machine.memory(),
        gpus=present,
        arch=environ.get("AFKIT_ARCH") or names.architecture(os.uname().machine),
        of="this session" if _limited(environ) else "this machine",
        session=session_key(environ),
        pool=environ.get("AFKIT_POOL", ""),
    )
    if granted is None:
        return base
    worker = granted.get("worker") or {}
    return replace(
        base,
        gpus=present[: granted.get("accelerators") or 0],
        of="this session",
        in_session=True,
        where=str(granted.get("where", "local")),
        pools=tuple(granted.get("pools") or ()),
        max_workers=granted.get("max_workers"),
        worker_cores=worker.get("cpu"),
        worker_memory=worker.get("memory"),
        worker_gpus=worker.get("accelerators"),
        clusters=granted.get("clusters"),
        workers=granted.get("workers"),
        idle=granted.get("idle"),
        lifetime=granted.get("lifetime"),
    )


def service_address(environ: Mapping[str, str]) -> str:
    """Where the facility's Dask service is, empty: nowhere.

    The session's terms say it (the way inside the facility), else it is below the services' public address.
    """
    try:
        terms = json.loads(environ.get("AFKIT_DASK") or "null")
    except ValueError:
        return ""
    if not isinstance(terms, dict) or terms.get("where") != "facility":
        return ""
    written = terms.get("url") or (f"{environ['AFKIT_SERVICES'].rstrip('/')}/dask" if environ.get("AFKIT_SERVICES") else "")
    parts = urlsplit(str(written))
    return f"{str(written).rstrip('/')}/" if parts.scheme in ("http", "https") and parts.hostname else ""


def session_key(environ: Mapping[str, str]) -> str:
    """What the clusters of one session have in common: the server's prefix; outside any session this process alone."""
    if environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return environ["JUPYTERHUB_SERVICE_PREFIX"]
    return "session" if "AFKIT_DASK" in environ or _limited(environ) else f"process {os.getpid()}"


def _limited(environ: Mapping[str, str]) -> bool:
    return "CPU_LIMIT" in environ or "MEM_LIMIT" in environ


def _granted(environ: Mapping[str, str]) -> dict[str, Any] | None:
    text = environ.get("AFKIT_DASK")
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = ()
    if found is None:
        profile = environ.get("AFKIT_PROFILE", "")
        raise NotEntitledError(
            f"The profile {profile!r} of this session gives no Dask clusters."
            if profile
            else "This session's profile gives no Dask clusters.",
            "Start a server with a profile that does, or ask the facility.",
            rule=("profiles", profile, "dask") if profile else (),
        )
    if not isinstance(found, dict):
        raise PlatformError(
            "The session's terms for Dask (AFKIT_DASK) cannot be read.", "Start the server again, or tell the administrator."
        )
    return found


def _cores(text: str | None) -> int:
    try:
        found = float(text or 0)
    except ValueError:
        return 0
    return int(found * 1000) if 0 < found < 1e6 else 0


def _bytes(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
