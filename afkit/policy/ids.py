"""The ids that a person's containers run as: numbers of the file, or claims of a login. Pure.

Source: facility-file.md, ``run_as``. What a claim should say and does not is a refusal, never a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import IdentityError
from afkit.facility.model import IdentityRules, RunAs

__all__ = ["Ids", "ids_of", "names_claims", "run_as_of"]

_UID: Final = 1000
_GID: Final = 100
_MOST: Final = 2**31 - 1
_RESERVED: Final = frozenset({*range(100), 65534, 65535})
"""User ids that are no person's: of the operating system (below 100), "nobody", and 16 bits' "none"."""
_NO_CLAIM: Final = "Ask the administrators: your login has to bring this claim."


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of containers. ``fs_gid`` is ``None`` where volumes keep their own group; ``groups`` are further ids.

    ``root``: the main container starts as root and drops to the ids by itself.
    """

    uid: int = _UID
    gid: int = _GID
    fs_gid: int | None = _GID
    groups: tuple[int, ...] = ()
    root: bool = False


def run_as_of(rules: IdentityRules | None, issuer: str) -> RunAs:
    """The rules for people of an issuer: its own, field by field over those of all."""
    if rules is None:
        return RunAs()
    common, found = rules.run_as, rules.issuers.get(issuer)
    if found is None:
        return common
    own = found.run_as
    return RunAs(
        common.uid if own.uid is None else own.uid,
        common.gid if own.gid is None else own.gid,
        common.fs_group if own.fs_group is None else own.fs_group,
        common.groups if own.groups is None else own.groups,
        common.root if own.root is None else own.root,
    )


def names_claims(rules: RunAs) -> bool:
    """Whether an id comes from a claim, so that two people of one issuer can have different ones."""
    return any(isinstance(source, str) for source in (rules.uid, rules.gid, rules.groups)) or (
        isinstance(rules.fs_group, str) and rules.fs_group != "none"
    )


def ids_of(rules: RunAs, claims: Mapping[str, Any]) -> Ids:
    """The ids that ``rules`` give to a person with these claims.

    Raises `IdentityError` (``no-id``) where a claim is missing, is no id, or says a user that is no person.
    """
    return Ids(
        uid=_UID if rules.uid is None else _user(rules.uid, claims),
        gid=_GID if rules.gid is None else _group("gid", rules.gid, claims),
        fs_gid=_fs_gid(rules.fs_group, claims),
        groups=_groups(rules.groups, claims),
        root=bool(rules.root),
    )


def _refused(message: str) -> IdentityError:
    return IdentityError(message, _NO_CLAIM, reason="no-id")


def _user(source: int | str, claims: Mapping[str, Any]) -> int:
    uid = _number("uid", source, claims)
    if uid in _RESERVED and isinstance(source, str):
        why = "nobody runs as root here" if uid == 0 else "that is no person's"
        raise _refused(f"The claim {_shown(source)} of your login says user {uid}, and {why}.")
    return uid


def _group(what: str, source: int | str, claims: Mapping[str, Any]) -> int:
    gid = _number(what, source, claims)
    if gid == 0 and isinstance(source, str):
        raise _refused(f"The claim {_shown(source)} of your login says group 0, and nobody is in root's group here.")
    return gid


def _fs_gid(source: int | str | None, claims: Mapping[str, Any]) -> int | None:
    if source is None:
        return _GID
    return None if source == "none" else _group("fs_group", source, claims)


def _groups(source: tuple[int, ...] | str | None, claims: Mapping[str, Any]) -> tuple[int, ...]:
    if source is None or isinstance(source, tuple):
        return source or ()
    value = _claim("groups", source, claims)
    values = value if isinstance(value, list | tuple) else [value]
    found = tuple(dict.fromkeys(_id("groups", source, one) for one in values))
    if 0 in found:
        raise _refused(f"The claim {_shown(source)} of your login says group 0, and nobody is in root's group here.")
    return found


def _number(key: str, source: int | str, claims: Mapping[str, Any]) -> int:
    if isinstance(source, int):
        return source
    value = _claim(key, source, claims)
    # directories give every attribute as a list
    return _id(key, source, value[0] if isinstance(value, list | tuple) and len(value) == 1 else value)


def _claim(key: str, name: str, claims: Mapping[str, Any]) -> Any:
    value = _found(name, claims)
    if value is None:
        raise _refused(f"Your login has no claim {_shown(name)}, from which this facility takes your {key}.")
    return value


def _found(name: str, claims: Mapping[str, Any]) -> Any:
    """The claim of this name, else what its parts lead to: ``posix.uid`` is ``uid`` in the claim ``posix``.

    Names of claims have points in them themselves, so the longest first part that is there counts.
    """
    head, rest = name, ""
    while head:
        value = claims.get(head)
        if value is not None and not rest:
            return value
        if isinstance(value, Mapping):
            value = _found(rest, value)
            if value is not None:
                return value
        head, _, last = head.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
    return None


def _id(key: str, name: str, value: Any) -> int:
    """A number, or one in digits: some providers write ids as text."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_MOST)) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MOST:
        what = f"The claim {_shown(name)} of your login, from which this facility takes your {key},"
        raise _refused(f"{what} is no number from 0 to {_MOST}.")
    return number


def _shown(name: str) -> str:
    return repr(name[:80])
