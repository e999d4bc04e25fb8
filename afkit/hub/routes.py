"""The pure-Python proxy's routes, without what it takes for activity."""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import ConfigurableHTTPProxy

__all__ = ["QuietProxy"]


class QuietProxy(ConfigurableHTTPProxy):
    """``configurable-http-proxy``, of which the hub does not believe that traffic is activity.

    JupyterLab asks its server every few seconds, so a tab that is left open would keep the server for ever. What counts is
    what the server itself reports: kernels that work, and people who do something.
    """

    async def get_all_routes(self) -> dict[str, Any]:
        """All routes, as the hub compares and restores them; without ``last_activity``."""
        routes: dict[str, Any] = await super().get_all_routes()
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes
