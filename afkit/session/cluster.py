"""`afkit.cluster`: one call that gives an analyst a Dask cluster, the same in a notebook, a script, a laptop and a facility."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afkit.errors import IncompatibleError, PlatformError, RequestError, UnknownChoiceError
from afkit.names import near
from afkit.session import address, elsewhere, registry
from afkit.session.groups import Group, Request, parse_request
from afkit.session.left import Held
from afkit.session.plan import Plan, Surroundings, decide, examine
from afkit.session.sizing import total
from afkit.session.terms import Terms, read_terms

if TYPE_CHECKING:
    from afkit.session.base import AfkitCluster

__all__ = ["ClusterInfo", "Group", "cluster", "clusters", "connect", "plan", "unknown"]


def cluster(
    workers: int | tuple[int, int] | None = None,
    cores: float | str | None = None,
    memory: int | str | None = None,
    gpus: int = 0,
    pool: str | None = None,
    image: str | None = None,
    cvmfs: Iterable[str] = (),
    groups: Mapping[str, Group] | None = None,
    python: str | None = None,
    env: Mapping[str, str] | None = None,
    where: str = "auto",
    idle: str | float | None = "30m",
    life: str = "kernel",
    wait: float = 0.3,
    timeout: str | float = "5m",
    name: str | None = None,
    *,
    asynchronous: bool = False,
) -> AfkitCluster:
    """Start a Dask cluster and return it when enough of its workers are ready.

    ``workers``, ``cores`` and ``memory`` (of each worker) left out are 4, 1 and 2GiB, or less where the session leaves less; what is
    written and is more than that is a `LimitExceededError`. ``workers=(low, high)`` follows the load. ``gpus`` are each worker's.
    ``groups`` makes mixed clusters. ``idle`` closes the cluster after that time without work (``None``: never). ``wait`` is the part of
    the workers that has to be ready, ``timeout`` the deadline of the whole call. ``where``: ``auto``, ``local``, ``facility`` or a
    scheduler's address. ``env`` is added to the workers' environment; this process's own is not copied.

    With ``asynchronous`` nothing blocks: the result is awaited, or entered with ``async with``.

    Raises a `RequestError` for what is refused, `DaskStartError` or `DeadlineError` when it does not start; nothing is then left behind.
    """
    raw = dict(locals())
    deadline_from = time.monotonic()
    request = parse_request(raw)
    terms = _terms(request)
    deadline = deadline_from + request.timeout
    around = examine(request, terms, _foreign(request))
    if around.where == "facility":
        return elsewhere.make(request, terms, around, deadline, asynchronous)
    planned, entry = _reserve(request, terms, around)
    if entry is None:
        return _connected(planned.where, planned.where, planned.why, deadline, None, asynchronous)
    return _local(planned, terms, entry, deadline, asynchronous)


def plan(**arguments: Any) -> Plan:
    """What `cluster` would do with the same arguments, without doing it: a record that prints itself.

    A refusal is not raised: it is the plan's ``refusal``. Unknown arguments are a `TypeError`.
    """
    unknown = sorted(set(arguments) - set(_DEFAULTS))
    if unknown:
        raise TypeError(f"plan() got an unexpected keyword argument {unknown[0]!r}")
    try:
        request = parse_request(_DEFAULTS | arguments)
        terms = _terms(request)
        around = examine(request, terms, _foreign(request))
        if around.where == "facility":
            return elsewhere.plan(request, terms, around)
        return decide(request, terms, _held(terms.session), around)
    except (RequestError, PlatformError) as error:
        return Plan(where="", why="", refusal=error)


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """A live cluster of this user: on this machine, or one of the facility's (then ``pid`` is 0).

    ``cores`` and ``memory`` (bytes) are those of the workers that run now.
    """

    name: str
    workers: int
    cores: float
    memory: int
    adaptive: tuple[int, int] | None
    scheduler: str
    pid: int
    id: str

    def connect(self) -> AfkitCluster:
        """The cluster itself; see `afkit.connect`."""
        return connect(self.name)

    def shutdown(self) -> None:
        """End the cluster, for everybody who uses it."""
        made = _own(self.id)
        if made is not None:
            made.shutdown()
            return
        entry = next((entry for entry in registry.entries() if entry.id == self.id), None)
        if entry is not None:
            registry.call(entry, "close")
        elif not self.pid:
            elsewhere.end(self.name, self.id)


def clusters() -> list[ClusterInfo]:
    """The live clusters of this user, oldest first: those on this machine, then those of the facility that this session belongs to."""
    here = [
        ClusterInfo(entry.name, entry.workers, entry.cores / 1000, entry.memory, entry.adaptive, entry.scheduler, entry.pid, entry.id)
        for entry in registry.entries()
    ]
    return [*here, *(ClusterInfo(*fields) for fields in elsewhere.listed())]


def connect(name: str, timeout: str | float = "30s", *, asynchronous: bool = False) -> AfkitCluster:
    """A live cluster by its name: the object itself in the process that made it, else a connection to it.

    Closing a connection leaves the cluster as it is; its ``shutdown()`` ends it. Raises `UnknownChoiceError` for a name that there is not.
    """
    deadline = time.monotonic() + parse_request(_DEFAULTS | {"timeout": timeout}).timeout
    found = registry.entries()
    mine = read_session()
    entry = next((entry for entry in sorted(found, key=lambda entry: entry.session != mine) if entry.name == name), None)
    if entry is None:
        return _in_the_facility(name, [entry.name for entry in found], deadline, asynchronous)
    made = _own(entry.id)
    if made is not None:
        return made
    return _connected(entry.scheduler, name, f"Connected to the cluster {name!r} of process {entry.pid}.", deadline, entry, asynchronous)


def _in_the_facility(name: str, others: list[str], deadline: float, asynchronous: bool) -> AfkitCluster:
    known = elsewhere.states(deadline)
    state = next((state for state in known if state.name == name), None)
    if state is None:
        raise unknown(name, others + [state.name for state in known])
    return _own(state.id) or elsewhere.connect(state, deadline, asynchronous)


def unknown(name: str, known: list[str]) -> UnknownChoiceError:
    """The refusal of a name; ``known`` are those that there are."""
    close = near(name, known)
    others = f"There are: {', '.join(known)}." if known else "There is none."
    return UnknownChoiceError(f"There is no cluster {name!r}.", f"Did you mean {close[0]!r}?" if close else others, field="name")


def read_session() -> str:
    """The key of this process's session."""
    from afkit.session.terms import session_key

    return session_key(os.environ)


