"""What is asked of the facility's Dask service for one call of `afkit.cluster`. Decides; sends nothing."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from afkit.session.groups import Request
from afkit.session.inside.afkit_versions import versions

__all__ = ["Ask", "ask", "workers_python"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One cluster as asked for: ``body`` is sent. ``client`` is the name of the connection on which a kernel's cluster hangs."""

    name: str
    id: str
    client: str
    life: str
    body: Mapping[str, Any]


def ask(request: Request, idle: float | None, environ: Mapping[str, str], *, dry_run: bool = False) -> Ask:
    """The body of ``POST clusters``. The id is new with each call: asking for the same name again is another cluster, and refused."""
    identifier = str(uuid.uuid4())
    name = request.name or f"cluster-{identifier[:6]}"
    client = f"afkit-{identifier}"
    body = {
        "name": name,
        "id": identifier,
        "groups": [
            {
                "name": group.name,
                "low": group.low,
                "high": group.high,
                "cores": group.cores,
                "memory": group.memory,
                "gpus": group.gpus,
                "pool": group.pool,
                "tags": dict(group.tags),
            }
            for group in request.groups
        ],
        "image": request.image,
        "cvmfs": list(request.cvmfs),
        "python": request.python or workers_python(),
        "env": dict(request.env),
        "life": request.life,
        "idle": idle,
        "server": environ.get("JUPYTERHUB_SERVER_NAME", ""),
        "client": {"name": client, "versions": versions()},
        "dry_run": dry_run,
    }
    return Ask(name, identifier, client, request.life, body)


def workers_python(
    executable: str = sys.executable, prefix: str = sys.prefix, mounted: Callable[[str], bool] = os.path.ismount
) -> str | None:
    """The interpreter of this process, where it lies on a mount that workers may have too; ``None``: the image has it."""
    place = os.path.abspath(prefix)  # noqa: PTH100 - a link must stay one
    while place not in ("/", ""):
        if mounted(place):
            return executable
        place = os.path.dirname(place)  # noqa: PTH120 - see above
    return None
