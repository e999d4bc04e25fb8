"""Puts the session's addresses into a Jupyter server, and starts what follows it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.routing import Rule

from afkit.session.lab.activity import leave_reading_out
from afkit.session.lab.clusters import Clusters
from afkit.session.lab.dashboard import DashboardCheckHandler, DashboardHandler, ProxiedDashboard
from afkit.session.lab.handlers import ClustersHandler, LifetimeHandler
from afkit.session.lab.tutorials import place
from afkit.session.lab.watch import Watch

__all__ = ["load", "start"]

_WATCH = "afkit_watch"
_CLUSTERS = "afkit_clusters"
_KEY = r"(\w+-\w+-\w+-\w+-\w+)"


def load(server: ServerApp) -> None:
    """Add the addresses; called once by the server, before its loop runs."""
    leave_reading_out()
    clusters = Clusters()
    watch = Watch(server, lambda: [entry.dashboard for entry in clusters.all() if entry.dashboard])
    settings = server.web_app.settings
    settings[_WATCH] = watch
    settings[_CLUSTERS] = clusters
    handlers = [
        ("afkit/lifetime", LifetimeHandler, {"watch": watch}),
        ("dask/clusters/?", ClustersHandler, {"clusters": clusters}),
        (f"dask/clusters/{_KEY}", ClustersHandler, {"clusters": clusters}),
        (f"dask/dashboard/{_KEY}(/.*)", DashboardHandler, {"clusters": clusters}),
        ("dask/dashboard-check/(.+)", DashboardCheckHandler, {}),
    ]
    rules: list[Any] = [(url_path_join(settings["base_url"], path), *rest) for path, *rest in handlers]
    # before jupyter-server-proxy's own: extensions are loaded by name
    rules.append(Rule(ProxiedDashboard(settings["base_url"], clusters), DashboardHandler, {"clusters": clusters}))
    server.web_app.add_handlers(".*$", rules)


async def start(server: ServerApp) -> None:
    """Begin to follow the session; called once by the server, in its loop."""
    settings = server.web_app.settings
    # the loop keeps only weak references to tasks
    settings["afkit_tasks"] = [asyncio.create_task(settings[_WATCH].run()), asyncio.create_task(settings[_CLUSTERS].elsewhere.follow())]
    if "AFKIT_FACILITY" in os.environ:
        await asyncio.to_thread(place, Path(server.root_dir))
