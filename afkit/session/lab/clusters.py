"""The Dask clusters of a session, as JupyterLab's Dask sidebar wants them: listed, made, scaled, closed.

Those that the facility runs are asked for at its Dask service, whenever somebody looks (`afkit.session.lab.elsewhere`).

Clusters live in kernels (or in a process of `afkit.session.lab.host`, for the sidebar's own New). The Jupyter server knows
them from the registry that every ``afkit.cluster()`` writes itself into, and acts on them through their control.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

from afkit.errors import AfkitError, DaskStartError, RequestError
from afkit.session import registry
from afkit.session.lab.elsewhere import Elsewhere
from afkit.session.registry import Entry

__all__ = ["Clusters", "model"]

_PATIENCE = 30.0  # seconds until a cluster that does not answer is given up: its kernel may compute and hold the interpreter


def model(entry: Entry, base_url: str) -> dict[str, Any]:
    """What dask-labextension (7.0) shows of a cluster; ``memory`` is text there, and ``adapt`` is left out of a cluster of fixed size.

    The dashboard's link is one through this Jupyter server, below ``base_url``, for the browser reaches nothing else.
    """
    shown = {
        "id": entry.id,
        "name": entry.name,
        "scheduler_address": entry.scheduler,
        "dashboard_link": f"{base_url}dask/dashboard/{entry.id}/status" if entry.dashboard else "",
        "workers": entry.workers,
        "memory": _readable(entry.memory),
        "cores": round(entry.cores / 1000, 2),
    }
    if entry.adaptive is not None:
        low, high = entry.adaptive
        shown["adapt"] = {"minimum": low, "maximum": high}
    return shown


class Clusters:
    """All live clusters of this session. Methods that act raise the `AfkitError` of the cluster that refused."""

    def __init__(self) -> None:
        self.elsewhere = Elsewhere()
        self._hosts: set[asyncio.subprocess.Process] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def all(self) -> list[Entry]:
        """The live clusters: those on this machine, oldest first, then those of the facility, as they were when last asked for."""
        return [*registry.entries(), *self.elsewhere.entries]

    async def look(self) -> list[Entry]:
        """The live clusters as they are now."""
        await self.elsewhere.look()
        return self.all()

    def get(self, key: str) -> Entry | None:
        """The live cluster with this id."""
        return next((entry for entry in self.all() if entry.id == key), None)

    async def new(self) -> Entry:
        """Make an ``afkit.cluster()`` in a process of its own, which ends with this server."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "afkit.session.lab.host",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the server's terminal is for the server
        )
        # the pipe to its standard input is what ties it to us: it closes when this server is gone, however that ends
        self._hosts.add(process)
        task = asyncio.create_task(self._forget(process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        assert process.stdout is not None  # noqa: S101  # asked for above
        said = _said(await process.stdout.readline())
        await self.elsewhere.look(at_once=True)
        entry = self.get(str(said.get("id")))
        if entry is None:
            raise _failure(said)
        return entry

    async def act(self, key: str, action: str, **arguments: int) -> Entry | None:
        """Have the cluster do ``scale``, ``adapt`` or ``close``; what it is then, or ``None`` where no cluster has this id."""
        await self.elsewhere.look()
        entry = self.get(key)
        if entry is None:
            return None
        if entry in self.elsewhere.entries:
            await self.elsewhere.act(entry, action, **arguments)
            return self.get(key) or entry
        await registry.call_async(entry, action, timeout=_PATIENCE, **arguments)
        if action == "close":
            await self._closed(key)
        return self.get(key) or entry

    async def _closed(self, key: str) -> None:
        # a cluster answers before it ends; the sidebar asks for the list at once, and is to find it without this one
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self.get(key) is not None:  # noqa: ASYNC110  # nobody here is told when a file goes
                    await asyncio.sleep(0.05)

    async def _forget(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self._hosts.discard(process)


def _said(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _failure(said: dict[str, Any]) -> AfkitError:
    message, hint = str(said.get("message", "")), str(said.get("hint", ""))
    refusals = {kind.reason: kind for kind in RequestError.__subclasses__()}
    if said.get("reason") in refusals:
        return refusals[said["reason"]](message, hint)
    return DaskStartError(message or "The cluster's process ended before the cluster was there.", hint or "The session's log says more.")


def _readable(size: int) -> str:
    for unit in ("TiB", "GiB", "MiB"):
        scale = 1024 ** {"TiB": 4, "GiB": 3, "MiB": 2}[unit]
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size} B"
