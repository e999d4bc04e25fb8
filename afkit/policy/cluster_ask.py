"""What a session asks of the Dask service, read into frozen records: the first thing that looks at a body. Pure.

Amounts are whole millicores, bytes and seconds. Whether anything of it is granted is decided in `afkit.policy.cluster`.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from afkit.errors import MalformedError, UnknownOptionError
from afkit.facility.edge.layer import is_reserved
from afkit.names import is_name, near
from afkit.policy.references import is_reference, is_typed
from afkit.policy.text import quoted
from afkit.quantities import UNSET, Unset

__all__ = ["MOST_WORKERS", "ClusterAsk", "GroupAsk", "GroupNumbers", "Life", "parse_cluster", "parse_numbers"]

Life = Literal["kernel", "server", "detached"]
LIVES: Final = ("kernel", "server", "detached")
MOST_WORKERS: Final = 10_000
_MOST_GROUPS: Final = 16
_MOST_LIST: Final = 32
_LONGEST_LABEL: Final = 63
_LONGEST_TEXT: Final = 1024
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CLIENT: Final = re.compile(r"afkit-[0-9A-Za-z-]{1,64}")
_VERSION: Final = re.compile(r"[0-9A-Za-z.+!_-]{1,64}")
_TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OURS: Final = ("DASK_SCHEDULER_ADDRESS", "DASK_WORKER_NAME", "DASK_INTERNAL_INHERIT_CONFIG")
_OURS_START: Final = ("DASK_DISTRIBUTED__COMM__",)


@dataclass(frozen=True, slots=True)
class GroupNumbers:
    """How many workers a group is to have: a number (``low`` is ``high``), or as its load wants between the two."""

    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class GroupAsk:
    """One group as asked for. ``None``: left out."""

    name: str
    low: int | None = None
    high: int | None = None
    cores: int | None = None
    memory: int | None = None
    gpus: int = 0
    pool: str | None = None
    tags: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterAsk:
    """One cluster as asked for. ``idle``: seconds, ``None`` for never, ``UNSET``: as the facility has it.

    ``id`` is of the call: the same name and id are the same cluster. ``client`` is the name of the Dask client that made it,
    ``versions`` those of its packages. ``server`` is the name of the server that asks.
    """

    name: str
    id: str
    groups: tuple[GroupAsk, ...]
    image: str | None = None
    cvmfs: tuple[str, ...] = ()
    python: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    life: Life = "kernel"
    idle: int | Unset | None = UNSET
    server: str = ""
    client: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


_KEYS: Final = ("name", "id", "groups", "image", "cvmfs", "python", "env", "life", "idle", "server", "client", "dry_run")
_GROUP_KEYS: Final = ("name", "low", "high", "cores", "memory", "gpus", "pool", "tags")


def parse_cluster(raw: object) -> ClusterAsk:
    """The body of ``POST clusters``. Raises `MalformedError` with the key that is at fault, and nothing else, whatever ``raw`` is."""
    body = _object(raw, "A request for a cluster", _KEYS)
    name = _name(body.get("name"), "name")
    made = ClusterAsk(
        name=name,
        id=_matching(body.get("id"), _ID, "id", "a UUID in lower case"),
        groups=_groups(body.get("groups"), name),
        image=_image(body.get("image")),
        cvmfs=_repositories(body.get("cvmfs", [])),
        python=_python(body.get("python")),
        env=_environment(body.get("env", {})),
        life=_life(body.get("life", "kernel")),
        idle=_seconds(body["idle"]) if "idle" in body else UNSET,
        server=_text(body.get("server", ""), "server", empty=True),
        **_client(body.get("client")),
        dry_run=_boolean(body.get("dry_run", False), "dry_run"),
    )
    if made.life == "kernel" and not made.client:
        raise MalformedError("A cluster of a kernel's life needs the name of its client.", "Send client.name.", field="client")
    return made


def parse_numbers(raw: object) -> tuple[GroupNumbers, ...]:
    """The body of ``PATCH clusters/NAME``: ``{"groups": [{"name", "low", "high"}]}``."""
    body = _object(raw, "A change of a cluster", ("groups",))
    found = []
    for one in _list(body.get("groups"), "groups", _MOST_GROUPS):
        group = _object(one, "A group", ("name", "low", "high"))
        low, high = _pair(group.get("low"), group.get("high"))
        if low is None or high is None:
            raise MalformedError("A change says low and high.", "Write the same number twice for a fixed number.", field="workers")
        found.append(GroupNumbers(_name(group.get("name"), "groups"), low, high))
    if not found or len({one.name for one in found}) < len(found):
        raise MalformedError("A change names each group once, and at least one.", "", field="groups")
    return tuple(found)


def _groups(value: object, name: str) -> tuple[GroupAsk, ...]:
    groups = tuple(_group(one, name) for one in _list(value, "groups", _MOST_GROUPS))
    if not groups:
        raise MalformedError("A cluster has at least one group of workers.", "", field="groups")
    if len({group.name for group in groups}) < len(groups):
        raise MalformedError("Two groups have the same name.", "Give each its own.", field="groups")
    return groups


def _group(value: object, cluster: str) -> GroupAsk:
    group = _object(value, "A group", _GROUP_KEYS)
    name = _name(group.get("name"), "groups")
    if len(cluster) + 1 + len(name) > _LONGEST_LABEL:
        raise MalformedError(
            f"The names {quoted(cluster)} and {quoted(name)} are together longer than Kubernetes takes.",
            f"Together they may have {_LONGEST_LABEL - 1} characters.",
            field="name",
        )
    low, high = _pair(group.get("low"), group.get("high"))
    if high == 0:
        raise MalformedError("A group has at least one worker.", "Write (0, 1) to start with none.", field="workers")
    return GroupAsk(
        name=name,
        low=low,
        high=high,
        cores=_amount(group.get("cores"), "cores", "whole millicores"),
        memory=_amount(group.get("memory"), "memory", "whole bytes"),
        gpus=_whole(group.get("gpus", 0), "gpus", 1024),
        pool=None if group.get("pool") is None else _text(group["pool"], "pool"),
        tags=_tags(group.get("tags", {})),
    )


def _pair(low: object, high: object) -> tuple[int | None, int | None]:
    if high is None and low is None:
        return None, None
    pair = _whole(high if low is None else low, "workers", MOST_WORKERS), _whole(high, "workers", MOST_WORKERS)
    if pair[0] > pair[1]:
        raise MalformedError(f"workers={pair!r} has its larger end first.", f"Write ({pair[1]}, {pair[0]}).", field="workers")
    return pair


def _object(value: object, what: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise MalformedError(f"{what} is an object.", f"Its keys are {', '.join(keys)}.")
    unknown = sorted(value.keys() - set(keys))
    if unknown:
        close = near(unknown[0], keys)
        hint = f"Did you mean {close[0]!r}?" if close else f"Its keys are {', '.join(keys)}."
        raise UnknownOptionError(f"{what} has no {quoted(unknown[0])}.", hint, field=unknown[0][:80])
    return value


def _list(value: object, key: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise MalformedError(f"{key} is a list of at most {most}.", "", field=key)
    return value


def _text(value: object, key: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value or not (value or empty):
        raise MalformedError(f"{key} is a text of at most {_LONGEST_TEXT} characters.", "", field=key)
    return value


def _name(value: object, key: str) -> str:
    if not isinstance(value, str) or not is_name(value):
        shown = quoted(value) if isinstance(value, str) else "This"
        raise MalformedError(f"{shown} cannot be a name.", "Use lower-case letters, digits and dashes, at most 40.", field=key)
    return value


def _matching(value: object, pattern: re.Pattern[str], key: str, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MalformedError(f"{key} is {what}.", "", field=key)
    return value


def _whole(value: object, key: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise MalformedError(f"{key} is a whole number from 0 to {most}.", "", field=key)
    return value


def _amount(value: object, key: str, what: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**62:
        raise MalformedError(f"{key} is a number of {what}, more than 0.", "", field=key)
    return value


def _seconds(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value < 2**31:
        raise MalformedError("idle is a number of seconds, or null for never.", "", field="idle")
    return math.ceil(value)


def _boolean(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedError(f"{key} is true or false.", "", field=key)
    return value


def _life(value: object) -> Life:
    if value not in LIVES:
        raise MalformedError("There is no such life of a cluster.", f"Write one of: {', '.join(LIVES)}.", field="life")
    return value


def _image(value: object) -> str | None:
    if value is None:
        return None
    image = _text(value, "image")
    if is_typed(image) and not is_reference(image):
        hint = "Write it as registry.example.org/group/name:tag, or choose a name."
        raise MalformedError(f"{quoted(image)} is no image reference.", hint, field="image")
    return image


def _python(value: object) -> str | None:
    if value is None:
        return None
    path = _text(value, "python")
    if not path.startswith("/") or posixpath.normpath(path) != path or not path.isprintable() or path.startswith("//"):
        raise MalformedError(f"{quoted(path)} is no path of an interpreter.", "Write it from / on, without . and ..", field="python")
    return path


def _repositories(value: object) -> tuple[str, ...]:
    names = _list(value, "cvmfs", _MOST_LIST)
    return tuple(dict.fromkeys(_text(one, "cvmfs") for one in names))


def _tags(value: object) -> Mapping[str, float]:
    made = {}
    for name, amount in _pairs(value, "tags", _MOST_LIST, lambda name: _TAG.fullmatch(name) is not None):
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not math.isfinite(amount) or not 0 < amount <= 1e9:
            raise MalformedError(f"The tag {name} has no amount.", 'Write tags={"NAME": 1}.', field="tags")
        made[name] = float(amount)
    return made


def _environment(value: object) -> Mapping[str, str]:
    made = {}
    for name, text in _pairs(value, "env", 256, lambda name: _VARIABLE.fullmatch(name) is not None):
        if is_reserved(name) or name in _OURS or name.startswith(_OURS_START):
            raise MalformedError(f"The facility sets {name} itself.", "Leave it out of env.", field="env")
        if not isinstance(text, str) or "\0" in text or not _is_unicode(text):
            # the value may be a secret: it is not shown
            raise MalformedError(f"The value of {name} in env has to be text.", f'Write env={{"{name}": "…"}}.', field="env")
        made[name] = text
    return made


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _pairs(value: object, key: str, most: int, right: Callable[[str], bool]) -> list[tuple[str, Any]]:
    """The items of an object whose keys are all of the right form."""
    if not isinstance(value, Mapping) or len(value) > most:
        raise MalformedError(f"{key} is an object of at most {most} names.", "", field=key)
    wrong = next((name for name in value if not right(name)), None)
    if wrong is not None:
        raise MalformedError(f"{quoted(wrong)} cannot be a name in {key}.", "", field=key)
    return list(value.items())


def _client(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    body = _object(value, "client", ("name", "versions"))
    name = _matching(body.get("name"), _CLIENT, "client", "an object with a name like afkit-UUID")
    known = _pairs(body.get("versions", {}), "client", 64, lambda name: re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", name) is not None)
    return {"client": name, "versions": {key: _matching(one, _VERSION, "client", "an object with versions as text") for key, one in known}}
