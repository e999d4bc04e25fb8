"""What people run now, as the limits count it.

A running server is counted by its spawner. Between the decision and the moment at which the spawner knows its choice there
are waits; what was granted is held here meanwhile, so that two starts at the same time cannot both use the last of a limit.
Everything happens in the hub's one thread: deciding and holding is one step without a wait between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from afkit.policy.model import Selection, Usage, Use

__all__ = ["Ledger", "use_of"]


def use_of(selection: Selection) -> Use:
    """What a server of this choice counts for."""
    needs = selection.resources
    return Use("server", selection.server, needs.cpu, needs.memory, selection.pool.name, needs.accelerators)


class Ledger:
    """Running and granted servers of everybody. ``users`` gives the hub's own mapping of its users."""

    def __init__(self, users: Callable[[], Mapping[int, Any]]) -> None:
        self._users = users
        self._held: dict[tuple[str, str], Use] = {}

    def hold(self, user: str, server: str, use: Use) -> None:
        """Count ``use`` for a server that is about to start, until its spawner counts it or `release` is called."""
        self._held[user, server] = use

    def release(self, user: str, server: str) -> None:
        """Count it no longer; nothing happens where nothing is held."""
        self._held.pop((user, server), None)

    def held(self, user: str, server: str) -> bool:
        """Whether a start of this server has been granted and its spawner does not count it yet."""
        return (user, server) in self._held

    def usage(self, user: Any, without: str | None = None) -> Usage:
        """What ``user`` (one of the hub's own) runs now, save the server ``without`` (the one that is being started again).

        Nobody else's servers are looked at: it is asked several times for each start, in hubs of thousands.
        """
        return Usage(tuple(use for (_, server), use in self._of((user,), user.name) if server != without))

    def accelerators(self, leaving_out: tuple[str, str] | None = None) -> dict[str, int]:
        """Units in use on each pool, of everybody, save the server ``leaving_out`` (user, server)."""
        units: Counter[str] = Counter()
        for key, use in self._all():
            if key != leaving_out:
                units[use.pool] += use.accelerators
        return dict(units)

    def devices(self) -> dict[str, int]:
        """How many running servers use each accelerator of this machine."""
        running = (getattr(spawner, "running", None) for user in list(self._users().values()) for spawner in user.spawners.values())
        return dict(Counter(device for each in running if each is not None for device in each.devices))

    def _all(self) -> Iterator[tuple[tuple[str, str], Use]]:
        return self._of(self._users().values())

    def _of(self, users: Iterable[Any], holder: str | None = None) -> Iterator[tuple[tuple[str, str], Use]]:
        """What these users run, and what is held for ``holder`` (``None``: for anybody)."""
        counted = set()
        for user in list(users):
            for server, spawner in user.spawners.items():
                running = getattr(spawner, "running", None)
                if spawner.active and running is not None:
                    counted.add((user.name, server))
                    yield (user.name, server), running.use
                elif spawner.active and (user.name, server) not in self._held:
                    # started by something that has no choice yet: it is a server all the same
                    counted.add((user.name, server))
                    yield (user.name, server), Use("server", server)
        for key, use in self._held.items():
            if key not in counted and holder in (None, key[0]):
                yield key, use
