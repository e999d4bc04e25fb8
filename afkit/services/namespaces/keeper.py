"""Makes what a user's namespace holds, and compares before it touches anything: what is of another owner stays as it is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from afkit.errors import KubernetesError
from afkit.facility.model import Facility
from afkit.kube.client import Kubernetes
from afkit.names import FACILITY_LABEL, OWNER_LABEL, digest, owner, user_namespace
from afkit.pods.brought import StaticVolume, named_objects
from afkit.pods.layout import Layout, section
from afkit.pods.namespace import brought_along, copied, namespace_objects, static_claim, static_volume
from afkit.pods.placeholders import Names
from afkit.policy.model import Entitlements
from afkit.render.policies import shared_label
from afkit.services.namespaces.refusal import ProvisionError

__all__ = ["APPLIED", "COPIES", "Copy", "Keeper", "Tenant", "same_owner", "tenant"]

Object = dict[str, Any]
_Answer = TypeVar("_Answer")

APPLIED: Final = "afkit.io/applied"
"""Annotation with a digest of what was applied: shows what is no longer wanted, which the object alone does not."""
COPIES: Final = "afkit.io/copies"
"""Annotation of a namespace: every Secret that was ever copied into it, with the uid of its copy."""
_PROPAGATION: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between attempts while the API server does not yet know the binding that it has just stored."""

logger = logging.getLogger("afkit.services.namespaces")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a Secret in a user's namespace; by its ``uid`` it is told from one that somebody else makes under the same name."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose namespace it is: login name, digest, name of the namespace, facility groups, and the ids that placeholders may name."""

    name: str
    owner: str
    namespace: str
    groups: tuple[str, ...] = ()
    uid: int = 1000
    gid: int = 100

    def names(self) -> Names:
        """What the placeholders of a static volume's source stand for."""
        return Names(self.name, uid=self.uid, gid=self.gid)


def tenant(facility: Facility, name: str, issuer: str, key: str, groups: Sequence[str] = (), uid: int = 1000, gid: int = 100) -> Tenant:
    """The tenant behind an issuer's URL and a key. Raises ``ValueError`` where these can be nobody's."""
    if not issuer or not key:
        raise ValueError("a person has an issuer and a key")
    digest_ = owner(facility.name, issuer, key)
    return Tenant(name, digest_, user_namespace(facility.name, digest_), tuple(groups), uid, gid)


