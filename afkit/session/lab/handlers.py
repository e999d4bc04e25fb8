"""The addresses that a session's pages ask: what JupyterLab's Dask sidebar wants, and the session's lifetime.

The sidebar's protocol is that of dask-labextension 7.0; where that answers everything with 500, here a refusal is a 4xx.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from afkit.errors import AfkitError, MalformedError, RequestError
from afkit.session.lab.clusters import Clusters, model
from afkit.session.lab.watch import Watch
from afkit.session.registry import Entry

__all__ = ["ClustersHandler", "LifetimeHandler", "wanted"]


def wanted(body: bytes) -> tuple[str, dict[str, int]]:
    """The action and its arguments that a ``PATCH`` of a cluster means: ``{"workers": N}``, or ``{"adapt": {"minimum", "maximum"}}``.

    Raises `MalformedError` for anything else.
    """
    try:
        asked = json.loads(body)
        if asked.get("adapt") is not None:
            arguments = {"minimum": asked["adapt"]["minimum"], "maximum": asked["adapt"]["maximum"]}
            action = "adapt"
        else:
            action, arguments = "scale", {"n": asked["workers"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError("This is no size of a cluster.", 'Send {"workers": 3} or {"adapt": {"minimum": 0, "maximum": 3}}.') from error
    for value in arguments.values():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise MalformedError("The number of workers is a whole number, 0 or more.")
    if action == "adapt" and arguments["minimum"] > arguments["maximum"]:
        raise MalformedError("The minimum is larger than the maximum.", "Exchange them.")
    return action, arguments


class ClustersHandler(APIHandler):
    """``dask/clusters`` and ``dask/clusters/ID``."""

    def initialize(self, clusters: Clusters) -> None:
        """Take what this handler works on."""
        self.clusters = clusters

    @web.authenticated
    async def get(self, key: str = "") -> None:
        """All clusters, or one."""
        found = await self.clusters.look()
        if key:
            await self._one(self.clusters.get(key))
        else:
            await self.finish(json.dumps([model(entry, self.base_url) for entry in found]))

    @web.authenticated
    async def put(self, _key: str = "") -> None:
        """Make a cluster; it gets an id of its own."""
        try:
            await self._one(await self.clusters.new())
        except AfkitError as error:
            await self._refuse(error)

    @web.authenticated
    async def patch(self, key: str = "") -> None:
        """Another number of workers, or other bounds of it."""
        try:
            action, arguments = wanted(self.request.body)
            await self._one(await self.clusters.act(key, action, **arguments))
        except AfkitError as error:
            await self._refuse(error)

    @web.authenticated
    async def delete(self, key: str = "") -> None:
        """Close a cluster."""
        try:
            entry = await self.clusters.act(key, "close")
        except AfkitError as error:
            await self._refuse(error)
            return
        if entry is None:
            await self._one(None)
            return
        self.set_status(204)
        await self.finish()

    async def _one(self, entry: Entry | None) -> None:
        if entry is None:
            self.set_status(404)
            await self.finish(json.dumps({"reason": "unknown-choice", "message": "There is no such Dask cluster now.", "hint": ""}))
        else:
            await self.finish(json.dumps(model(entry, self.base_url)))

    async def _refuse(self, error: AfkitError) -> None:
        refused = isinstance(error, RequestError)
        self.set_status(400 if refused else 503)
        # the sidebar shows the message alone, so it has the hint too
        what = {"reason": error.reason if isinstance(error, RequestError) else "", "message": str(error), "hint": error.hint}
        await self.finish(json.dumps(what))


class LifetimeHandler(APIHandler):
    """``GET``: the warnings that stand (`Watch.state`). ``POST``: somebody is there; the session is not idle."""

    _track_activity = False

    def initialize(self, watch: Watch) -> None:
        """Take what this handler works on."""
        self.watch = watch

    @web.authenticated
    async def get(self) -> None:
        """What to show now, as JSON."""
        await self._answer(self.watch.state())

    @web.authenticated
    async def post(self) -> None:
        """Count this as activity, and answer as ``GET`` does."""
        self.watch.keep()
        await self._answer(self.watch.state())

    async def _answer(self, state: dict[str, Any]) -> None:
        await self.finish(json.dumps(state))
