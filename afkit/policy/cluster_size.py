"""How large the groups of a cluster are: what was written is granted or refused, what was left out takes what is left. Pure.

Clusters are counted at the most that they may grow to, so that one which follows its load never finds its room taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afkit.errors import IncompatibleError, LimitExceededError
from afkit.facility.model import DaskOffer, Pool
from afkit.policy.cluster_ask import GroupAsk
from afkit.policy.model import Offer, Resources
from afkit.policy.text import ask as whom_to_ask
from afkit.quantities import format_cpu, format_memory

__all__ = ["Room", "Sized"]

WORKERS: Final = 4
CORES: Final = 1000
MEMORY: Final = 2 << 30
"""Workers, millicores and bytes of what is left out, where the limits leave as much."""
LEAST_CORES: Final = 100
LEAST_MEMORY: Final = 256 << 20
"""Below these no worker is made: it would have no room for Dask itself."""
_COMFORT: Final = 1 << 30
"""Bytes below which a worker is not shrunk only to have more of them."""
_MIB: Final = 1 << 20


_SHOWN: Final[Mapping[str, tuple[Callable[[int], str], str]]] = {"cores": (format_cpu, "CPU"), "memory": (format_memory, "memory")}
"""How amounts are written, and what they are of."""


@dataclass(frozen=True, slots=True)
class _Left:
    """Millicores, bytes and workers that are left for one group; ``None``: no limit."""

    cpu: int | None
    memory: int | None
    workers: int | None


@dataclass(frozen=True, slots=True)
class Sized:
    """So many workers of so many millicores and bytes each; ``why``: what became less than its default."""

    low: int
    high: int
    cpu: int
    memory: int
    why: tuple[str, ...] = ()


class Room:
    """What the limits leave, while the groups are taken out of it one after the other."""

    def __init__(self, offer: Offer, dask: DaskOffer, scheduler: Resources) -> None:
        left = offer.remaining
        self._offer = offer
        self._cpu = None if left.cpu is None else left.cpu - scheduler.cpu
        self._memory = None if left.memory is None else left.memory - scheduler.memory
        self._workers = _smaller(left.workers, dask.max_workers)
        self._units = dict(left.accelerators)

    def give(self, group: GroupAsk, pool: Pool, later: Sequence[GroupAsk], dask: DaskOffer) -> Sized:
        """Take one group out; ``later`` groups keep what they have written, and the least of what they left out."""
        _largest(group, pool, dask)
        left = self._without(later)
        number = group.high or self._number(group, pool, left)
        self._refuse(group, number, left)
        self._refuse_units(group, pool.name, number)
        cpu = group.cores or _least(CORES, dask.cpu, pool.node.cpu, _share(left.cpu, number))
        memory = group.memory or _whole(_least(MEMORY, dask.memory, pool.node.memory, _share(left.memory, number)))
        self._take(group, pool.name, number, cpu, memory)
        low = number if group.low is None else group.low
        return Sized(low, number, cpu, memory, _less_than_usual(group, number, cpu, memory))

    def _without(self, later: Sequence[GroupAsk]) -> _Left:
        """What is left when later groups have the least that they need."""
        return _Left(
            _less(self._cpu, sum((one.high or 1) * (one.cores or LEAST_CORES) for one in later)),
            _less(self._memory, sum((one.high or 1) * (one.memory or LEAST_MEMORY) for one in later)),
            _less(self._workers, sum(one.high or 1 for one in later)),
        )

    def take(self, group: GroupAsk, pool: str) -> None:
        """Take a group out whose workers are what they are. Raises `LimitExceededError` where there are too many."""
        number, cpu, memory = group.high or 0, group.cores or 0, group.memory or 0
        self._refuse(group, number, self._without(()))
        self._refuse_units(group, pool, number)
        self._take(group, pool, number, cpu, memory)

    def _number(self, group: GroupAsk, pool: Pool, left: _Left) -> int:
        """How many workers when that was left out: at most four, as many as have a whole core, a GiB and their GPUs."""
        units = _share(self._units.get(pool.name), group.gpus) if group.gpus else None
        fits = (_share(left.cpu, group.cores or CORES), _share(left.memory, group.memory or _COMFORT), left.workers, units)
        return max(1, _least(WORKERS, *fits))

    def _refuse(self, group: GroupAsk, number: int, left: _Left) -> None:
        if left.workers is not None and number > left.workers:
            most = max(0, left.workers)
            raise LimitExceededError(
                f"{_workers(number)} cannot be had: your limits leave {most or 'none'}.",
                f"Ask for at most workers={most}." if most else self._close,
                field="workers",
            )
        self._refuse_amount("cores", group.cores, LEAST_CORES, number, left.cpu)
        self._refuse_amount("memory", group.memory, LEAST_MEMORY, number, left.memory)

    def _refuse_amount(self, what: str, written: int | None, least: int, number: int, left: int | None) -> None:
        each = written or least
        if left is None or number * each <= left:
            return
        show, unit = _SHOWN[what]
        most = max(0, left) // each
        raise LimitExceededError(
            f"{_workers(number)} of {'' if written else 'at least '}{show(each)} {unit} {_need(number)} {show(number * each)}, "
            f"and your limits leave {show(_whole(max(0, left)))} beside the scheduler.",
            f"Ask for at most workers={most}." if most else self._close,
            field=what if written else "workers",
        )

    def _refuse_units(self, group: GroupAsk, pool: str, number: int) -> None:
        left = self._units.get(pool)
        if not group.gpus or left is None or number * group.gpus <= left:
            return
        raise LimitExceededError(
            f"{_workers(number)} of {group.gpus} GPU{'' if group.gpus == 1 else 's'} {_need(number)} "
            f"{number * group.gpus} of pool {pool}, and your limits leave {left}.",
            f"Ask for at most workers={left // group.gpus}." if left >= group.gpus else self._close,
            field="gpus",
        )

    @property
    def _close(self) -> str:
        return f"Close a cluster or stop a server first, or ask for more: {whom_to_ask(self._offer.facility)}"

    def _take(self, group: GroupAsk, pool: str, number: int, cpu: int, memory: int) -> None:
        self._cpu = _less(self._cpu, number * cpu)
        self._memory = _less(self._memory, number * memory)
        self._workers = _less(self._workers, number)
        units = self._units.get(pool)
        if units is not None:
            self._units[pool] = units - number * group.gpus


def _largest(group: GroupAsk, pool: Pool, dask: DaskOffer) -> None:
    """Refuse what no worker of this profile, or of this pool, may have."""
    if group.gpus > dask.accelerators:
        most = f"at most {dask.accelerators} GPU{'' if dask.accelerators == 1 else 's'}" if dask.accelerators else "no GPU"
        hint = f"Ask for gpus={dask.accelerators} or less." if dask.accelerators else "Leave gpus out."
        raise LimitExceededError(f"A worker of this profile has {most}, not {group.gpus}.", hint, field="gpus")
    _larger("cores", group.cores, dask.cpu, pool, pool.node.cpu)
    _larger("memory", group.memory, dask.memory, pool, pool.node.memory)


def _larger(what: str, asked: int | None, most: int | None, pool: Pool, node: int | None) -> None:
    show, unit = _SHOWN[what]
    if asked is not None and most is not None and asked > most:
        message = f"A worker of this profile has at most {show(most)} {unit}, not {show(asked)}."
        raise LimitExceededError(message, f"Ask for {what}={show(most)} or less.", field=what)
    if asked is not None and node is not None and asked > node:
        message = f"A node of pool {pool.name} has {show(node)} {unit}, not {show(asked)}."
        raise IncompatibleError(message, f"Ask for {what}={show(node)} or less, or for another pool.", field=what)


def _less_than_usual(group: GroupAsk, number: int, cpu: int, memory: int) -> tuple[str, ...]:
    """A sentence about what was left out and became less than its default."""
    less = []
    if group.high is None and number < WORKERS:
        less.append(f"{_workers(number)} rather than {WORKERS}")
    if group.cores is None and cpu < CORES:
        less.append(f"{format_cpu(cpu)} CPU each rather than {format_cpu(CORES)}")
    if group.memory is None and memory < MEMORY:
        less.append(f"{format_memory(memory)} of memory each rather than {format_memory(MEMORY)}")
    return (f"{' and '.join(less)} in group {group.name}: that is what your limits, the profile and the pool leave.",) if less else ()


def _need(number: int) -> str:
    return "needs" if number == 1 else "need"


def _share(left: int | None, number: int) -> int | None:
    return None if left is None else left // number


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"


def _least(usual: int, *most: int | None) -> int:
    return min((usual, *(one for one in most if one is not None)))


def _less(left: int | None, taken: int) -> int | None:
    return None if left is None else left - taken


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _whole(size: int) -> int:
    """Bytes, less the part of the last MiB."""
    return size // _MIB * _MIB or size
