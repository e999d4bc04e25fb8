"""Keeps copies of Secrets and ConfigMaps equal to what the facility's namespace has, for servers that run while it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from afkit.errors import AfkitError
from afkit.facility.model import Facility
from afkit.names import FACILITY_LABEL, OWNER_LABEL, USER_ANNOTATION
from afkit.pods.brought import named_objects
from afkit.pods.namespace import copied
from afkit.services.namespaces.keeper import Keeper, Tenant

__all__ = ["keep_equal"]

INTERVAL: Final = 30.0
"""Seconds between two looks."""

logger = logging.getLogger("afkit.services.namespaces")


async def keep_equal(keeper: Keeper, current: Callable[[], Facility], interval: float = INTERVAL) -> None:
    """Look again and again; copies that exist are brought up to date when their source has changed. Never ends, never raises."""
    seen: dict[tuple[str, str], str] = {}
    while True:
        try:
            await renew(keeper, current(), seen)
        except AfkitError as error:
            logger.error("copies could not be compared: %s", error)  # noqa: TRY400  # a sentence; the next look follows
        await asyncio.sleep(interval)


async def renew(keeper: Keeper, facility: Facility, seen: dict[tuple[str, str], str]) -> None:
    """One look. ``seen``: the versions of the sources with which all copies were compared."""
    named = named_objects(facility)
    wanted = [("Secret", name) for name in named.secrets] + [("ConfigMap", name) for name in named.config_maps]
    changed = []
    for kind, name in wanted:
        source = await keeper.source(facility, kind, name)
        if source is not None and source["metadata"]["resourceVersion"] != seen.get((kind, name)):
            changed.append(source)
    if not changed:
        return
    found = await keeper.kube.list("Namespace", labels=f"{FACILITY_LABEL}={facility.name},{OWNER_LABEL}")
    for namespace in found["items"]:
        for source in changed:
            await _one(keeper, facility, _tenant(namespace), source)
    seen.update({(one["kind"], one["metadata"]["name"]): one["metadata"]["resourceVersion"] for one in changed})


def _tenant(namespace: dict[str, Any]) -> Tenant:
    metadata = namespace["metadata"]
    return Tenant((metadata.get("annotations") or {}).get(USER_ANNOTATION, ""), metadata["labels"][OWNER_LABEL], metadata["name"])


async def _one(keeper: Keeper, facility: Facility, person: Tenant, source: dict[str, Any]) -> None:
    try:
        if await keeper.kube.find(source["kind"], source["metadata"]["name"], person.namespace) is not None:
            await keeper.put(copied(facility, person, source))
    except AfkitError as error:
        # a namespace of another form, or one that is going away: the others are not kept waiting
        logger.warning("a copy was left as it is: %s", error)
