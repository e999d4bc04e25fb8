"""How much one person may have at once. Pure: what they run now is passed in.

A person has, field by field, the largest value of the groups that they are in. A field that no group of theirs sets is
unlimited (``servers``: 1), ``0`` forbids. Limits count requests; ``cpu``, ``memory`` and ``accelerators`` count servers,
schedulers and workers together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from afkit.facility.model import Facility, Limit, RulePath
from afkit.names import EVERYONE
from afkit.policy.keep import kept
from afkit.policy.model import Allowance, Denial, Entitlements, Resources, Usage
from afkit.quantities import UNSET, Unset, format_cpu, format_memory

__all__ = ["allowance", "exceeded", "remaining"]

_DEFAULT_SERVERS: Final = 1
_MOST_KEPT: Final = 4096
_DASK: Final = frozenset({"clusters", "workers"})
Value = Callable[[Limit], int | Unset | None]


def allowance(facility: Facility, entitlements: Entitlements) -> Allowance:
    """The limits of a person: the largest of their groups, field by field. Kept for the people of the same groups."""
    made = kept(facility, _Allowances).made
    allowed = made.get(entitlements.groups)
    if allowed is None:
        if len(made) >= _MOST_KEPT:
            made.clear()
        allowed = made[entitlements.groups] = _allowance(facility, entitlements)
    return allowed


class _Allowances:
    """The limits of one facility by groups."""

    def __init__(self, _facility: Facility) -> None:
        self.made: dict[tuple[str, ...], Allowance] = {}


def _allowance(facility: Facility, entitlements: Entitlements) -> Allowance:
    limits = [limit for _, limit in _limits(facility, entitlements)]
    pools = sorted({pool for limit in limits for pool in limit.accelerators})

    def largest(value: Value, default: int | None = None) -> int | None:
        return _largest(map(value, limits), default)

    return Allowance(
        servers=largest(lambda limit: limit.servers, _DEFAULT_SERVERS),
        cpu=largest(lambda limit: limit.cpu),
        memory=largest(lambda limit: limit.memory),
        accelerators={pool: _largest(limit.accelerators.get(pool, UNSET) for limit in limits) for pool in pools},
        clusters=largest(lambda limit: limit.clusters),
        workers=largest(lambda limit: limit.workers),
    )


def remaining(allowed: Allowance, usage: Usage) -> Allowance:
    """What the limits leave beside everything in ``usage``; never below 0, ``None``: no limit."""
    servers = cpu = memory = workers = 0
    units = dict.fromkeys(allowed.accelerators, 0)
    for use in usage.uses:
        servers += use.kind == "server"
        workers += use.kind == "worker"
        cpu += use.cpu
        memory += use.memory
        if use.pool in units:
            units[use.pool] += use.accelerators
    return Allowance(
        servers=_less(allowed.servers, servers),
        cpu=_less(allowed.cpu, cpu),
        memory=_less(allowed.memory, memory),
        accelerators={pool: _less(allowed.accelerators[pool], used) for pool, used in units.items()},
        clusters=_less(allowed.clusters, usage.clusters),
        workers=_less(allowed.workers, workers),
    )


def exceeded(
    facility: Facility, entitlements: Entitlements, allowed: Allowance, left: Allowance, pool: str, wanted: Resources
) -> Denial | None:
    """Why one more server with these resources on this pool is more than what is left, or ``None``."""
    if left.servers is not None and left.servers < 1:
        return _no_server(allowed.servers or 0, _rule(facility, entitlements, "servers", lambda limit: limit.servers))
    units = left.accelerators.get(pool)
    for what, rest, amount, most, shown in (
        ("cpu", left.cpu, wanted.cpu, allowed.cpu, format_cpu),
        ("memory", left.memory, wanted.memory, allowed.memory, format_memory),
        ("accelerators", units, wanted.accelerators, allowed.accelerators.get(pool), str),
    ):
        if rest is not None and amount > rest:
            return _more(what, amount, (rest, most or 0), shown, pool, _rule_of(facility, entitlements, what, pool))
    return None


def _no_server(most: int, rule: RulePath) -> Denial:
    if not most:
        return Denial("limit-exceeded", "You may not start servers.", "Your limit of servers is 0.", rule)
    servers = f"{most} server{'' if most == 1 else 's'}"
    return Denial("limit-exceeded", f"You have {servers} already, and that is all that you may have.", "Stop one of them first.", rule)


def _more(what: str, amount: int, limits: tuple[int, int], shown: Callable[[int], str], pool: str, rule: RulePath) -> Denial:
    """The refusal of too much of one thing; ``limits`` are what is left and the most."""
    left, most = limits
    thing = {"cpu": "CPU", "memory": "memory"}.get(what, f"accelerator{'' if amount == 1 else 's'} of pool {pool}")
    of = "" if left == most else f" of {shown(most)}"
    hint = "Choose less." if left == most else "Choose less, or stop something first."
    return Denial("limit-exceeded", f"This asks for {shown(amount)} {thing}, and your limits leave {shown(left)}{of}.", hint, rule)


def _rule_of(facility: Facility, entitlements: Entitlements, what: str, pool: str) -> RulePath:
    if what == "accelerators":
        return _rule(facility, entitlements, what, lambda limit: limit.accelerators.get(pool, UNSET), pool)
    return _rule(facility, entitlements, what, (lambda limit: limit.cpu) if what == "cpu" else (lambda limit: limit.memory))


def _limits(facility: Facility, entitlements: Entitlements) -> list[tuple[str, Limit]]:
    """The limits that concern a person, in the order of the file."""
    mine = {EVERYONE, *entitlements.groups}
    return [(name, limit) for name, limit in facility.limits.items() if name in mine]


def _largest(values: Iterable[int | Unset | None], default: int | None = None) -> int | None:
    """The largest of the values that are set; ``None`` (no limit) is the largest of all, ``default`` where nothing is set."""
    written = [value for value in values if value is not UNSET]
    if not written:
        return default
    amounts = [value for value in written if value is not None]
    return max(amounts) if len(amounts) == len(written) else None


def _less(most: int | None, used: int) -> int | None:
    return None if most is None else max(0, most - used)


def _rule(facility: Facility, entitlements: Entitlements, field: str, value: Value, *more: str) -> RulePath:
    """Where the value that decided stands: of the first group in the file that has the largest."""
    written: Mapping[str, int] = {
        name: amount for name, limit in _limits(facility, entitlements) if (amount := value(limit)) is not UNSET and amount is not None
    }
    if not written:
        return ()
    best = max(written.values())
    name = next(name for name, amount in written.items() if amount == best)
    return ("limits", name, *(("dask",) if field in _DASK else ()), field, *more)
