"""Decides what one call of `afkit.cluster` leads to: where it runs, how large it is, and why. Starts nothing.

`decide` raises what is refused; `afkit.plan` puts the refusal into the plan instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afkit.errors import IncompatibleError, LimitExceededError, NoCapacityError, PlatformError, RequestError
from afkit.names import near
from afkit.quantities import format_duration
from afkit.session.cvmfs import check
from afkit.session.environment import check_python, worker_environment
from afkit.session.groups import Request
from afkit.session.left import Held, Left, left_of, show_cores, show_memory, whole
from afkit.session.sizing import Sized, fit, no_gpu
from afkit.session.terms import Terms, service_address

__all__ = ["Plan", "Surroundings", "decide", "examine", "idle_of", "place"]

CVMFS = Path("/cvmfs")
ENDS = {"kernel": "with this process", "server": "with the server", "detached": "when it is ended"}
CVMFS_SECONDS = 10.0
"""How long a repository may take to answer."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a cluster would run and why; there its interpreter and the environment of its workers."""

    where: str
    why: str
    python: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What would happen. ``where`` is ``local``, ``facility`` or a scheduler's address; times in seconds, memory in bytes.

    In a facility ``pools`` has the pool of each group, ``free`` what is free in each pool (``None``: unknown), ``limits`` what your
    limits leave (millicores, bytes; ``None``: no limit), ``objects`` what would be made in Kubernetes, ``expected`` the seconds until
    it is ready.
    ``groups`` are the worker groups; ``low``, ``high``, ``cores``, ``memory``, ``gpus`` are their sums (of ``high``). ``left`` is what the
    session leaves before this cluster is made. ``refusal`` is the error that `afkit.cluster` would raise, or ``None``.
    """

    where: str
    why: str
    name: str | None = None
    groups: tuple[Sized, ...] = ()
    python: str = ""
    env: tuple[str, ...] = ()
    image: str | None = None
    cvmfs: tuple[str, ...] = ()
    life: str = "kernel"
    idle: float | None = None
    lifetime: float | None = None
    wait: float = 0.3
    timeout: float = 300.0
    left: Left | None = None
    pools: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, Mapping[str, int] | None] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[Mapping[str, Any], ...] = ()
    expected: float | None = None
    refusal: RequestError | PlatformError | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def low(self) -> int:
        """The fewest workers, over all groups."""
        return sum(group.low for group in self.groups)

    @property
    def high(self) -> int:
        """The most workers, over all groups."""
        return sum(group.high for group in self.groups)

    @property
    def workers(self) -> int | tuple[int, int]:
        """The number of workers over all groups; a pair where it follows the load."""
        return self.high if self.low == self.high else (self.low, self.high)

    @property
    def cores(self) -> float:
        """Cores of all workers at their most."""
        return sum(group.high * group.millicores for group in self.groups) / 1000

    @property
    def memory(self) -> int:
        """Bytes of all workers at their most."""
        return sum(group.high * group.memory for group in self.groups)

    @property
    def gpus(self) -> int:
        """GPUs of all workers at their most."""
        return sum(group.high * group.gpus for group in self.groups)

    @property
    def needed(self) -> int:
        """How many workers have to be ready before `afkit.cluster` returns."""
        return max(1, -int(-self.low * self.wait // 1)) if self.low and self.wait else 0

    def __repr__(self) -> str:
        """Lines for a person."""
        if self.refusal is not None:
            lines = [f"would be refused ({_reason(self.refusal)}): {self.refusal}"]
        else:
            lines = [f"where   {self.where}", *(f"workers {group}" for group in self.groups)]
            lines += [f"python  {self.python}"] if self.python else []
            idle = "never" if self.idle is None else f"after {_time(self.idle)} without work"
            lines += [f"ends    {ENDS[self.life]} ({self.life}), {idle}"] if self.groups else []
        lines += [f"left    {self.left}"] if self.left is not None else []
        lines += in_facility(self) if self.where == "facility" else []
        return "\n".join([*lines, f"why     {self.why}"] if self.why else lines)


def in_facility(plan: Plan) -> list[str]:
    """What a plan in the facility shows beside the rest."""
    pools = sorted(set(filter(None, plan.pools.values())))
    free = [f"{name}: {_amounts(amounts) if amounts is not None else 'unknown'}" for name, amounts in plan.free.items() if name in pools]
    ready = "" if plan.expected is None else f"in about {plan.expected:.0f} s"
    objects = f"{len(plan.objects)} in Kubernetes" if plan.objects else ""
    shown = [("image", plan.image or ""), ("pools", ", ".join(pools)), *(("free", one) for one in free)]
    shown += [("left", _amounts(plan.limits)), ("ready", ready), ("objects", objects)]
    return [f"{name:<8}{text}" for name, text in shown if text]


def _amounts(amounts: Mapping[str, Any]) -> str:
    """Amounts of a pool or of limits; what has none is left out."""
    show = {"cpu": lambda value: show_cores(int(value)), "memory": lambda value: show_memory(whole(int(value)))}
    found = []
    for key, value in amounts.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(show[key](value) if key in show else f"{value:g} {key}")
    return ", ".join(found)


def place(request: Request, terms: Terms, address: str | None) -> tuple[str, str]:
    """Where the cluster runs (``local``, ``facility`` or an address), and a sentence why."""
    if "://" in request.where:
        return request.where, f"Connected to {request.where}, the address that was given."
    if request.where == "auto" and address is not None:
        return address, f"Connected to {address}, which Dask's setting scheduler-address names."
    if request.where == "facility" or (request.where == "auto" and terms.where == "facility"):
        return "facility", "This session's facility runs Dask clusters."
    if request.where == "local":
        return "local", "On this machine, as asked."
    reason = (
        "this session's facility runs Dask beside the notebook"
        if terms.in_session
        else "no scheduler is configured and this is no session of a facility"
    )
    return "local", f"On this machine: {reason}."


def examine(request: Request, terms: Terms, address: str | None, environ: Mapping[str, str] | None = None) -> Surroundings:
    """Look at what is outside this process and may take seconds: interpreter, repositories.

    Raises what does not fit (`RequestError`), or `PlatformError` where the facility's service is missing.
    """
    where, why = place(request, terms, address)
    environ = os.environ if environ is None else environ
    if where == "facility":
        if not service_address(environ):
            raise PlatformError(
                "The address of this facility's Dask service is not known here."
                if terms.where == "facility"
                else "This session is in no facility that runs Dask clusters as a service.",
                'Write where="local" for workers on this machine.',
            )
        return Surroundings(where, why)
    if where != "local":
        return Surroundings(where, f"{why} Its workers are as they are: no size was applied.")
    _fits_here(request, terms, _cvmfs(environ))
    workers = worker_environment(environ, request.env)
    return Surroundings(where, why, check_python(request.python, workers, request.timeout), workers)


def decide(request: Request, terms: Terms, held: Sequence[Held], around: Surroundings) -> Plan:
    """The plan of a request, where clusters of the session hold so much already. Raises the refusal (`RequestError`)."""
    if around.where != "local":
        return Plan(where=around.where, why=around.why, wait=request.wait, timeout=request.timeout)
    idle, notes = idle_of(request, terms)
    left = left_of(terms, held)
    groups, smaller = fit(request.groups, terms, left)
    if request.image is not None:
        notes = (*notes, f"The image {request.image} is not applied: on this machine workers use an interpreter of this machine.")
    return Plan(
        where="local",
        why=" ".join((around.why, *smaller, *notes)),
        name=request.name,
        groups=groups,
        python=around.python,
        env=tuple(request.env),
        image=request.image,
        cvmfs=request.cvmfs,
        life=request.life,
        idle=idle,
        lifetime=terms.lifetime,
        wait=request.wait,
        timeout=request.timeout,
        left=left,
        environ=around.environ,
    )


def _fits_here(request: Request, terms: Terms, cvmfs: Path) -> None:
    """Refuse what no cluster on this machine can be."""
    if request.life != "kernel":
        raise IncompatibleError(
            f"On this machine a cluster ends with the process that made it; life={request.life!r} cannot be had.",
            'Leave life out, or write life="kernel".',
            field="life",
        )
    for group in request.groups:
        if group.pool not in (None, terms.pool):
            raise _another_machine(str(group.pool), terms)
        if group.gpus and not terms.gpus:
            raise no_gpu(group.gpus, terms)
    for repository in request.cvmfs:
        seen = check(repository, folder=str(cvmfs), timeout=min(CVMFS_SECONDS, request.timeout))
        if not seen.good:
            text = f"The CVMFS repository {repository} does not answer on this machine. {seen.message}"
            raise NoCapacityError(text, seen.remedy, field="cvmfs")


def _another_machine(pool: str, terms: Terms) -> NoCapacityError:
    close = near(pool, [terms.pool] if terms.pool else [])
    return NoCapacityError(
        f"This machine is not in the pool {pool!r}{f': it is in {terms.pool!r}' if terms.pool else ''}.",
        f"Did you mean {close[0]!r}?" if close else "Leave pool out: workers run on this machine only.",
        field="pool",
    )


def _cvmfs(environ: Mapping[str, str]) -> Path:
    """The folder that has the repositories: what the hub says of it (``cvmfs: {driver: directory}``), else ``/cvmfs``."""
    return Path(environ["AFKIT_CVMFS"]) if environ.get("AFKIT_CVMFS", "").startswith("/") else CVMFS


def idle_of(request: Request, terms: Terms) -> tuple[float | None, tuple[str, ...]]:
    """Seconds without work after which the cluster closes. The call's own default gives way to the facility's; another is refused."""
    most = terms.idle
    if most is None or (request.idle is not None and request.idle <= most):
        return request.idle, ()
    if request.idle != DEFAULT_IDLE:
        raise LimitExceededError(
            f"In this facility a cluster closes after at most {_time(most)} without work.",
            f'Write idle="{_time(most)}" or less.',
            field="idle",
        )
    return most, (f"It closes after {_time(most)} without work, as the facility says.",)


DEFAULT_IDLE = 1800.0


def _time(seconds: float) -> str:
    return format_duration(int(seconds)) if seconds == int(seconds) else f"{seconds:g}s"


def _reason(error: RequestError | PlatformError) -> str:
    return error.reason if isinstance(error, RequestError) else "platform"
