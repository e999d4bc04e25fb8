"""The dashboards of a session's Dask clusters, seen through its Jupyter server."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from jupyter_server.base.handlers import APIHandler
from jupyter_server_proxy.handlers import ProxyHandler
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches

from afkit.session.lab.clusters import Clusters
from afkit.session.registry import Entry

__all__ = ["DashboardCheckHandler", "DashboardHandler", "ProxiedDashboard"]


class ProxiedDashboard(PathMatches):
    """The addresses ``proxy/PORT/…`` of jupyter-server-proxy whose port is that of a cluster's dashboard.

    The link that a cluster shows in a notebook leads there. Taken over by `DashboardHandler`, a dashboard that is left open in
    some tab is no activity, and so does not keep the session alive. ``base`` is the Jupyter server's base address.
    """

    def __init__(self, base: str, clusters: Clusters) -> None:
        super().__init__(re.escape(base) + r"proxy/(\d{1,5})(/.*)")
        self._clusters = clusters

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """The arguments of `DashboardHandler`, or ``None``: then others are asked."""
        found = super().match(request)
        if found is None:
            return None
        port, path = found["path_args"]
        key = next((entry.id for entry in self._clusters.all() if entry.dashboard.endswith(f":{port.decode()}")), None)
        return None if key is None else {"path_args": [key.encode(), path]}


class DashboardHandler(ProxyHandler):
    """Hands everything below ``dask/dashboard/ID/`` on to that cluster's dashboard, websockets too.

    None of it is activity of the session: an open plot asks for news all the time.
    """

    SUPPORTED_METHODS = ("GET", "HEAD", "POST")  # what a dashboard has; others are a 405

    def initialize(self, clusters: Clusters) -> None:
        """Take what this handler works on."""
        self.clusters = clusters

    def _record_activity(self) -> None:
        pass

    async def _target(self, key: str) -> tuple[str, int]:
        # a dashboard may be opened before any sidebar has asked
        entry = self.clusters.get(key) or await self._looked_for(key)
        if entry is None or not entry.dashboard:
            raise web.HTTPError(404, "There is no such Dask cluster now.")
        self.proxy_base = f"dask/dashboard/{key}"
        parts = urlsplit(entry.dashboard)
        host = parts.hostname or "127.0.0.1"
        # what the registry or the facility's service says; no other is ever asked
        self.host_allowlist = [host]
        return host, parts.port or 80

    async def _looked_for(self, key: str) -> Entry | None:
        await self.clusters.look()
        return self.clusters.get(key)

    async def open(self, key: str, path: str) -> None:
        """A websocket."""
        host, port = await self._target(key)
        await self.proxy_open(host, port, path)

    async def http_get(self, key: str, path: str) -> None:
        """A page or a file."""
        await self.proxy(*await self._target(key), path)

    async def post(self, key: str, path: str) -> None:
        """A form of a page."""
        await self.proxy(*await self._target(key), path)

    async def head(self, key: str, path: str) -> None:
        """A page's headers."""
        await self.proxy(*await self._target(key), path)


class DashboardCheckHandler(APIHandler):
    """Whether an address that somebody typed into the sidebar is that of a Dask dashboard, and which plots it has."""

    _track_activity = False

    @web.authenticated
    async def get(self, address: str) -> None:
        """Always 200, as the sidebar wants it; ``isActive`` says what was found."""
        url = unquote(address)
        plots = await _plots(url)
        await self.finish(json.dumps({"url": url, "isActive": plots is not None, "plots": plots or {}}))


async def _plots(url: str) -> dict[str, Any] | None:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return None
        path = parts.path.removesuffix("/").removesuffix("/status") + "/individual-plots.json"
        answer = await AsyncHTTPClient().fetch(parts._replace(path=path).geturl(), request_timeout=5)
        found = json.loads(answer.body)
    except (HTTPClientError, OSError, ValueError):
        # no address, nobody there, or somebody else
        return None
    return found if isinstance(found, dict) else None
