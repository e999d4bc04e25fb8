"""The Dask service as this hub knows it: registered where the installation gives the hub its token, and where servers reach it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.pods.layout import MANIFESTS, runs_dask
from afkit.render.pods import DASK_TOKEN, dask_registration

__all__ = ["SERVICE", "has_service", "register"]

SERVICE: Final = "dask"
"""Its name in ``c.JupyterHub.services``."""


def register(app: Any, facility: Facility, environ: MutableMapping[str, str] = os.environ) -> None:
    """Register it, with a role of its own, in a hub of `afkit render`; one that an administrator or a chart has registered stays."""
    # children of the hub have no use for it
    token = environ.pop(DASK_TOKEN, "")
    if not token or not runs_dask(facility) or has_service(app):
        return
    service, role = dask_registration(facility, MANIFESTS)
    app.services = [*app.services, {"name": SERVICE, "api_token": token, **service}]
    app.load_roles = [*app.load_roles, {"name": "afkit-dask", **role}]


def has_service(app: Any) -> bool:
    """Whether the hub has a Dask service."""
    return any(service.get("name") == SERVICE for service in app.services)
