"""What an analyst asks for, read into one frozen record: the arguments of `afkit.cluster`, checked one by one.

Nothing here knows limits: whether it is granted is decided in `afkit.session.sizing`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from afkit.errors import MalformedError, UnknownChoiceError
from afkit.names import is_name, near
from afkit.quantities import QuantityError, parse_cpu, parse_duration, parse_memory

__all__ = ["Group", "Request", "Wanted", "parse_request", "parse_workers"]

MAIN = "default"
"""Name of the group that the arguments of `afkit.cluster` themselves describe."""

_LIVES = ("kernel", "server", "detached")


@dataclass(frozen=True, slots=True)
class Group:
    """A group of equal workers in a mixed cluster. What is left out is taken from the arguments of `afkit.cluster`.

    ``workers``: a number, or ``(low, high)``; ``cores``: a number or Kubernetes text; ``memory``: bytes or text (``2GiB``); ``gpus``:
    GPUs of each worker; ``pool``: a node pool; ``tags``: further Dask resources, a mapping of name → amount, or names (each of 1).
    """

    workers: int | tuple[int, int] | None = None
    cores: float | str | None = None
    memory: int | str | None = None
    gpus: int | None = None
    pool: str | None = None
    tags: Mapping[str, float] | Iterable[str] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One group as asked for. ``low`` and ``high`` are ``None`` when the number was left out; so are millicores and bytes."""

    name: str
    low: int | None
    high: int | None
    cores: int | None
    memory: int | None
    gpus: int
    pool: str | None
    tags: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """All arguments of one call, checked. Times in seconds; ``idle`` is ``None`` for never."""

    groups: tuple[Wanted, ...]
    image: str | None
    cvmfs: tuple[str, ...]
    python: str | None
    env: Mapping[str, str]
    where: str
    idle: float | None
    life: str
    wait: float
    timeout: float
    name: str | None


def parse_request(raw: Mapping[str, Any]) -> Request:
    """Check the arguments of `afkit.cluster`. Raises `MalformedError` or `UnknownChoiceError` with the argument as ``field``."""
    groups = _groups(raw)
    life = raw["life"]
    if life not in _LIVES:
        raise UnknownChoiceError(f"There is no life {life!r}.", _nearest(str(life), _LIVES), field="life")
    wait = raw["wait"]
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= 1:
        raise MalformedError(f"wait={wait!r} is no part of the workers.", "Write a number from 0 to 1.", field="wait")
    timeout = _seconds(raw["timeout"], "timeout")
    if timeout is None:
        raise MalformedError("Starting a cluster always has a deadline.", 'Write a time, for instance timeout="5m".', field="timeout")
    return Request(
        groups=groups,
        image=_text(raw["image"], "image"),
        cvmfs=_repositories(raw["cvmfs"]),
        python=_text(raw["python"], "python"),
        env=_environment(raw["env"]),
        where=_where(raw["where"]),
        idle=_seconds(raw["idle"], "idle"),
        life=life,
        wait=float(wait),
        timeout=timeout,
        name=_name(raw["name"]),
    )


def parse_workers(value: object, what: str = "workers") -> tuple[int | None, int | None]:
    """``(low, high)`` of a number of workers or a pair; ``(None, None)`` for ``None``."""
    if value is None:
        return None, None
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(end, int) and not isinstance(end, bool) and end >= 0 for end in pair):
        raise MalformedError(f"{what}={value!r} is no number of workers.", "Write a whole number, or (low, high).", field=what)
    low, high = pair
    if low > high:
        raise MalformedError(f"{what}={value!r} has its larger end first.", f"Write ({high}, {low}).", field=what)
    return low, high


def _groups(raw: Mapping[str, Any]) -> tuple[Wanted, ...]:
    main = Group(raw["workers"], raw["cores"], raw["memory"], raw["gpus"], raw["pool"])
    written = raw["groups"]
    if written is None:
        return (_wanted(MAIN, main, Group()),)
    if not isinstance(written, Mapping) or not written:
        raise MalformedError("groups has to map names to afkit.Group.", 'Write groups={"gpu": afkit.Group(gpus=1)}.', field="groups")
    found = [] if main.workers is None else [_wanted(MAIN, main, Group())]
    if found and MAIN in written:
        raise MalformedError(f"The group {MAIN!r} is described twice.", "Leave workers out, or name the group otherwise.", field="groups")
    return (*found, *(_named(name, group, main) for name, group in written.items()))


def _named(name: object, group: object, main: Group) -> Wanted:
    if not isinstance(name, str) or not is_name(name):
        raise MalformedError(
            f"{name!r} cannot be the name of a group.", "Use lower-case letters, digits and dashes, at most 40.", field="groups"
        )
    if not isinstance(group, Group):
        raise MalformedError(f"The group {name!r} is no afkit.Group.", f'Write groups={{"{name}": afkit.Group(…)}}.', field="groups")
    return _wanted(name, group, main)


