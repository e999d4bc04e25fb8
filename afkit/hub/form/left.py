"""What is left of a person's limits, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from afkit.hub.form import words
from afkit.policy.model import Offer

__all__ = ["Left", "left"]


@dataclass(frozen=True, slots=True)
class Left:
    """One limit: ``value`` of ``most`` are left (millicores, bytes or a count), as ``text``."""

    title: str
    text: str
    value: int
    most: int


def left(offer: Offer) -> tuple[Left, ...]:
    """The limits that this person has, and what is left of each; accelerators only of pools that they can see."""
    most, now = offer.allowance, offer.remaining
    rows = [
        _row("Servers", most.servers, now.servers, str),
        _row("CPU", most.cpu, now.cpu, words.cores),
        _row("Memory", most.memory, now.memory, words.memory),
    ]
    seen = {item.name: None for each in offer.visible() for item in each.pools if item.standing != "hidden"}
    rows += [
        _row(offer.facility.pools[name].title, most.accelerators.get(name), now.accelerators.get(name), str)
        for name in offer.facility.pools
        if name in seen and name in most.accelerators
    ]
    rows += [
        _row("Dask clusters", most.clusters, now.clusters, str),
        _row("Dask workers", most.workers, now.workers, str),
    ]
    return tuple(row for row in rows if row is not None)


def _row(title: str, most: int | None, now: int | None, text: Callable[[int], str]) -> Left | None:
    if most is None:
        return None
    value = max(0, most if now is None else now)
    return Left(title, words.of(value, most, text), value, most)
