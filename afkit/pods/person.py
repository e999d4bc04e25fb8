"""Whose a Pod is: where their objects are, and the ids that their containers run as. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import IdentityError, NotEntitledError
from afkit.facility.model import Facility
from afkit.names import HUB_ISSUER, LOCAL_ISSUER, owner, user_namespace
from afkit.pods.placeholders import Names
from afkit.policy.ids import Ids, ids_of, run_as_of
from afkit.policy.model import Entitlements, Identity

__all__ = ["Person", "claims_named", "namespace_of", "person_of"]

_USUAL: Final = Ids()
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
    uid: int = _USUAL.uid
    gid: int = _USUAL.gid
    fs_gid: int | None = _USUAL.fs_gid
    groups: tuple[int, ...] = _USUAL.groups
    root: bool = _USUAL.root
    facility_groups: frozenset[str] = frozenset()

    def names(self, server: str = "") -> Names:
        """What the placeholders stand for in this person's server of that name."""
        return Names(self.name, server, self.uid, self.gid)


def person_of(facility: Facility, identity: Identity, entitlements: Entitlements, claims: Mapping[str, Any] | None = None) -> Person:
    """The person behind a login. ``claims`` are those that ``run_as`` may name.

    Raises `NotEntitledError` where a claim is missing or is no id, and where the provider gave no key: ids are never guessed.
    """
    issuer, key = _key_of(facility, identity)
    digest = owner(facility.name, issuer, key)
    try:
        ids = ids_of(run_as_of(facility.identity, identity.issuer), claims or {})
    except IdentityError as error:
        raise NotEntitledError(error.message, error.hint) from error
    return Person(
        name=identity.name,
        issuer=issuer,
        key=key,
        owner=digest,
        namespace=namespace_of(facility, digest),
        uid=ids.uid,
        gid=ids.gid,
        fs_gid=ids.fs_gid,
        groups=ids.groups,
        root=ids.root,
        facility_groups=frozenset(entitlements.groups),
    )


def owner_of(facility: Facility, identity: Identity) -> str:
    """The owner's digest of a person. Raises `NotEntitledError` where the provider gave no key."""
    return owner(facility.name, *_key_of(facility, identity))


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


def _key_of(facility: Facility, identity: Identity) -> tuple[str, str]:
    """Issuer and key of a person. Raises `NotEntitledError` where the provider gave none."""
    issuer = _issuer(facility, identity)
    key = identity.key or (identity.name if issuer in (LOCAL_ISSUER, HUB_ISSUER) else "")
    if not key or "\0" in key:
        raise NotEntitledError("Your login has no key that tells you apart from others for ever.", _NO_CLAIM)
    return issuer, key


def _issuer(facility: Facility, identity: Identity) -> str:
    """The issuer's URL, or what stands for it."""
    found = facility.identity.issuers.get(identity.issuer) if facility.identity else None
    if found is None:
        return identity.issuer
    return HUB_ISSUER if found.dialect == "hub" else found.url or identity.issuer
