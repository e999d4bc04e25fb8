"""What the facility's Dask service answers, read into frozen records. Pure.

What is missing or of another kind is a `PlatformError`: the service is of another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from afkit.errors import PlatformError
from afkit.session.sizing import Sized

__all__ = ["Access", "Capacity", "Cause", "Numbers", "State", "unreadable"]


def unreadable(what: str) -> PlatformError:
    """The error for an answer that is not understood; ``what`` names its part."""
    return PlatformError(
        f"The facility's Dask service answers what this version of afkit cannot read ({what}).",
        "Start a server with the facility's newest image, or tell its support.",
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a scheduler or workers are not there yet. ``hopeless``: it does not get better by itself."""

    what: str
    group: str | None
    name: str
    state: str
    message: str
    hint: str
    hopeless: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many workers a group should have now, how many pods there are, and how many work."""

    wanted: int
    pods: int
    ready: int


@dataclass(frozen=True, slots=True)
class State:
    """A cluster of the facility. ``phase``: ``starting``, ``running``, ``ending``, ``ended``, ``failed``. Times in seconds since 1970.

    ``ended`` is why it has ended, and ``hint`` what to do; both empty while it lives. ``low`` and ``high`` of a group differ where it
    follows its load. ``objects`` is what a dry run would make, ``expected`` in how many seconds it would be ready.
    """

    name: str
    id: str
    version: int
    phase: str
    ended: str
    hint: str
    why: str
    address: str
    dashboard: str
    image: str
    python: str
    life: str
    idle: float | None
    made: float
    ends: float | None
    groups: tuple[Sized, ...]
    numbers: Mapping[str, Numbers]
    pools: Mapping[str, str]
    waiting: tuple[Cause, ...]
    notes: tuple[str, ...]
    objects: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    expected: float | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended, or ends."""
        return self.phase in ("ending", "ended", "failed")

    @property
    def adaptive(self) -> tuple[int, int] | None:
        """The numbers between which the first group that follows its load may be."""
        return next(((group.low, group.high) for group in self.groups if group.adaptive), None)

    @classmethod
    def read(cls, raw: object) -> State:
        """Of the JSON of one cluster."""
        answer = _Reader(raw, "cluster")
        ended = _Reader(answer.get("ended", dict, {}), "ended")
        groups = [_Reader(one, "group") for one in answer.get("groups", list, [])]
        return cls(
            name=answer.text("name"),
            id=answer.text("id", ""),
            version=answer.whole("version", 0),
            phase=answer.text("phase", "starting"),
            ended=ended.text("message", ""),
            hint=ended.text("hint", ""),
            why=answer.text("why", ""),
            address=answer.text("address", ""),
            dashboard=answer.text("dashboard", ""),
            image=answer.text("image", ""),
            python=answer.text("python", ""),
            life=answer.text("life", ""),
            idle=answer.number("idle"),
            made=answer.number("made") or 0.0,
            ends=answer.number("ends"),
            groups=tuple(map(_sized, groups)),
            numbers={one.text("name"): _numbers(one) for one in groups},
            pools={one.text("name"): one.text("pool", "") for one in groups},
            waiting=tuple(_cause(_Reader(one, "waiting")) for one in answer.get("waiting", list, [])),
            notes=tuple(str(note) for note in answer.get("notes", list, [])),
            objects=tuple(one for one in answer.get("objects", list, []) if isinstance(one, dict)),
            expected=answer.number("expected_s"),
        )


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached: its addresses, and certificates as PEM text. Of no use to anybody but its owner, so never shown."""

    name: str
    id: str
    address: str
    dashboard: str
    ca: str = field(repr=False)
    certificate: str = field(repr=False)
    key: str = field(repr=False)

    @classmethod
    def read(cls, raw: object) -> Access:
        """Of the JSON."""
        answer = _Reader(raw, "access")
        return cls(
            name=answer.text("name"),
            id=answer.text("id", ""),
            address=answer.text("address"),
            dashboard=answer.text("dashboard", ""),
            ca=answer.text("ca"),
            certificate=answer.text("certificate"),
            key=answer.text("key"),
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is free in each pool (``None``: unknown), and what the person's limits leave (``None``: no limit)."""

    free: Mapping[str, Mapping[str, int] | None]
    left: Mapping[str, Any]

    @classmethod
    def read(cls, raw: object) -> Capacity:
        """Of the JSON."""
        answer = _Reader(raw, "capacity")
        pools = answer.get("pools", dict, {})
        free = {str(name): _Reader(pool, "pool").get("free", dict, None) for name, pool in pools.items()}
        return cls(free, answer.get("left", dict, {}))


class _Reader:
    """One JSON object; a value of another kind is `unreadable`, ``null`` is left out."""

    def __init__(self, raw: object, what: str) -> None:
        if not isinstance(raw, dict):
            raise unreadable(what)
        self._raw = raw
        self._what = what

    def get(self, key: str, kind: type, absent: Any) -> Any:
        value = self._raw.get(key)
        if value is None:
            return absent
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise unreadable(f"{self._what}.{key}")
        return value

    def text(self, key: str, absent: str | None = None) -> str:
        value = self.get(key, str, absent)
        if value is None:
            raise unreadable(f"{self._what}.{key}")
        return str(value)

    def whole(self, key: str, absent: int) -> int:
        return int(self.get(key, int, absent))

    def number(self, key: str) -> float | None:
        value = self._raw.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise unreadable(f"{self._what}.{key}")
        return float(value)


def _sized(group: _Reader) -> Sized:
    resources = group.get("resources", dict, {})
    return Sized(
        name=group.text("name"),
        low=group.whole("low", 0),
        high=group.whole("high", 0),
        millicores=group.whole("cores", 1000),
        threads=group.whole("threads", 1),
        memory=group.whole("memory", 0),
        gpus=group.whole("gpus", 0),
        resources={str(name): float(amount) for name, amount in resources.items() if isinstance(amount, int | float)},
    )


def _numbers(group: _Reader) -> Numbers:
    return Numbers(group.whole("wanted", 0), group.whole("pods", 0), group.whole("ready", 0))


def _cause(one: _Reader) -> Cause:
    return Cause(
        what=one.text("what", ""),
        group=one.get("group", str, None),
        name=one.text("name", ""),
        state=one.text("state", ""),
        message=one.text("message", ""),
        hint=one.text("hint", ""),
        hopeless=bool(one.get("hopeless", bool, False)),
    )
