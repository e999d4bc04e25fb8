"""Decides how large the groups of a cluster are: what was written is granted or refused, what was left out takes what is left.

Pure: a request, the terms and what is left go in; groups and sentences come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from afkit.errors import LimitExceededError, NoCapacityError
from afkit.names import ARCHITECTURES
from afkit.session.groups import Wanted
from afkit.session.left import (
    LEAST_CORES,
    LEAST_MEMORY,
    Held,
    Left,
    hint,
    refuse_amount,
    refuse_gpus,
    refuse_workers,
    show_cores,
    show_memory,
    whole,
)
from afkit.session.terms import Terms

__all__ = ["Sized", "fit", "no_gpu", "total", "weigh"]

WORKERS = 4
CORES = 1000
MEMORY = 2 << 30
"""Workers, millicores and bytes of what is left out, where the limits leave as much."""

COMFORT = 1 << 30
"""Bytes below which a worker is not shrunk only to have more of them."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A group as it will be: ``low`` to ``high`` workers of so many millicores, threads, bytes and GPUs, with these Dask resources.

    ``cores`` is the number of cores of each.
    """

    name: str
    low: int
    high: int
    millicores: int
    threads: int
    memory: int
    gpus: int
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def cores(self) -> float:
        """Cores of each worker."""
        return self.millicores / 1000

    @property
    def adaptive(self) -> bool:
        """Whether the number of workers follows the load."""
        return self.low != self.high

    def __str__(self) -> str:
        """One line for a person."""
        number = f"{self.low} to {self.high}" if self.adaptive else str(self.high)
        gpus = f", {self.gpus} GPU{'' if self.gpus == 1 else 's'}" if self.gpus else ""
        return f"{self.name}: {number} × {show_cores(self.millicores)}, {show_memory(self.memory)}{gpus}"


def fit(wanted: Sequence[Wanted], terms: Terms, left: Left) -> tuple[tuple[Sized, ...], tuple[str, ...]]:
    """The groups as they will be, and a sentence for everything that became less than its default.

    Raises `LimitExceededError` for what was written and is more than is left, `NoCapacityError` for a GPU where there is none.
    """
    if left.clusters == 0:
        raise LimitExceededError(
            f"This session may have {terms.clusters} cluster{'' if terms.clusters == 1 else 's'} at once, and none is left.",
            hint(left, ""),
            field="workers",
        )
    room = _Room(terms, left)
    found = [room.give(group, wanted[index + 1 :]) for index, group in enumerate(wanted)]
    return tuple(found), tuple(room.notes)


def weigh(groups: Iterable[tuple[Sized, int]], terms: Terms, left: Left) -> None:
    """Raise `LimitExceededError` where groups of so many workers each are more than is left; the first that does not fit is named."""
    cores, memory, gpus, workers = left.millicores, left.memory, len(left.gpus), left.workers
    for group, number in groups:
        refuse_workers(number, workers, terms, left)
        refuse_amount("cores", number, group.millicores, cores, terms, left)
        refuse_amount("memory", number, group.memory, memory, terms, left)
        refuse_gpus(number, group.gpus, gpus, terms, left)
        cores -= number * group.millicores
        memory -= number * group.memory
        gpus -= number * group.gpus
        workers = None if workers is None else workers - number


def total(name: str, groups: Iterable[tuple[Sized, int]], gpus: Sequence[str]) -> Held:
    """What groups of so many workers each hold together; their GPUs are the first of ``gpus``."""
    pairs = list(groups)
    return Held(
        name=name,
        workers=sum(number for _, number in pairs),
        cores=sum(number * group.millicores for group, number in pairs),
        memory=sum(number * group.memory for group, number in pairs),
        gpus=tuple(gpus[: sum(number * group.gpus for group, number in pairs)]),
    )


class _Room:
    """What is left while the groups are taken out of it one after the other."""

    def __init__(self, terms: Terms, left: Left) -> None:
        self.notes: list[str] = []
        self._terms = terms
        self._left = left
        self._cores = left.millicores
        self._memory = left.memory
        self._gpus = len(left.gpus)
        self._workers = left.workers

    def give(self, group: Wanted, later: Sequence[Wanted]) -> Sized:
        """Take one group out; ``later`` groups keep what they have written, and the least of what they left out."""
        terms = self._terms
        _largest(group, terms)
        cores, memory, spare = self._without(later)
        number = group.high or self._number(group, cores, memory, spare)
        self._refuse(group, number, cores, memory, spare)
        each_cores = group.cores or min(CORES, terms.worker_cores or CORES, cores // number)
        each_memory = group.memory or whole(min(MEMORY, terms.worker_memory or MEMORY, memory // number))
        self._explain(group, number, each_cores, each_memory)
        self._cores -= number * each_cores
        self._memory -= number * each_memory
        self._gpus -= number * group.gpus
        if self._workers is not None:
            self._workers -= number
        low = number if group.low is None else group.low
        threads = max(1, each_cores // 1000)
        return Sized(group.name, low, number, each_cores, threads, each_memory, group.gpus, self._resources(group, threads))

    def _without(self, later: Sequence[Wanted]) -> tuple[int, int, int | None]:
        """Millicores, bytes and workers that are left when later groups have the least that they need."""
        cores = self._cores - sum(_number_of(other) * (other.cores or LEAST_CORES) for other in later)
        memory = self._memory - sum(_number_of(other) * (other.memory or LEAST_MEMORY) for other in later)
        return cores, memory, None if self._workers is None else self._workers - sum(map(_number_of, later))

    def _refuse(self, group: Wanted, number: int, cores: int, memory: int, spare: int | None) -> None:
        """Raise for what was written and is more than is left, or where not even the least worker fits."""
        terms, left = self._terms, self._left
        refuse_workers(number, spare, terms, left)
        refuse_amount("cores", number, group.cores or LEAST_CORES, cores, terms, left, written=group.cores is not None)
        refuse_amount("memory", number, group.memory or LEAST_MEMORY, memory, terms, left, written=group.memory is not None)
        refuse_gpus(number, group.gpus, self._gpus, terms, left)

    def _number(self, group: Wanted, cores: int, memory: int, spare: int | None) -> int:
        """How many workers when that was left out: at most four, as many as have a whole core, a GiB and their GPUs."""
        fits = [WORKERS, cores // (group.cores or CORES), memory // (group.memory or COMFORT)]
        fits += [self._gpus // group.gpus] if group.gpus else []
        fits += [spare] if spare is not None else []
        return max(1, min(fits))

    def _explain(self, group: Wanted, number: int, cores: int, memory: int) -> None:
        """Say what was left out and became less than its default."""
        less = []
        if group.high is None and number < WORKERS:
            less.append(f"{number} worker{'' if number == 1 else 's'} rather than {WORKERS}")
        each = " each" if number > 1 else ""
        if group.cores is None and cores < CORES:
            less.append(f"{show_cores(cores)}{each} rather than 1")
        if group.memory is None and memory < MEMORY:
            less.append(f"{show_memory(memory)} of memory{each} rather than {show_memory(MEMORY)}")
        if less:
            self.notes.append(f"{' and '.join(less)}: {self._terms.of} leaves {self._left}.")

    def _resources(self, group: Wanted, threads: int) -> dict[str, float]:
        """The Dask resources by which tasks pick the group: its architecture (one for each thread), its GPUs, its own tags."""
        arch = {self._terms.arch: float(threads)} if self._terms.arch in ARCHITECTURES else {}
        gpus = {"GPU": float(group.gpus)} if group.gpus else {}
        return arch | gpus | dict(group.tags)


def _written(what: str, most: int) -> str:
    """An argument as it is written."""
    if what == "memory":
        return f'memory="{show_memory(most)}"'
    return f"cores={most / 1000:g}" if what == "cores" else f"gpus={most}"


def no_gpu(number: int, terms: Terms) -> NoCapacityError:
    """The refusal of GPUs where there is none."""
    return NoCapacityError(
        f"gpus={number} cannot be had: {terms.of} has no GPU.", "Leave gpus out, or start a server in a pool with GPUs.", field="gpus"
    )


def _number_of(group: Wanted) -> int:
    """The most workers of a group; at least one where that was left out."""
    return group.high or 1


def _largest(group: Wanted, terms: Terms) -> None:
    """Refuse what no worker of this profile or machine may have."""
    if group.gpus and not terms.gpus:
        raise no_gpu(group.gpus, terms)
    for what, asked, most in (
        ("cores", group.cores, terms.worker_cores),
        ("memory", group.memory, terms.worker_memory),
        ("gpus", group.gpus, terms.worker_gpus),
    ):
        if asked is not None and most is not None and asked > most:
            shown = {"cores": show_cores, "memory": show_memory}.get(what, "{} GPUs".format)
            raise LimitExceededError(
                f"A worker of this profile has at most {shown(most)}, not {shown(asked)}.",
                f"Ask for {_written(what, most)} or less.",
                field=what,
            )
