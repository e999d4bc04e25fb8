"""Whether a cluster has what a facility file names: looked at with the rights of whoever asks, changed nothing.

`examine` gives one line for each thing: `ok`, `bad` with cause and remedy, or `unknown` where it may not or cannot be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.errors import KubernetesError
from afkit.facility.model import Facility, Layer, SecretKey
from afkit.kube.client import Kubernetes
from afkit.kube.doctor_pools import pools_beside
from afkit.kube.doctor_running import Running, Trial
from afkit.kube.doctor_storage import Storage
from afkit.kube.findings import Found, looked, verdict
from afkit.kube.nodes import node_uses
from afkit.kube.project import node as kept_node, pods_of
from afkit.names import FACILITY_LABEL
from afkit.pods.brought import named_objects
from afkit.pods.layout import one_namespace, section

__all__ = ["OLDEST", "Identity", "Setup", "examine"]

_MOST_ASKED: Final = 16
_APPLY: Final = "Apply what `afkit render FILE --target manifests` (or `z2jh`) prints."
OLDEST: Final = (1, 32)
"""The oldest Kubernetes that afkit is written for."""
_PRIORITY: Final = "priorityClassName"


@dataclass(frozen=True, slots=True)
class Identity:
    """A service account of the facility and the rules that it needs, as RBAC writes them: cluster-wide, and per namespace."""

    namespace: str
    account: str
    everywhere: tuple[Mapping[str, Any], ...] = ()
    within: tuple[tuple[str, tuple[Mapping[str, Any], ...]], ...] = ()

    @property
    def user(self) -> str:
        """Its name as the API server knows it."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"


@dataclass(frozen=True, slots=True)
class Setup:
    """What has to stand in the cluster for the facility file, from what is rendered of it.

    ``rendered``: objects that must be as they are here; ``deployments``: names of those of hub, proxy and services; ``trials``: a
    server of each kind, in a namespace that exists; ``shared``: claim → label that its volume must have; ``hub``: the first identity.
    """

    identities: tuple[Identity, ...] = ()
    rendered: tuple[Mapping[str, Any], ...] = ()
    deployments: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    shared: Mapping[str, tuple[str, str]] = field(default_factory=dict)


async def examine(kube: Kubernetes, facility: Facility, setup: Setup) -> tuple[Found, ...]:
    """Look at everything.

    A cluster that does not answer is one line; nothing else can be said then.
    """
    try:
        version = await kube.version()
        me = await kube.whoami() if version >= (1, 28) else {}
    except KubernetesError as error:
        return (Found("cluster", "bad", error.message, error.hint),)
    doctor = _Doctor(kube, facility, setup, str(me.get("username") or "somebody"))
    text = f"Kubernetes {version[0]}.{version[1]} at {kube.transport.access.server}, seen as {doctor.me}."
    first = (
        Found("cluster", "ok", text)
        if version >= OLDEST
        else Found("cluster", "bad", text, f"afkit needs Kubernetes {OLDEST[0]}.{OLDEST[1]} or newer.")
    )
    looks = await asyncio.gather(*(looked(name, look) for name, look in doctor.looks()))
    return (first, *(found for founds in looks for found in founds))


