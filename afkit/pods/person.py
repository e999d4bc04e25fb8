"""Whose a Pod is: where their objects are, and the ids that their containers run as. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from afkit.errors import NotEntitledError
from afkit.facility.model import Facility, RunAs
from afkit.names import HUB_ISSUER, LOCAL_ISSUER, owner, user_namespace
from afkit.pods.placeholders import Names
from afkit.policy.model import Entitlements, Identity

__all__ = ["Person", "claims_named", "namespace_of", "person_of"]

_UID: Final = 1000
_GID: Final = 100
_MOST: Final = 2**31 - 1
_NO_CLAIM: Final = "Ask the administrators: your login has to bring this claim."


@dataclass(frozen=True, slots=True)
class Person:
    """A person as Kubernetes sees them. ``fs_gid`` is ``None`` where volumes keep their own group; ``groups`` are further ids.

    ``owner`` is the digest of issuer and key, ``namespace`` where their Pods and claims are, ``facility_groups`` are theirs in
    the facility. ``root``: the main container starts as root and drops to the ids by itself.
    """

    name: str
    issuer: str
    key: str
    owner: str
    namespace: str
    uid: int = _UID
    gid: int = _GID
    fs_gid: int | None = _GID
    groups: tuple[int, ...] = ()
    root: bool = False
    facility_groups: frozenset[str] = frozenset()

    def names(self, server: str = "") -> Names:
        """What the placeholders stand for in this person's server of that name."""
        return Names(self.name, server, self.uid, self.gid)


def person_of(facility: Facility, identity: Identity, entitlements: Entitlements, claims: Mapping[str, Any] | None = None) -> Person:
    """The person behind a login. ``claims`` are those that ``run_as`` may name.

    Raises `NotEntitledError` where a claim is missing or is no id, and where the provider gave no key: ids are never guessed.
    """
    issuer = _issuer(facility, identity)
    key = identity.key or (identity.name if issuer in (LOCAL_ISSUER, HUB_ISSUER) else "")
    if not key or "\0" in key:
        raise NotEntitledError("Your login has no key that tells you apart from others for ever.", _NO_CLAIM)
    digest = owner(facility.name, issuer, key)
    rules, known = _run_as(facility, identity), claims or {}
    return Person(
        name=identity.name,
        issuer=issuer,
        key=key,
        owner=digest,
        namespace=namespace_of(facility, digest),
        uid=_UID if rules.uid is None else _user(rules.uid, known),
        gid=_GID if rules.gid is None else _number("gid", rules.gid, known),
        fs_gid=_fs_gid(rules.fs_group, known),
        groups=_groups(rules.groups, known),
        root=bool(rules.root),
        facility_groups=frozenset(entitlements.groups),
    )


def namespace_of(facility: Facility, digest: str) -> str:
    """The namespace of the Pods of the person with this owner's digest."""
    kubernetes = facility.kubernetes
    if kubernetes is None or kubernetes.user_namespaces == "per-user":
        return user_namespace(facility.name, digest)
    return kubernetes.namespace if kubernetes.user_namespaces == "shared" else kubernetes.user_namespaces


def claims_named(facility: Facility) -> tuple[str, ...]:
    """Every claim that ``run_as`` takes an id from, of whichever issuer."""
    rules = facility.identity
    if rules is None:
        return ()
    given = [rules.run_as, *(issuer.run_as for issuer in rules.issuers.values())]
    sources = [source for one in given for source in (one.uid, one.gid, one.groups)]
    sources += [one.fs_group for one in given if one.fs_group != "none"]
    return tuple(dict.fromkeys(source for source in sources if isinstance(source, str)))


def _issuer(facility: Facility, identity: Identity) -> str:
    """The issuer's URL, or what stands for it."""
    found = facility.identity.issuers.get(identity.issuer) if facility.identity else None
    if found is None:
        return identity.issuer
    return HUB_ISSUER if found.dialect == "hub" else found.url or identity.issuer


def _run_as(facility: Facility, identity: Identity) -> RunAs:
    """The rules of the issuer, field by field over those of all."""
    rules = facility.identity
    if rules is None:
        return RunAs()
    issuer = rules.issuers.get(identity.issuer)
    if issuer is None:
        return rules.run_as
    own = {one.name: getattr(issuer.run_as, one.name) for one in fields(RunAs)}
    return RunAs(**{name: getattr(rules.run_as, name) if value is None else value for name, value in own.items()})


def _user(source: int | str, claims: Mapping[str, Any]) -> int:
    uid = _number("uid", source, claims)
    if uid == 0 and isinstance(source, str):
        raise NotEntitledError(f"The claim {source[:80]!r} of your login says user 0, and nobody runs as root here.", _NO_CLAIM)
    return uid


def _fs_gid(source: int | str | None, claims: Mapping[str, Any]) -> int | None:
    if source is None:
        return _GID
    return None if source == "none" else _number("fs_group", source, claims)


def _groups(source: tuple[int, ...] | str | None, claims: Mapping[str, Any]) -> tuple[int, ...]:
    if source is None or isinstance(source, tuple):
        return source or ()
    value = _claim("groups", source, claims)
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(dict.fromkeys(_id("groups", source, one) for one in values))


def _number(key: str, source: int | str, claims: Mapping[str, Any]) -> int:
    if isinstance(source, int):
        return source
    value = _claim(key, source, claims)
    # directories give every attribute as a list
    return _id(key, source, value[0] if isinstance(value, list | tuple) and len(value) == 1 else value)


def _claim(key: str, name: str, claims: Mapping[str, Any]) -> Any:
    value = _found(name, claims)
    if value is None:
        raise NotEntitledError(f"Your login has no claim {name[:80]!r}, from which this facility takes your {key}.", _NO_CLAIM)
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
        message = f"The claim {name[:80]!r} of your login, from which this facility takes your {key}, is no number from 0 to {_MOST}."
        raise NotEntitledError(message, _NO_CLAIM)
    return number
