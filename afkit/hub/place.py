"""Where the servers of a hub run: beside it on one machine, or elsewhere. The hub's desk knows no more of it than this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jupyterhub import orm
from jupyterhub.utils import url_path_join

from afkit.facility.model import Facility
from afkit.hub import processes
from afkit.hub.machine import Machine, inventory
from afkit.policy.laptop import not_applied
from afkit.policy.model import Identity, Inventory, Usage

__all__ = ["MachinePlace", "Place", "Used"]

Used = Callable[[], Mapping[str, int]]
"""Counts when it is asked: every server of the hub is looked at, and not every place needs that."""


class Place(Protocol):
    """Where servers run, as far as deciding on them and looking after them needs to know it."""

    def inventory(self, facility: Facility, used: Used) -> Inventory:
        """What exists now of each pool. ``used`` tells the accelerators of each pool that the hub's own servers have."""

    def clusters(self, facility: Facility, identity: Identity) -> Usage:
        """What the Dask clusters of a person take of their limits here."""

    def services_url(self, app: Any, facility: Facility) -> str:
        """Address below which the facility's services are, as a server reaches them."""

    def not_applied(self, facility: Facility) -> tuple[str, ...]:
        """What of the facility file counts for nothing here, in sentences for the form."""

    async def look_after(self, desk: Any) -> None:
        """Once the hub has begun: end what a hub before this one has left, and whatever else has to be done all the time."""


class MachinePlace:
    """The hub's own machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def inventory(self, facility: Facility, used: Used) -> Inventory:
        """The pools that this machine is."""
        return inventory(facility, self.machine, used())

    def clusters(self, facility: Facility, identity: Identity) -> Usage:  # noqa: ARG002  # of `Place`
        """Nothing: here they run inside of the servers."""
        return Usage()

    def services_url(self, app: Any, facility: Facility) -> str:  # noqa: ARG002  # of `Place`
        """The proxy's own address."""
        # servers run beside the hub, and a file of another place that is tried here names that place: the proxy's own address
        # is the one that holds; without a host it listens on all
        address = str(app.proxy.public_url).replace("://:", "://127.0.0.1:", 1)
        return str(url_path_join(address, "services/"))

    def not_applied(self, facility: Facility) -> tuple[str, ...]:
        """What needs Kubernetes."""
        return not_applied(facility)

    async def look_after(self, desk: Any) -> None:
        """End servers of a hub that was killed before it could note them. Runs before the hub listens, so it starts none itself."""
        known = {(spawner.state or {}).get("mark") for spawner in desk.app.db.query(orm.Spawner)}
        strays = await asyncio.to_thread(processes.marked, lambda mark: mark.startswith(f"{desk.mark}:") and mark not in known)
        if strays:
            desk.log.warning("Ending %i processes of servers that a hub before this one has left", len(strays))
            await asyncio.to_thread(processes.end, strays, 5.0)