class _Doctor:
    def __init__(self, kube: Kubernetes, facility: Facility, setup: Setup, me: str) -> None:
        self._setup = setup
        self._rendered = setup.rendered
        self._kube = kube
        self._facility = facility
        self._where = section(facility).namespace
        self.me = me

    def looks(self) -> list[tuple[str, Callable[[], Awaitable[tuple[Found, ...]]]]]:
        """Every look, in the order in which its findings are told."""
        storage = Storage(self._kube, self._facility, self._setup.shared)
        running = Running(self._kube, self._facility.name, self._where, self._setup.deployments)
        identities = self._setup.identities
        return [
            ("namespace", self._namespace),
            ("pools", self._pools),
            ("runtime classes", self._runtime_classes),
            ("priority classes", self._priority_classes),
            ("device classes", self._device_classes),
            ("storage classes", storage.classes),
            ("claims", storage.claims),
            ("drivers", storage.drivers),
            ("secrets", self._secrets),
            ("config maps", self._config_maps),
            ("rendered", self._stands),
            ("deployments", running.deployments),
            *((f"rights of {one.account}", lambda one=one: self._rights(one)) for one in identities),
            *((("servers", lambda: running.servers(self._setup.trials, identities[0].user, self.me)),) if identities else ()),
        ]

    async def _namespace(self) -> tuple[Found, ...]:
        names = dict.fromkeys((self._where, one_namespace(self._facility) or self._where))
        found = {name: await self._kube.find("Namespace", name) for name in names}
        missing = [name for name, one in found.items() if one is None]
        if missing:
            text = f"There is no namespace {missing[0]}."
            return (Found("namespace", "bad", text, f"kubectl create namespace {missing[0]}"),)
        going = [f"The namespace {name} is being deleted." for name, one in found.items() if one and "deletionTimestamp" in one["metadata"]]
        return verdict("namespace", going, " and ".join(names), "Wait until it is gone.")

    async def _pools(self) -> tuple[Found, ...]:
        nodes = [kept_node(one) for one in (await self._kube.list("Node"))["items"]]
        return pools_beside(self._facility, node_uses(nodes, await self._pods()))

    async def _pods(self) -> list[dict[str, Any]]:
        project = pods_of(FACILITY_LABEL, self._facility.name)
        kept = [project(one) for one in (await self._kube.list("Pod"))["items"]]
        return [one for one in kept if one is not None]

    async def _runtime_classes(self) -> tuple[Found, ...]:
        named = {pool.runtime_class: f"pool {pool.name}" for pool in self._facility.pools.values() if pool.runtime_class}
        return await self._exist("runtime classes", "RuntimeClass", named)

    async def _priority_classes(self) -> tuple[Found, ...]:
        named = {str(name): who for who, layer in _layers(self._facility) if (name := (layer.pod.get("spec") or {}).get(_PRIORITY))}
        return await self._exist("priority classes", "PriorityClass", named)

    async def _device_classes(self) -> tuple[Found, ...]:
        units = {pool.name: pool.accelerator for pool in self._facility.pools.values() if pool.accelerator is not None}
        named = {unit.device_class: f"pool {name}" for name, unit in units.items() if unit.device_class}
        return await self._exist("device classes", "DeviceClass", named)

    async def _exist(self, name: str, kind: str, named: Mapping[str, str]) -> tuple[Found, ...]:
        if not named:
            return ()
        bad = [f"There is no {kind} {one}, which {who} names." for one, who in named.items() if await self._kube.find(kind, one) is None]
        return verdict(name, bad, ", ".join(named), "Install what brings it, or correct the facility file.")

    async def _secrets(self) -> tuple[Found, ...]:
        keys: dict[str, set[str]] = {name: set() for name in named_objects(self._facility).secrets}
        for name, key in (*_client_secrets(self._facility), *_env_secrets(self._facility)):
            keys.setdefault(name, set()).add(key)
        return await self._named("secrets", "Secret", keys)

    async def _config_maps(self) -> tuple[Found, ...]:
        return await self._named("config maps", "ConfigMap", {name: set() for name in named_objects(self._facility).config_maps})

    async def _named(self, name: str, kind: str, keys: Mapping[str, set[str]]) -> tuple[Found, ...]:
        if not keys:
            return ()
        bad = []
        where = one_namespace(self._facility) or self._where
        for one, wanted in keys.items():
            found = await self._kube.find(kind, one, where)
            if found is None:
                bad.append(f"There is no {kind} {one} in the namespace {where}.")
            else:
                bad += [f"The {kind} {one} has no key {key}." for key in sorted(wanted - (found.get("data") or {}).keys())]
        return verdict(name, bad, f"{', '.join(keys)} in {where}", f"Make it in the namespace {where}, or correct the facility file.")

    async def _stands(self) -> tuple[Found, ...]:
        """Whether roles, bindings and policies are there as they are rendered."""
        if not self._rendered:
            return ()
        bad = []
        for one in self._rendered:
            about = one["metadata"]
            found = await self._kube.find(one["kind"], about["name"], about.get("namespace", ""))
            what = f"The {one['kind']} {about['name']}"
            if found is None:
                bad.append(f"{what} is missing.")
            elif not all(holds(one[key], found.get(key)) for key in one if key not in ("metadata", "apiVersion", "kind")):
                bad.append(f"{what} is not what this file renders.")
        return verdict("rendered", bad, f"All {len(self._rendered)} roles, bindings, policies and files are as they are rendered.", _APPLY)

    async def _rights(self, identity: Identity) -> tuple[Found, ...]:
        name = f"rights of {identity.account}"
        if await self._kube.find("ServiceAccount", identity.account, identity.namespace) is None:
            text = f"There is no service account {identity.account} in the namespace {identity.namespace}."
            return (Found(name, "bad", text, _APPLY),)
        questions = tuple(_all_questions(identity))
        gate = asyncio.Semaphore(_MOST_ASKED)

        async def ask(attributes: Mapping[str, str]) -> bool:
            async with gate:
                return await self._may(identity, attributes)

        allowed = await asyncio.gather(*map(ask, questions))
        bad = [f"It may not {_said(question)}." for question, yes in zip(questions, allowed, strict=True) if not yes]
        part = "" if identity.within else " cluster-wide; no user has a namespace yet"
        return verdict(name, bad, f"All {len(questions)} that it needs{part}.", _APPLY)

    async def _may(self, identity: Identity, attributes: Mapping[str, str]) -> bool:
        own = self.me == identity.user
        spec: dict[str, Any] = {"resourceAttributes": dict(attributes)}
        if not own:
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{identity.namespace}", "system:authenticated"]
            spec |= {"user": identity.user, "groups": groups}
        return await self._kube.may("SelfSubjectAccessReview" if own else "SubjectAccessReview", spec)