def _foreign(request: Request) -> str | None:
    return address.foreign() if request.where == "auto" else None


def _terms(request: Request) -> Terms:
    """The session's terms. To connect to an address takes nothing of them."""
    return Terms(0, 0, (), "", "", "") if "://" in request.where else read_terms()


def _reserve(request: Request, terms: Terms, around: Surroundings) -> tuple[Plan, registry.Entry | None]:
    """Decide, and take what was decided out of what is left, in one step; no entry for a cluster that exists already."""
    with registry.lock():
        planned = decide(request, terms, _held(terms.session), around)
        if planned.where != "local":
            return planned, None
        names = {entry.name for entry in registry.entries(starting=True) if entry.session == terms.session}
        if planned.name in names:
            raise IncompatibleError(
                f"There is a cluster {planned.name!r} already.",
                f'Use it: afkit.connect("{planned.name}"), or leave name out.',
                field="name",
            )
        entry = _entry(planned, terms.session)
        # a runtime folder that cannot be written hides the cluster from the sidebar, no more
        with suppress(OSError, PlatformError):
            registry.write(entry)
    return planned, entry


def _local(planned: Plan, terms: Terms, entry: registry.Entry, deadline: float, asynchronous: bool) -> AfkitCluster:
    crew = None
    try:
        from afkit.session.workers import Crew

        crew = Crew(planned, registry.folder() / f"{entry.id}.json", entry.held.gpus, hide_gpus=bool(terms.gpus))
        crew.launch()
        # the workers import Dask while this process does
        from afkit.session.local import AfkitLocalCluster

        made = AfkitLocalCluster(planned, terms, crew, entry, deadline)
    except BaseException:
        registry.remove(entry.id)
        if crew is not None:
            crew.guardian.close(grace=0)
        raise
    if not asynchronous:
        made.start()
    return made


def _connected(scheduler: str, name: str, why: str, deadline: float, entry: registry.Entry | None, asynchronous: bool) -> AfkitCluster:
    from afkit.session.remote import AfkitConnectedCluster

    made = AfkitConnectedCluster(scheduler, name, why, deadline, entry)
    if not asynchronous:
        made.start()
    return made


def _held(session: str) -> list[Held]:
    return [entry.held for entry in registry.entries(starting=True) if entry.session == session]


def _own(identifier: str) -> AfkitCluster | None:
    from afkit.session import live

    return live.named(identifier)


def _entry(planned: Plan, session: str) -> registry.Entry:
    identifier = str(uuid.uuid4())
    name = planned.name or f"cluster-{identifier[:6]}"
    return registry.Entry(
        id=identifier,
        name=name,
        pid=os.getpid(),
        started=registry.process_start(os.getpid()),
        host=socket.gethostname(),
        session=session,
        made=time.time(),
        held=total(name, ((group, group.high) for group in planned.groups), planned.left.gpus if planned.left else ()),
        groups=tuple(group.name for group in planned.groups),
    )


_ARGUMENTS = cluster.__code__.co_varnames[: cluster.__code__.co_argcount]
_DEFAULTS: dict[str, Any] = dict(zip(_ARGUMENTS, cluster.__defaults__ or (), strict=True))