def _wanted(name: str, group: Group, rest: Group) -> Wanted:
    low, high = parse_workers(group.workers)
    if high == 0:
        raise MalformedError("A cluster has at least one worker.", "Write (0, 1) to start with none.", field="workers")
    cores = group.cores if group.cores is not None else rest.cores
    memory = group.memory if group.memory is not None else rest.memory
    gpus: Any = group.gpus if group.gpus is not None else rest.gpus if rest.gpus is not None else 0
    if isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 0:
        raise MalformedError(f"gpus={gpus!r} is no number of GPUs.", "Write how many each worker gets: 0, 1, …", field="gpus")
    return Wanted(
        name=name,
        low=low,
        high=high,
        cores=_cores(cores),
        memory=_memory(memory),
        gpus=gpus,
        pool=_text(group.pool if group.pool is not None else rest.pool, "pool"),
        tags=_tags(group.tags),
    )


def _cores(value: object) -> int | None:
    if value is None:
        return None
    try:
        found = parse_cpu(value)
    except QuantityError as error:
        raise MalformedError(f"cores: {error.message}.", error.hint, field="cores") from error
    if found == 0:
        raise MalformedError("A worker needs some part of a core.", "Write cores=1.", field="cores")
    return found


def _memory(value: object) -> int | None:
    if value is None:
        return None
    try:
        # dask writes GiB and GB where Kubernetes writes Gi and G; both mean the same here
        found = parse_memory(re.sub(r"(?<=[KMGTPEkmgtpe0-9i])B$", "", value) if isinstance(value, str) else value)
    except QuantityError as error:
        raise MalformedError(f"memory: {error.message}.", "Write memory=2GiB as text, or bytes.", field="memory") from error
    if found == 0:
        raise MalformedError("A worker needs some memory.", 'Write memory="2GiB".', field="memory")
    return found


def _tags(value: Mapping[str, float] | Iterable[str] | None) -> dict[str, float]:
    if value is None:
        return {}
    if isinstance(value, str):
        value = [value]
    try:
        found = dict(value) if isinstance(value, Mapping) else dict.fromkeys(value, 1.0)
    except TypeError:
        found = {"": 0.0}
    if not all(_is_tag(name, amount) for name, amount in found.items()):
        raise MalformedError(f"tags={value!r} are no Dask resources.", 'Write tags={"NAME": 1}.', field="tags")
    return {name: float(amount) for name, amount in found.items()}


def _is_tag(name: object, amount: object) -> bool:
    return isinstance(name, str) and bool(name) and _is_positive(amount)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _seconds(value: object, what: str) -> float | None:
    if value is None or value == "none":
        return None
    if isinstance(value, int | float) and _is_positive(value):
        return float(value)
    try:
        found = parse_duration(value) if isinstance(value, str) else 0
    except QuantityError:
        found = 0
    if not found:
        raise MalformedError(f"{what}={value!r} is no time.", f'Write seconds, or text such as {what}="30m".', field=what)
    return float(found)


def _text(value: object, what: str) -> str | None:
    if value is None:
        return None
    if not hasattr(value, "__fspath__") and not isinstance(value, str):
        raise MalformedError(f"{what} has to be text.", "", field=what)
    text = str(value)
    if not text or "\0" in text:
        raise MalformedError(f"{what}={text!r} says nothing.", "Leave it out.", field=what)
    return text


def _repositories(value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable):
        raise MalformedError(f"cvmfs={value!r} is no list of repositories.", 'Write cvmfs=["cms.cern.ch"].', field="cvmfs")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,126}", name, re.ASCII):
            raise MalformedError(f"{name!r} is no CVMFS repository.", 'Write its full name, "cms.cern.ch".', field="cvmfs")
    return found


def _environment(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedError("env has to map names to text.", 'Write env={"NAME": "value"}.', field="env")
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise MalformedError(f"{name!r} cannot be the name of an environment variable.", "", field="env")
        if not isinstance(text, str) or "\0" in text:
            # the value may be a secret: it is not shown
            raise MalformedError(f"The value of {name} in env has to be text.", f'Write env={{"{name}": "…"}}.', field="env")
    return dict(value)


def _where(value: object) -> str:
    words = ("auto", "local", "facility")
    if isinstance(value, str) and (value in words or "://" in value):
        return value
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.\[\]-]+:[0-9]+|\[[0-9a-fA-F:]+\]:[0-9]+", value):
        return f"tcp://{value}"
    raise UnknownChoiceError(
        f"There is no place {value!r}.", _nearest(str(value), words) + " Or write a scheduler's address.", field="where"
    )


def _name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_name(value):
        raise MalformedError(f"{value!r} cannot be a name.", "Use lower-case letters, digits and dashes, at most 40.", field="name")
    return value


def _nearest(value: str, known: tuple[str, ...]) -> str:
    found = near(value, known)
    return f"Did you mean {found[0]!r}?" if found else f"Write one of: {', '.join(known)}."