def holds(wanted: Any, found: Any) -> bool:
    """Whether everything wanted is in what was found, which may have more keys (those that the API server fills in)."""
    if not wanted or not found:
        return not wanted and not found
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(holds(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(holds, wanted, found))
    return bool(wanted == found)


def _all_questions(identity: Identity) -> Iterable[dict[str, str]]:
    for rule in identity.everywhere:
        yield from _questions(rule, "")
    for namespace, rules in identity.within:
        for rule in rules:
            yield from _questions(rule, namespace)


def _questions(rule: Mapping[str, Any], namespace: str) -> Iterable[dict[str, str]]:
    """One question a verb, resource and name of a rule."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            plain, _, subresource = resource.partition("/")
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames") or ("",):
                    asked = {
                        "verb": verb,
                        "group": group,
                        "resource": plain,
                        "subresource": subresource,
                        "namespace": namespace,
                        "name": name,
                    }
                    yield {key: value for key, value in asked.items() if value}


def _said(question: Mapping[str, str]) -> str:
    resource = "/".join(part for part in (question["resource"], question.get("subresource")) if part)
    name = f" {question['name']}" if "name" in question else ""
    where = f" in {question['namespace']}" if "namespace" in question else ""
    return f"{question['verb']} {resource}{name}{where}"


def _layers(facility: Facility) -> Iterable[tuple[str, Layer]]:
    """Everything in which the keys of ``session`` can stand, with what it is."""
    yield "session", facility.session
    for what, named in (("pool", facility.pools), ("image", facility.images), ("profile", facility.profiles)):
        yield from ((f"{what} {name}", one.layer) for name, one in named.items())
    for option in facility.options.values():
        yield from ((f"choice {choice.name} of {option.name}", choice.layer) for choice in option.choices.values())


def _env_secrets(facility: Facility) -> Iterable[tuple[str, str]]:
    """The secrets that servers get as variables."""
    for _, layer in _layers(facility):
        yield from ((value.secret, value.key) for value in layer.env.values() if isinstance(value, SecretKey))


def _client_secrets(facility: Facility) -> Iterable[tuple[str, str]]:
    """The hub's own secrets that the file names: those of its clients at the providers."""
    for issuer in (facility.identity.issuers if facility.identity is not None else {}).values():
        key = issuer.client_secret.kubernetes if issuer.client_secret is not None else None
        if key is not None:
            yield key.secret, key.key
