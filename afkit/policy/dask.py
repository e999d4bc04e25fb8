"""What of Dask a selection gives: the terms that the session of it works within. Pure."""

from __future__ import annotations

from typing import Any, Literal

from afkit.policy.model import Offer, Selection
from afkit.policy.view import may

__all__ = ["dask_terms"]


def dask_terms(offer: Offer, selection: Selection, where: Literal["local", "facility"] = "local") -> dict[str, Any] | None:
    """The JSON of ``AFKIT_DASK``, or ``None`` where the profile gives this person no Dask.

    ``where``: where clusters run, in the session or in the facility. ``pools`` are those that the person may have, in the
    order of the file; ``worker`` is the largest worker (millicores, bytes, units); ``max_workers`` that of the profile;
    ``clusters`` and ``workers`` are what the limits leave when the server starts. ``idle`` and ``lifetime`` are seconds.
    ``None``: no limit.
    """
    dask = selection.profile.dask
    groups = frozenset(offer.entitlements.groups)
    pools = [entry.name for entry in dask.pools if may(entry.allow, groups)] if dask else []
    if dask is None or not pools:
        return None
    rules = offer.facility.dask
    return {
        "where": where,
        "pools": pools,
        "max_workers": dask.max_workers,
        "worker": {"cpu": dask.cpu, "memory": dask.memory, "accelerators": dask.accelerators},
        "clusters": offer.remaining.clusters,
        "workers": offer.remaining.workers,
        "idle": rules.idle,
        "lifetime": rules.lifetime,
    }
