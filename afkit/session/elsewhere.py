"""Clusters that run in the facility, not on this machine: made, planned, listed, found and ended through its Dask service."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from afkit.errors import PlatformError
from afkit.session.groups import Request
from afkit.session.plan import Plan, Surroundings, idle_of
from afkit.session.terms import Terms, service_address

if TYPE_CHECKING:
    from afkit.session.answers import State
    from afkit.session.facility import AfkitFacilityCluster
    from afkit.session.service import Service

__all__ = ["connect", "end", "listed", "make", "plan", "states"]

SECONDS = 30.0
"""How long a question to the service may take where nobody has said otherwise."""


def make(request: Request, terms: Terms, around: Surroundings, deadline: float, asynchronous: bool) -> AfkitFacilityCluster:
    """Make a cluster. The service is asked at once; this process imports Dask while pods start."""
    from afkit.session.ask import ask
    from afkit.session.service import Service, aside

    idle, notes = idle_of(request, terms)
    asked = ask(request, idle, os.environ)
    service = Service(service_address(os.environ), os.environ)
    state = aside(service.create, asked.body, deadline)

    from afkit.session.facility import AfkitFacilityCluster, Opening

    made = AfkitFacilityCluster(
        Opening(
            service=service,
            name=asked.name,
            id=asked.id,
            why=" ".join((around.why, *notes)),
            state=state,
            deadline=deadline,
            timeout=request.timeout,
            needed=lambda state: _needed(sum(group.low for group in state.groups), request.wait),
            client=asked.client if asked.life == "kernel" else "",
            ours=asked.life == "kernel",
        )
    )
    if not asynchronous:
        made.start()
    return made


def plan(request: Request, terms: Terms, around: Surroundings) -> Plan:
    """What `make` would make: the service decides, and makes nothing."""
    from afkit.session.ask import ask

    idle, notes = idle_of(request, terms)
    service, deadline = _service(), time.monotonic() + min(request.timeout, SECONDS)
    asked = ask(request, idle, os.environ, dry_run=True)
    state = service.create(asked.body, deadline)
    capacity = service.capacity(deadline)
    return Plan(
        where="facility",
        why=" ".join(filter(None, (around.why, state.why, *notes))),
        name=request.name,
        groups=state.groups,
        python=state.python or asked.body["python"] or "",
        env=tuple(request.env),
        image=state.image,
        cvmfs=request.cvmfs,
        life=request.life,
        idle=state.idle,
        lifetime=terms.lifetime,
        wait=request.wait,
        timeout=request.timeout,
        pools=state.pools,
        free=capacity.free,
        limits=capacity.left,
        objects=state.objects,
        expected=state.expected,
    )


def states(deadline: float | None = None) -> list[State]:
    """The person's live clusters in the facility, oldest first; none where this session is in no facility that runs Dask."""
    if not service_address(os.environ):
        return []
    return _service().all(time.monotonic() + SECONDS if deadline is None else deadline)


def listed() -> Iterator[tuple[Any, ...]]:
    """The fields of `afkit.session.cluster.ClusterInfo` of each."""
    for state in states():
        there = [(group, state.numbers[group.name].ready) for group in state.groups]
        cores = sum(number * group.millicores for group, number in there) / 1000
        memory = sum(number * group.memory for group, number in there)
        yield state.name, sum(number for _, number in there), cores, memory, state.adaptive, state.address, 0, state.id


def connect(state: State, deadline: float, asynchronous: bool) -> AfkitFacilityCluster:
    """A connection to a live cluster; closing it leaves the cluster as it is."""
    from concurrent.futures import Future

    from afkit.session.facility import AfkitFacilityCluster, Opening

    known: Future[State] = Future()
    known.set_result(state)
    why = f"Connected to the cluster {state.name!r} of this facility."
    timeout = math.ceil(deadline - time.monotonic())
    made = AfkitFacilityCluster(Opening(_service(), state.name, state.id, why, known, deadline, timeout))
    if not asynchronous:
        made.start()
    return made


def end(name: str, identifier: str) -> None:
    """End a cluster."""
    _service().delete(name, identifier, time.monotonic() + SECONDS)


def _service() -> Service:
    from afkit.session.service import here

    service = here()
    if service is None:
        raise PlatformError("This session is in no facility that runs Dask clusters as a service.", "Use the clusters on this machine.")
    return service


def _needed(low: int, wait: float) -> int:
    return max(1, math.ceil(low * wait)) if low and wait else 0
