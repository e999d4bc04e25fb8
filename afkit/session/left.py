"""What a session leaves for Dask, and the refusals of what is more than that. Pure.

What clusters hold is counted at the most that they may grow to: a cluster that follows its load never finds its room taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from afkit.errors import LimitExceededError
from afkit.session.terms import Terms

__all__ = [
    "LEAST_CORES",
    "LEAST_MEMORY",
    "Held",
    "Left",
    "left_of",
    "refuse_amount",
    "refuse_gpus",
    "refuse_workers",
    "show_cores",
    "show_memory",
    "whole",
]

LEAST_CORES = 100
LEAST_MEMORY = 256 << 20
"""Millicores and bytes below which no worker is made: it would have no room for Dask itself (about 100 MiB)."""

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Held:
    """What one live cluster of the session holds: at most so many workers, millicores, bytes, and these GPUs."""

    name: str
    workers: int
    cores: int
    memory: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """What the session leaves now. ``workers`` and ``clusters``: ``None`` is no limit. ``holders``: the clusters that have the rest."""

    millicores: int
    memory: int
    gpus: tuple[str, ...]
    workers: int | None
    clusters: int | None
    holders: tuple[str, ...]

    @property
    def cores(self) -> float:
        """Cores that are left."""
        return self.millicores / 1000

    def __str__(self) -> str:
        """One line for a person."""
        parts = [
            show_cores(self.millicores),
            f"{_about(self.memory)} of memory",
        ]
        parts += [f"{len(self.gpus)} GPU{'' if len(self.gpus) == 1 else 's'}"] if self.gpus else []
        parts += [f"{self.workers} workers"] if self.workers is not None else []
        parts += [f"{self.clusters} clusters"] if self.clusters is not None else []
        return ", ".join(parts)


def left_of(terms: Terms, held: Iterable[Held]) -> Left:
    """The terms less what the session's other clusters hold."""
    others = tuple(held)
    taken = {gpu for cluster in others for gpu in cluster.gpus}
    of_all = _less(terms.workers, sum(cluster.workers for cluster in others))
    return Left(
        millicores=max(0, terms.cores - sum(cluster.cores for cluster in others)),
        memory=max(0, terms.memory - sum(cluster.memory for cluster in others)),
        gpus=tuple(gpu for gpu in terms.gpus if gpu not in taken),
        workers=_smaller(terms.max_workers, of_all),
        clusters=_less(terms.clusters, len(others)),
        holders=tuple(cluster.name for cluster in others),
    )


def refuse_workers(number: int, spare: int | None, terms: Terms, left: Left) -> None:
    """Raise `LimitExceededError` where so many workers are more than may be."""
    if spare is None or number <= spare:
        return
    most = max(0, spare)
    raise LimitExceededError(
        f"{_workers(number)} cannot be had: {terms.of} leaves {most or 'none'}.",
        hint(left, f"Ask for at most workers={most}" if most else ""),
        field="workers",
    )


def refuse_amount(what: str, number: int, each: int, available: int, terms: Terms, left: Left, *, written: bool = True) -> None:
    """Raise `LimitExceededError` where ``number`` workers of ``each`` (millicores or bytes: ``what`` says) are more than is available.

    ``written``: somebody asked for this size; else ``each`` is the least that a worker can have.
    """
    available = max(0, available)
    if number * each <= available:
        return
    of_cores = what == "cores"
    show = _number if of_cores else _show_rounded
    total = show(terms.cores if of_cores else terms.memory)
    least = "" if written else "at least "
    unit = ("core" if each == 1000 else "cores") if of_cores else "of memory"
    verb = "is" if of_cores and available == 1000 else "are"
    raise LimitExceededError(
        f"{_workers(number)} of {least}{show(each)} {unit} {_need(number)} {show(number * each)}, "
        f"and {show(available)} of {terms.of}'s {total} {verb} left.",
        hint(left, _at_most(what, number, each, available)),
        field=what if written else "workers",
    )


def refuse_gpus(number: int, each: int, available: int, terms: Terms, left: Left) -> None:
    """Raise `LimitExceededError` where so many workers need more GPUs than are left."""
    if number * each <= available:
        return
    raise LimitExceededError(
        f"{_workers(number)} of {each} GPU{'' if each == 1 else 's'} {_need(number)} {number * each}, "
        f"and {available} of {terms.of}'s {len(terms.gpus)} {'is' if available == 1 else 'are'} left.",
        hint(left, f"Ask for at most workers={available // each}" if available >= each else ""),
        field="gpus",
    )


def hint(left: Left, first: str) -> str:
    """What to do instead: ask for less, or close what holds the rest."""
    if not left.holders:
        return f"{first}." if first else "Start a larger server."
    close = f'close a cluster that holds the rest: afkit.connect("{left.holders[-1]}").shutdown()'
    return f"{first}, or {close}" if first else f"{close[0].upper()}{close[1:]}"


def show_cores(millicores: int) -> str:
    """Millicores as a person reads them: ``2 cores``, ``0.5 cores``."""
    return f"{_number(millicores)} core{'' if millicores == 1000 else 's'}"


def _number(millicores: int) -> str:
    return f"{millicores / 1000:g}"


def show_memory(size: int) -> str:
    """Bytes as a person reads them: GiB where they are whole, else MiB (``2GiB``, ``1536MiB``)."""
    if size >= _GIB and size % _GIB == 0:
        return f"{size // _GIB}GiB"
    return f"{size // _MIB}MiB" if size >= _MIB or size == 0 else f"{size} bytes"


def _about(size: int) -> str:
    # what is left of a whole machine is no round number, and nobody has to write it
    return f"{int(size / _GIB * 10) / 10:g}GiB" if size >= 10 * _GIB else show_memory(whole(size))


def whole(size: int) -> int:
    """Bytes, less the part of the last MiB."""
    return size // _MIB * _MIB


def _show_rounded(size: int) -> str:
    return show_memory(whole(size) if size >= _MIB else size)


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _less(limit: int | None, taken: int) -> int | None:
    return None if limit is None else max(0, limit - taken)


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"


def _need(number: int) -> str:
    return "needs" if number == 1 else "need"


def _at_most(what: str, number: int, each: int, available: int) -> str:
    most = available // each
    if most and number > most:
        return f"Ask for at most workers={most}"
    if what == "cores" and available >= LEAST_CORES:
        return f"Ask for at most cores={available / 1000:g}"
    if what == "memory" and available >= LEAST_MEMORY:
        return f'Ask for at most memory="{show_memory(whole(available))}"'
    return ""
