"""Where the hub finds the pages: its templates, the stylesheet and the script."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from afkit.names import digest

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"


def template_path() -> str:
    """The folder of templates to put in front of the hub's own (``c.JupyterHub.template_paths``)."""
    return str(_HERE / "templates")


def routes() -> list[tuple[Any, ...]]:
    """Routes for ``c.JupyterHub.extra_handlers``: the static files below ``/hub/afkit/static/``, for which nobody need be logged in."""
    from jupyterhub.handlers.static import CacheControlStaticFilesHandler

    return [(r"/afkit/static/(.*)", CacheControlStaticFilesHandler, {"path": str(_STATIC)})]


def template_vars() -> dict[str, Any]:
    """Variables for ``c.JupyterHub.template_vars``: ``afkit_version`` changes with the static files, so that browsers may keep them."""
    return {"afkit_version": _version()}


@functools.cache
def _version() -> str:
    files = sorted(path for path in _STATIC.iterdir() if path.is_file())
    return digest(b"".join(path.read_bytes() for path in files))
