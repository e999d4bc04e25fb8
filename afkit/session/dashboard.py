"""The dashboard's address as the browser needs it, and the dashboard itself, which is loaded after the workers have started."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

import dask
from distributed.utils import format_dashboard_link
from tornado.web import Application, RequestHandler

__all__ = ["Pages", "installed", "link", "through_server"]

DASKS_OWN = "{scheme}://{host}:{port}/status"
"""Dask's default of ``distributed.dashboard.link``: what somebody has set instead is honoured."""

LOAD_SECONDS = 60.0


def link(host: str, port: int, environ: Mapping[str, str] | None = None) -> str:
    """Where the browser finds the dashboard.

    In a session of a hub it goes through jupyter-server-proxy: below the server's public address where the hub tells it, else an absolute
    path (notebooks resolve it against their own page). Elsewhere it is the plain local address.
    """
    environ = os.environ if environ is None else environ
    if dask.config.get("distributed.dashboard.link", DASKS_OWN) != DASKS_OWN:
        return str(format_dashboard_link(host, port))
    server = environ.get("JUPYTERHUB_PUBLIC_URL") or environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if server:
        return f"{server.rstrip('/')}/proxy/{port}/status"
    return f"http://{host}:{port}/status"


def through_server(identifier: str, own: str, environ: Mapping[str, str] | None = None) -> str:
    """Where the browser finds the dashboard of a cluster in pods; ``own`` is its address inside the facility.

    Its pods let only this session and the facility in: so it goes through the session's Jupyter server (`afkit.session.lab.dashboard`).
    """
    environ = os.environ if environ is None else environ
    host, _, port = own.removeprefix("http://").partition(":")
    if dask.config.get("distributed.dashboard.link", DASKS_OWN) != DASKS_OWN:
        return str(format_dashboard_link(host, int(port or 80)))
    server = environ.get("JUPYTERHUB_PUBLIC_URL") or environ.get("JUPYTERHUB_SERVICE_PREFIX")
    return f"{server.rstrip('/')}/dask/dashboard/{identifier}/status" if server else f"{own}/status"


def installed() -> bool:
    """Whether bokeh is there."""
    return importlib.util.find_spec("bokeh") is not None


class Pages:
    """Dask's dashboard for a scheduler that was started without it: half a second of imports that need not hold up the workers.

    Whoever opens the dashboard before it is loaded waits for it.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._loaded = asyncio.Event()
        self._waiting = Application(
            [(r".*/(individual-.*|status|workers|tasks|system|profile|graph|groups|info/.*)?", _Wait, {"loaded": self._loaded})]
        )
        scheduler.http_application.add_application(self._waiting)

    async def load(self) -> None:
        """Import the pages in another thread and add them. Raises `ImportError` where they cannot be loaded."""
        scheduler = self._scheduler
        try:
            await asyncio.get_running_loop().run_in_executor(None, importlib.import_module, "distributed.dashboard.scheduler")
            from distributed.dashboard import scheduler as pages

            pages.connect(scheduler.http_application, scheduler.http_server, scheduler, prefix="")
        finally:
            scheduler.http_application.applications.remove(self._waiting)
            self._loaded.set()


class _Wait(RequestHandler):
    """Answers when the pages are there, by sending the browser to the same page again."""

    def initialize(self, loaded: asyncio.Event) -> None:
        self._loaded = loaded

    async def get(self, *_: str) -> None:
        await asyncio.wait_for(self._loaded.wait(), LOAD_SECONDS)
        # relative: the address below which a proxy shows this is not known here
        self.redirect(self.request.path.rpartition("/")[2] or "status")
