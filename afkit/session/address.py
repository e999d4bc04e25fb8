"""The Dask settings that afkit writes: ``scheduler-address``, set when a cluster has started, undone when it closes.

For a cluster with certificates also ``distributed.client.security-loader``, where nothing else is set: without it no client could use
the address.

Several clusters at once: the last one made is the one that `distributed.Client` finds; when it closes, the one before is, and when
all are closed the setting is what it was at first. A value that somebody else has set meanwhile is left alone.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from afkit.session import access

__all__ = ["foreign", "point", "unpoint"]

KEY = "scheduler-address"
LOADER = "distributed.client.security-loader"

_lock = threading.Lock()
_ours: list[tuple[object, str]] = []
_before: list[Any] = []
_scheduler_before: list[Any] = []
_loader_set: list[bool] = []


def point(owner: object, address: str) -> None:
    """Let clients without arguments find ``address``, for as long as ``owner`` does not `unpoint`."""
    import dask

    with _lock:
        if not _ours:
            _scheduler_before[:] = [dask.config.get("scheduler", None)]
            _before[:] = [dask.config.get(KEY)] if dask.config.get(KEY, None) is not None else []
        _ours.append((owner, address))
        dask.config.set({KEY: address})
        _load()


def unpoint(owner: object) -> None:
    """Undo `point`; unknown owners are fine."""
    import dask

    with _lock:
        mine = [address for who, address in _ours if who is owner]
        if not mine:
            return
        _ours[:] = [(who, address) for who, address in _ours if who is not owner]
        if not _ours:
            _mend()
        _load()
        if dask.config.get(KEY, None) != mine[-1]:
            return
        wanted = [_ours[-1][1]] if _ours else _before
        if wanted:
            dask.config.set({KEY: wanted[0]})
        else:
            dask.config.config.pop(KEY, None)


def _load() -> None:
    """Have Dask find certificates while a cluster of ours has some, where nothing else is set; undo that afterwards."""
    import dask

    needed = any(address.startswith("tls://") for _, address in _ours)
    set_by_us = bool(_loader_set) and dask.config.get(LOADER, None) == access.LOADER
    if needed and not dask.config.get(LOADER, None):
        dask.config.set({LOADER: access.LOADER})
        _loader_set[:] = [True]
    elif not needed and set_by_us:
        dask.config.set({LOADER: None})
        _loader_set.clear()


def _mend() -> None:
    """Take back what clients that were not closed in reverse order leave behind.

    A default client sets Dask's ``scheduler`` to itself, and puts back what it found when it is the last to close: of two clients the
    setting of the other. Then collections would look for a client that there is none.
    """
    import dask
    from distributed import Client

    try:
        Client.current()
    except ValueError:
        if dask.config.get("scheduler", None) == "dask.distributed" and _scheduler_before == [None]:
            dask.config.config.pop("scheduler", None)


def foreign() -> str | None:
    """The address that is configured and is not one of ours, or ``None``."""
    if "dask" not in sys.modules and not _mentioned():
        return None
    import dask

    configured = dask.config.get(KEY, None)
    with _lock:
        if not isinstance(configured, str) or not configured:
            return None
        if all(address != configured for _, address in _ours):
            return configured
        return _before[0] if _before else None


def _mentioned() -> bool:
    """Whether Dask could find such a setting at all: asked before Dask is imported, so that workers start meanwhile."""
    if (
        any(name.upper().replace("__", "_") == "DASK_SCHEDULER_ADDRESS" for name in os.environ)
        or "DASK_INTERNAL_INHERIT_CONFIG" in os.environ
    ):
        return True
    places = [os.environ.get("DASK_ROOT_CONFIG", "/etc/dask"), os.environ.get("DASK_CONFIG", "~/.config/dask"), "~/.config/dask"]
    places += [f"{prefix}/etc/dask" for prefix in {sys.prefix, sys.base_prefix}]
    for place in places:
        path = Path(place).expanduser()
        files = [path] if path.is_file() else [*path.glob("*.y*ml"), *path.glob("*.json")]
        # unreadable: then Dask has to say what it makes of it
        if any(not os.access(file, os.R_OK) or KEY in file.read_text(errors="replace").replace("_", "-") for file in files):
            return True
    return False
