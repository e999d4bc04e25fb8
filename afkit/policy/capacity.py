"""What can run now: which pools exist and have free accelerators, from the inventory that is passed in. Pure.

A pool that is not in the inventory is available, with unknown capacity. For a pool with accelerators, what an unknown free
capacity means is ``kubernetes.capacity`` (``closed``: nothing is free); a facility without Kubernetes has no such rule.
"""

from __future__ import annotations

from afkit.facility.model import Facility, Pool
from afkit.policy.model import Denial, Inventory, PoolState, Resources
from afkit.policy.table import bits
from afkit.policy.text import ask
from afkit.policy.view import ProfileView

__all__ = ["capacity_denial", "declared", "pool_denial", "ready_sizes", "server_denial", "states_of"]

_UNKNOWN = PoolState()
_MOST_KEPT = 64

States = tuple[PoolState, ...]


def declared(facility: Facility) -> Inventory:
    """The inventory that the file declares: as many accelerators as a pool's nodes have at most; without nodes there is nothing."""
    pools: dict[str, PoolState] = {}
    for pool in facility.pools.values():
        if pool.nodes is not None and pool.nodes[1] == 0:
            pools[pool.name] = PoolState(False, f"Pool {pool.name} has no nodes now.", 0)
        elif pool.accelerator is not None and pool.accelerator.per_node is not None and pool.nodes is not None:
            pools[pool.name] = PoolState(free=pool.nodes[1] * pool.accelerator.per_node)
    return Inventory(pools)


def states_of(view: ProfileView, inventory: Inventory) -> States:
    """What exists now of each pool of a profile, in its order."""
    known = inventory.pools
    return tuple(known.get(pool.name, _UNKNOWN) for pool in view.table.pools)


def ready_sizes(view: ProfileView, states: States) -> tuple[int, ...]:
    """For each pool of a profile the sizes that fit it and that it has room for now, as masks; kept with the view."""
    ready = view.ready.get(states)
    if ready is None:
        if len(view.ready) >= _MOST_KEPT:
            view.ready.clear()
        ready = view.ready[states] = tuple(_ready(view, number, state) for number, state in enumerate(states))
    return ready


def _ready(view: ProfileView, number: int, state: PoolState) -> int:
    table = view.table
    if pool_denial(table.facility, table.pools[number], state) is not None:
        return 0
    fitting = bits(view.sizes_on[number])
    return sum(1 << n for n in fitting if server_denial(table.facility, table.pools[number], state, table.wanted(number, n)) is None)


def pool_denial(facility: Facility, pool: Pool, state: PoolState) -> Denial | None:
    """Why nothing can run on a pool now, or ``None``."""
    if state.available:
        return None
    return Denial("no-capacity", state.why or f"Pool {pool.name} is not available now.", ask(facility), ("pools", pool.name))


def server_denial(facility: Facility, pool: Pool, state: PoolState, wanted: Resources) -> Denial | None:
    """Why one server with these resources cannot run on a pool now, or ``None``: all that it asks for has to be free on one node."""
    refused = capacity_denial(facility, pool, state, wanted)
    if refused is not None or state.most is None or state.most >= wanted.accelerators:
        return refused
    message = (
        f"Pool {pool.name} has {state.free} free accelerators now, but no node of it more than {state.most}, "
        f"and this asks for {wanted.accelerators} on one."
    )
    return Denial("no-capacity", message, f"Take a smaller size, or try again later. {ask(facility)}", ("pools", pool.name))


def capacity_denial(facility: Facility, pool: Pool, state: PoolState, wanted: Resources) -> Denial | None:
    """Why a pool has no room now for these resources, on however many nodes, or ``None``."""
    refused = pool_denial(facility, pool, state)
    if refused is not None or not wanted.accelerators:
        return refused
    if state.free is None:
        if facility.kubernetes is None or facility.kubernetes.capacity == "open":
            return None
        message = f"How many accelerators of pool {pool.name} are free is not known now."
        return Denial("no-capacity", message, f"Try again in a minute. {ask(facility)}", ("kubernetes", "capacity"))
    if state.free >= wanted.accelerators:
        return None
    free = f"{state.free} free accelerator{'' if state.free == 1 else 's'}" if state.free else "no free accelerator"
    message = f"Pool {pool.name} has {free} now, and this asks for {wanted.accelerators}."
    return Denial("no-capacity", message, f"Try again later. {ask(facility)}", ("pools", pool.name))
