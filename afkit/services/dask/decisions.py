"""What is to be done with a cluster now: when it ends, and which workers come and go. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afkit.quantities import format_duration
from afkit.services.dask.records import Group, Record, is_over
from afkit.services.dask.scheduler import GroupSeen, Seen

__all__ = ["End", "Facts", "Steps", "end_of", "steps_of", "wanted_of"]

GONE: Final = 20.0
"""Seconds that a kernel's client may be without a connection before its cluster goes."""
FIRST: Final = 300.0
"""Seconds that it has to connect for the first time, once the scheduler answers."""
LATEST: Final = 900.0
"""Seconds after which a cluster whose scheduler has never answered is given up."""
WARNS: Final = 600
"""Seconds before the end of a cluster's life at which its state says so."""


@dataclass(frozen=True, slots=True)
class End:
    """Why a cluster ends. ``failed``: it never worked, or stopped working by itself."""

    reason: str
    message: str
    hint: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a cluster at one moment. ``answered``: when its scheduler answered first (``None``: never).

    ``scheduler``: its pod (``None``: there is none); ``had``: it was there before. ``server``: whether the server that it goes
    with still runs.
    """

    now: float
    seen: Seen | None
    answered: float | None
    scheduler: Mapping[str, Any] | None
    had: bool
    server: bool


def end_of(record: Record, facts: Facts) -> End | None:
    """Why the cluster is to end now; ``None``: it is not."""
    if record.life != "detached" and not facts.server:
        return End("server", "The server that it was made from is gone.", 'A cluster with life="detached" outlives its server.')
    if record.lifetime is not None and facts.now - record.made > record.lifetime:
        life = format_duration(record.lifetime)
        return End(
            "lifetime", f"It reached the longest life of a cluster in this facility, {life}.", "Make a new one with afkit.cluster()."
        )
    if facts.had and (facts.scheduler is None or is_over(facts.scheduler)):
        message = "Its scheduler has ended, and with it all that the cluster knew."
        return End(
            "scheduler", message, "Make a new one with afkit.cluster(); a larger scheduler may help where memory ran out.", failed=True
        )
    return _unused(record, facts)


def _unused(record: Record, facts: Facts) -> End | None:
    """Whether nobody uses it any more, or nobody ever came."""
    if facts.answered is None:
        late = facts.now - record.made > LATEST
        return End("deadline", "Its scheduler has not answered in time.", "Try again; its log may say more.", failed=True) if late else None
    seen, answering = facts.seen, facts.now - facts.answered
    if seen is None:
        return None
    if record.life == "kernel":
        left = _left(seen, answering)
        if left is not None:
            return left
    if record.idle is not None and min(seen.idle, answering) >= record.idle:
        return End("idle", f"It had no work for {format_duration(record.idle)}.", "Make a new one with afkit.cluster().")
    return None


def _left(seen: Seen, answering: float) -> End | None:
    """Whether the client on which a cluster hangs is gone, or never came."""
    if seen.client and seen.gone is not None and seen.gone >= GONE:
        return End("client", "The kernel or script that made it is gone.", 'A cluster with life="server" outlives its kernel.')
    if not seen.client and answering > FIRST:
        return End("client", "The kernel or script that made it never connected.", "Make a new one with afkit.cluster().")
    return None


def wanted_of(group: Group, seen: GroupSeen | None) -> int:
    """How many workers an adaptive group is to have: what its load needs, within its numbers."""
    if not group.adaptive:
        return group.high
    if seen is None:
        return group.wanted
    return min(max(seen.needed, group.low), group.high)


@dataclass(frozen=True, slots=True)
class Steps:
    """How many workers to make, which pods to remove at once, which to ask to go (``drain``: busy ones too)."""

    make: int = 0
    remove: tuple[str, ...] = ()
    retire: tuple[str, ...] = ()
    drain: bool = False


def steps_of(group: Group, pods: Sequence[str], seen: GroupSeen | None, kept: frozenset[str] = frozenset()) -> Steps:
    """What brings a group to its number. ``pods``: those that are not on their way out, oldest first; ``kept``: who holds results."""
    surplus = len(pods) - group.wanted
    if surplus <= 0:
        return Steps(make=-surplus)
    if seen is None:
        # nobody can have joined whom the scheduler does not tell of; of an adaptive group nothing is known yet
        return Steps() if group.adaptive else Steps(remove=tuple(reversed(pods))[:surplus], drain=True)
    # who has not joined yet holds nothing; the newest has come least far
    absent = tuple(name for name in reversed(pods) if name not in seen.present)[:surplus]
    idle, busy = _idle_first([name for name in pods if name in seen.present and name not in kept], seen)
    going = idle if group.adaptive else [*idle, *busy]
    return Steps(remove=absent, retire=tuple(going[: surplus - len(absent)]), drain=not group.adaptive)


def _idle_first(pods: list[str], seen: GroupSeen) -> tuple[list[str], list[str]]:
    """Those of the pods that have no work, in the order in which they are to go, and the others."""
    idle = [name for name in dict.fromkeys(seen.idle) if name in pods]
    return idle, [name for name in pods if name not in idle]
