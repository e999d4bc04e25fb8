"""The clusters of this process that are not closed: they stay alive without a variable that names them, and close when the process ends."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afkit.session.base import AfkitCluster

__all__ = ["add", "discard", "named"]

_live: dict[int, AfkitCluster] = {}
_watched = False


def add(cluster: AfkitCluster) -> None:
    """Keep a cluster until it is closed."""
    global _watched
    _live[id(cluster)] = cluster
    if not _watched:
        _watched = True
        atexit.register(_close_all, os.getpid())


def discard(cluster: AfkitCluster) -> None:
    """Forget a cluster that has closed."""
    _live.pop(id(cluster), None)


def named(identifier: str) -> AfkitCluster | None:
    """The cluster of this process with this id."""
    return next((cluster for cluster in _live.values() if getattr(cluster, "id", None) == identifier), None)


def _close_all(owner: int) -> None:
    # a fork inherits this list, and its end is not the end of the clusters
    if os.getpid() == owner:
        for cluster in list(_live.values()):
            cluster.close()
