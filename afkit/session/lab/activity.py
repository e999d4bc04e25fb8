"""What counts as activity of a session. The hub ends idle sessions by the time that the Jupyter server reports.

Jupyter's own rule is wrong twice for a facility. A cell that computes for an hour without printing is idle in it, and so is
a Dask cluster that works for futures that nobody waits for: both would be ended in the middle. And every request to the API
counts, so a JupyterLab that is open in some forgotten tab, which asks for kernels every ten seconds, never becomes idle.
Here whatever computes counts, and requests that only read do not.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable

from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient

__all__ = ["active_at", "computing", "count", "leave_reading_out"]


class _OnlyWriting:
    """A class attribute that is true in a handler whose request changes something for a person."""

    def __get__(self, handler: APIHandler | None, owner: type | None = None) -> bool:
        if handler is None:
            return True
        # JupyterLab saves the places of its panels every ten seconds, whether somebody is there or not
        return handler.request.method not in ("GET", "HEAD", "OPTIONS") and "/lab/api/workspaces/" not in handler.request.path


def leave_reading_out() -> None:
    """From now on requests to the Jupyter API that only read are no activity (``_track_activity`` is Jupyter's own switch for that)."""
    APIHandler._track_activity = _OnlyWriting()  # type: ignore[assignment]  # a descriptor, because the answer depends on the request


def active_at(server: ServerApp) -> float:
    """When this session was last active, in seconds since the epoch: the same that the hub is told."""
    return float(server.web_app.last_activity().timestamp())


def count(server: ServerApp) -> None:
    """Something happens in this session now."""
    server.web_app.settings["last_activity_times"]["afkit"] = datetime.datetime.now(datetime.UTC)


async def computing(server: ServerApp, dashboards: Iterable[str]) -> bool:
    """Whether a kernel runs a cell, or a Dask cluster with one of these ``dashboards`` (base addresses) has tasks that run."""
    kernels = server.kernel_manager
    if any(getattr(kernels.get_kernel(key), "execution_state", "") == "busy" for key in kernels.list_kernel_ids()):
        return True
    for address in dashboards:
        if await _processing(address):
            return True
    return False


async def _processing(dashboard: str) -> bool:
    try:
        answer = await AsyncHTTPClient().fetch(f"{dashboard}/json/counts.json", request_timeout=3, raise_error=False)
        return answer.code == 200 and int(json.loads(answer.body)["processing"]) > 0
    except (OSError, ValueError, KeyError, TypeError):
        # a cluster that is just going, or none of ours: it says nothing about the session
        return False