def same_owner(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two objects belong to the same person of the same facility."""
    labels, others = found["metadata"].get("labels") or {}, wanted["metadata"]["labels"]
    return all(labels.get(key) == others.get(key) for key in (FACILITY_LABEL, OWNER_LABEL))


def covers(found: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is so in what was found; lists must have the same length."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(key in found and covers(found[key], one) for key, one in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(covers, found, wanted))
    return bool(found == wanted)


class Keeper:
    """Brings namespaces up to date, one call a person at a time."""

    def __init__(self, kube: Kubernetes, layout: Layout) -> None:
        self.kube = kube
        self.layout = layout
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, facility: Facility, person: Tenant) -> tuple[Copy, ...]:
        """Everything that the person's namespace holds stands and is as the facility file has it, when this returns.

        Returns the copies of Secrets that the file names no longer. They are the hub's to remove when nothing of the person runs
        any more: the provisioner has rights on the Secrets that the file names, and on no other.

        Raises `ProvisionError`, and `KubernetesError` where the API server fails.
        """
        lock = self._locks.setdefault(person.owner, asyncio.Lock())
        try:
            async with lock:
                return await self._ensure(facility, person)
        finally:
            if not lock.locked():
                self._locks.pop(person.owner, None)

    async def _ensure(self, facility: Facility, person: Tenant) -> tuple[Copy, ...]:
        entitlements = Entitlements(person.name, person.groups)
        namespace, keeper, sessions, *inside = namespace_objects(facility, person, entitlements, self.layout)
        made, stands = await self._put(namespace)
        await self.put(keeper)
        await self.put(sessions)
        work: list[Awaitable[object]] = [_patiently(partial(self.put, one)) for one in inside]
        work += [self._copy(facility, person, kind, name, needed) for kind, name, needed in _named(facility)]
        work += [self._bring(facility, person, static) for static in brought_along(facility, entitlements)]
        copies = {one.name: one.uid for one in await _all(work) if isinstance(one, Copy)}
        if made:
            logger.info("namespace made", extra={"namespace": person.namespace, "user": person.name})
        return await self._note(facility, person, stands, copies)

    async def _note(self, facility: Facility, person: Tenant, namespace: Object, copies: Mapping[str, str]) -> tuple[Copy, ...]:
        """Note the copies on the namespace; returns those of before that the file names no longer."""
        known = _noted(namespace)
        if not copies.items() <= known.items():
            noted = {"metadata": {"annotations": {COPIES: json.dumps({**known, **copies}, sort_keys=True)}}}
            await self.kube.patch("Namespace", person.namespace, "", noted)
        named = named_objects(facility).secrets
        return tuple(Copy(name, uid) for name, uid in known.items() if name not in named)

    async def put(self, wanted: Object) -> bool:
        """Apply an object unless it is so already; whether it was missing. One of another owner is refused and left alone."""
        return (await self._put(wanted))[0]

    async def _put(self, wanted: Object) -> tuple[bool, Object]:
        """Whether it was missing, and as it stands now."""
        wanted = _marked(wanted)
        metadata = wanted["metadata"]
        found = await self.kube.find(wanted["kind"], metadata["name"], metadata.get("namespace", ""))
        if found is not None:
            _judge(found, wanted)
            if covers(found, wanted):
                return False, found
        stands = await self.kube.patch(wanted["kind"], metadata["name"], metadata.get("namespace", ""), wanted, type="apply")
        return found is None, stands

    async def _copy(self, facility: Facility, person: Tenant, kind: str, name: str, needed: bool) -> Copy | None:
        source = await self.source(facility, kind, name)
        if source is not None:
            _, stands = await _patiently(lambda: self._put(copied(facility, person, source)))
            return Copy(name, stands["metadata"]["uid"]) if kind == "Secret" else None
        if needed:
            namespace = section(facility).namespace
            message = f"The {kind} {name} that the facility file names is missing in the namespace {namespace}."
            raise ProvisionError(409, "missing", message, f"Ask the administrators: kubectl -n {namespace} get {kind.lower()} {name}")
        return None

    async def source(self, facility: Facility, kind: str, name: str) -> Object | None:
        """What is copied; ``None`` where there is none."""
        found = await self.kube.find(kind, name, section(facility).namespace)
        return None if found is None else {**found, "kind": kind}

    async def _bring(self, facility: Facility, person: Tenant, static: StaticVolume) -> None:
        behind = await self._behind(facility, static) if static.claim else None
        volume = static_volume(facility, person, static, behind)
        name = volume["metadata"]["name"]
        found = await self.kube.find("PersistentVolume", name)
        if found is None:
            await self.kube.create(volume)
        else:
            _judge(found, volume)
            if not covers(_source(found), _source(volume)):
                _changed(f"volume {name}", f"kubectl -n {person.namespace} delete pvc {static.claim_name}; kubectl delete pv {name}")
            if found.get("status", {}).get("phase") == "Released":
                # the claim went away with its namespace; the volume may be bound again
                freed = {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
                await self.kube.patch("PersistentVolume", name, "", freed)
        claim = static_claim(facility, person, static, volume)
        await _patiently(lambda: self._claim(claim))

    async def _claim(self, claim: Object) -> None:
        metadata = claim["metadata"]
        found = await self.kube.find("PersistentVolumeClaim", metadata["name"], metadata["namespace"])
        if found is None:
            await self.put(claim)
            return
        _judge(found, claim)
        if found["spec"].get("volumeName") != claim["spec"]["volumeName"]:
            _changed(f"claim {metadata['name']}", f"kubectl -n {metadata['namespace']} delete pvc {metadata['name']}")

    async def _behind(self, facility: Facility, static: StaticVolume) -> Object:
        """The volume behind an existing claim, which an administrator has marked as shared."""
        namespace = section(facility).namespace
        claim = await self.kube.find("PersistentVolumeClaim", static.claim, namespace)
        name = claim["spec"].get("volumeName") if claim else None
        if not name:
            what = "is bound to no volume yet" if claim else "is missing"
            message = f"The claim {static.claim} that the facility file names {what} in the namespace {namespace}."
            raise ProvisionError(409, "missing", message, f"Ask the administrators: kubectl -n {namespace} get pvc {static.claim}")
        volume = await self.kube.get("PersistentVolume", name)
        key, value = shared_label(facility, static.claim)
        if section(facility).policies == "enforce" and (volume["metadata"].get("labels") or {}).get(key) != value:
            message = f"The volume behind the claim {static.claim} is not marked as shared with the users' namespaces."
            raise ProvisionError(409, "not-shared", message, f"Ask the administrators: kubectl label pv {name} {key}={value}")
        return volume


def _named(facility: Facility) -> list[tuple[str, str, bool]]:
    named = named_objects(facility)
    secrets = [("Secret", name, needed) for name, needed in named.secrets.items()]
    return secrets + [("ConfigMap", name, needed) for name, needed in named.config_maps.items()]


def _noted(namespace: Mapping[str, Any]) -> dict[str, str]:
    """The copies that a namespace's annotation names: name → uid. Whatever else may stand there is none."""
    try:
        found = json.loads((namespace["metadata"].get("annotations") or {}).get(COPIES, "{}"))
    except ValueError:
        return {}
    return {key: uid for key, uid in found.items() if isinstance(uid, str)} if isinstance(found, dict) else {}


def _marked(wanted: Object) -> Object:
    """The object with the digest of what is wanted of it."""
    text = json.dumps(wanted, sort_keys=True)
    metadata = wanted["metadata"]
    return {**wanted, "metadata": {**metadata, "annotations": {**metadata["annotations"], APPLIED: digest(text.encode())}}}


def _judge(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse an object that belongs to somebody else, or that is going away."""
    metadata = found["metadata"]
    what = f"{wanted['kind']} {metadata['name']}"
    if not same_owner(found, wanted):
        place = {"kind": wanted["kind"], "object": metadata["name"], "namespace": metadata.get("namespace", "")}
        logger.error("an object of this name belongs to somebody else and is left alone", extra=place)
        message = f"The {what} belongs to somebody else, and nothing of it is used."
        raise ProvisionError(409, "owner", message, "Ask the administrators to look at its labels and annotations.")
    if metadata.get("deletionTimestamp"):
        raise ProvisionError(409, "ending", f"The {what} is being deleted.", "Try again in a minute.")


def _changed(what: str, command: str) -> None:
    message = f"The {what} is of another source than the facility file and the cluster have now."
    raise ProvisionError(409, "changed", message, f"Ask the administrators to stop the servers that use it, and then: {command}")


def _source(volume: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a volume that says where the files are, and whose they are here."""
    spec = volume["spec"]
    beside = ("accessModes", "capacity", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions", "nodeAffinity", "volumeMode")
    source = {key: value for key, value in spec.items() if key not in (*beside, "claimRef")}
    claim = spec.get("claimRef") or {}
    return {**source, "claimRef": {key: claim.get(key) for key in ("namespace", "name")}}


async def _patiently(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """The call again while it is forbidden: the API server learns of a new binding some milliseconds after it was stored."""
    for pause in _PROPAGATION:
        try:
            return await call()
        except KubernetesError as error:
            if error.status != 403:
                raise
        await asyncio.sleep(pause)
    return await call()


async def _all(work: Sequence[Awaitable[object]]) -> list[object]:
    """All at once; when one fails, the others are waited for, so that nothing goes on behind the answer."""
    results = await asyncio.gather(*work, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        # what an administrator can mend says more than what follows from it
        raise next((one for one in failures if isinstance(one, ProvisionError)), failures[0])
    return results
