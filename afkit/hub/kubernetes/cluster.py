"""The hub's one view of its cluster: a connection, one watch of each kind for all spawners, and the namespace provisioner."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from afkit.errors import DeadlineError, KubernetesError, PlatformError
from afkit.facility.model import Facility
from afkit.hub.kubernetes.making import Marks, is_ours
from afkit.hub.kubernetes.notes import Notes
from afkit.hub.kubernetes.provisioner import Namespaces
from afkit.hub.place import Used
from afkit.hub.settings import configured
from afkit.kube.client import Kubernetes
from afkit.kube.config import access
from afkit.kube.dask_use import DaskPods, dask_usage
from afkit.kube.deadline import Deadline
from afkit.kube.inventory import Stock
from afkit.kube.project import events_of, node, pods_of
from afkit.kube.watch import Key, SharedWatch
from afkit.names import FACILITY_LABEL, OWNER_LABEL, user_namespace
from afkit.pods.layout import namespaces_url, one_namespace, runs_dask, section
from afkit.pods.person import claims_named, owner_of
from afkit.policy.entitle import hubs_issuers
from afkit.policy.model import Identity, Inventory, Usage

__all__ = ["Cluster", "cluster_of"]

log = logging.getLogger(__name__)

_SWEEP: Final = 30.0
"""Seconds between two looks for servers that no spawner knows; one has to be found twice."""
_BEGUN: Final = 3.0
"""Seconds after which the hub has begun."""
_COMPONENT: Final = "component"


class Cluster:
    """Where servers run as pods (`afkit.hub.place.Place`). ``component``: KubeSpawner's label of servers.

    Nothing is asked before `open`; everything in here is for the hub's one thread.
    """

    kube: Kubernetes
    pods: SharedWatch
    nodes: SharedWatch | None
    stock: Stock
    dask: DaskPods

    def __init__(self, facility: Facility, component: str, kubeconfig: str | None = None, provisioner_url: str = "") -> None:
        self._facility = facility.name
        self._one_namespace = one_namespace(facility)
        self._component = component
        self._kubeconfig = kubeconfig
        self._timeout = float(section(facility).api_timeout)
        self._opening: asyncio.Task[None] | None = None
        self._events: dict[Key, dict[str, Mapping[str, Any]]] = {}
        self._listeners: dict[Key, list[Callable[[], None]]] = {}
        self.notes = Notes()
        self.namespaces = None if self._one_namespace else Namespaces(provisioner_url or namespaces_url(facility))

    # what deciding needs

    def inventory(self, facility: Facility, used: Used) -> Inventory:  # noqa: ARG002  # pods say what is used
        """What exists now of each pool, as nodes and pods say."""
        return self.stock.inventory(facility) if hasattr(self, "stock") else Inventory()

    def clusters(self, facility: Facility, identity: Identity) -> Usage:
        """What the pods of a person's Dask clusters ask for."""
        if not hasattr(self, "dask") or not runs_dask(facility):
            return Usage()
        return dask_usage(facility, self.dask.of(owner_of(facility, identity)))

    def services_url(self, app: Any, facility: Facility) -> str:  # noqa: ARG002  # of `Place`
        """Below the facility's public address."""
        return f"{facility.url.rstrip('/')}/services/"

    def not_applied(self, facility: Facility) -> tuple[str, ...]:  # noqa: ARG002  # of `Place`
        """Everything is applied here."""
        return ()

    # the view

    async def open(self) -> None:
        """Connect and begin to watch, once; raises `KubernetesError` where there is no configuration."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        self.kube = await Kubernetes.connect(self._kubeconfig, timeout=self._timeout)
        where = self._one_namespace
        self.pods = SharedWatch(self.kube, "Pod", namespace=where, project=pods_of(FACILITY_LABEL, self._facility))
        self.events = SharedWatch(self.kube, "Event", namespace=where, project=events_of(self._is_of_people))
        # nodes are no object of a namespace, and who has one namespace has rights in nothing else
        self.nodes = None if where else SharedWatch(self.kube, "Node", project=node)
        self.pods.subscribe(lambda _, pod: self._tell(_key(pod["metadata"])))
        self.events.subscribe(self._event)
        self.stock = Stock(self.pods, self.nodes)
        self.dask = DaskPods(self.pods, self._facility)
        for watch in (self.pods, self.events, self.nodes):
            if watch is not None:
                await watch.start()

    async def ready(self, deadline: Deadline) -> None:
        """Wait until pods are known; raises `KubernetesError` or `DeadlineError` where that takes too long."""
        await self.open()
        await self.pods.ready(deadline)

    async def close(self) -> None:
        """End the watches and all connections."""
        if self._opening is None:
            return
        for watch in (self.pods, self.events, self.nodes):
            if watch is not None:
                await watch.close()
        await self.kube.close()
        if self.namespaces is not None:
            await self.namespaces.close()

    @property
    def timeout(self) -> Deadline:
        """The time that one question to the API server may take, from now."""
        return Deadline.after(self._timeout, "the cluster's answer")

    def events_of(self, key: Key, uid: str = "") -> tuple[Mapping[str, Any], ...]:
        """What Kubernetes has said of the pod with this namespace and name (``uid``: of no earlier one of the name)."""
        return tuple(one for one in self._events.get(key, {}).values() if uid in ("", one["involvedObject"].get("uid")))

    @contextlib.contextmanager
    def listening(self, key: Key, callback: Callable[[], None]) -> Iterator[None]:
        """Call back with each change of a pod, and whatever Kubernetes says of it."""
        self.listen(key, callback)
        try:
            yield
        finally:
            self.unlisten(key, callback)

    def listen(self, key: Key, callback: Callable[[], None]) -> None:
        """Call back with each change of a pod until `unlisten`; a second call with the same does nothing."""
        listeners = self._listeners.setdefault(key, [])
        if callback not in listeners:
            listeners.append(callback)

    def unlisten(self, key: Key, callback: Callable[[], None]) -> None:
        """Call back no longer."""
        listeners = self._listeners.get(key, [])
        if callback in listeners:
            listeners.remove(callback)
        if not listeners:
            self._listeners.pop(key, None)

    def _is_of_people(self, namespace: str) -> bool:
        return namespace == self._one_namespace or namespace.startswith(f"af-{self._facility}-")

    def _event(self, change: str, event: Mapping[str, Any]) -> None:
        about = event["involvedObject"]
        key = (about.get("namespace", ""), about.get("name", ""))
        name = event["metadata"]["name"]
        if change == "DELETED":
            known = self._events.get(key, {})
            known.pop(name, None)
            if not known:
                self._events.pop(key, None)
            return
        self._events.setdefault(key, {})[name] = event
        self._tell(key)

    def _tell(self, key: Key) -> None:
        for callback in tuple(self._listeners.get(key, ())):
            callback()

    # what has to be done all the time

    async def look_after(self, desk: Any) -> None:
        """Remove servers that a hub before this one has made and could not note: nobody can reach or stop them."""
        await self.open()
        suspects: set[str] = set()
        try:
            await asyncio.sleep(_BEGUN)
            # what a hub is made of stays for ever; left to itself, Python goes through all of it again with every hundredth start
            gc.collect()
            gc.freeze()
            while True:
                await asyncio.sleep(_SWEEP)
                if self.pods.synced and self.pods.problem is None:
                    suspects = await self._sweep(desk, suspects)
        finally:
            await self.close()

    async def _sweep(self, desk: Any, suspects: set[str]) -> set[str]:
        strays = {pod["metadata"]["uid"]: pod for pod in self._strays(desk)}
        for uid in suspects & strays.keys():
            about = strays.pop(uid)["metadata"]
            desk.log.warning("Pod %s/%s is a server that this hub knows nothing of, and is removed", about["namespace"], about["name"])
            with contextlib.suppress(KubernetesError, DeadlineError):
                await self.kube.delete("Pod", about["name"], about["namespace"], uid=uid)
        return set(strays)

    def _strays(self, desk: Any) -> list[Mapping[str, Any]]:
        known = {getattr(spawner, "pod_key", None) for user in list(desk.app.users.values()) for spawner in list(user.spawners.values())}
        return [
            pod
            for key, pod in self.pods.objects.items()
            if key not in known and self._is_a_server(pod) and "deletionTimestamp" not in pod["metadata"]
        ]

    def _is_a_server(self, pod: Mapping[str, Any]) -> bool:
        """Whether it is a server of this facility; in a namespace of somebody's own, one of that person."""
        labels = pod["metadata"].get("labels") or {}
        owner = labels.get(OWNER_LABEL, "")
        place = self._one_namespace or user_namespace(self._facility, owner)
        ours = bool(owner) and is_ours(pod, Marks(self._facility, owner)) and pod["metadata"]["namespace"] == place
        return ours and labels.get(_COMPONENT) == self._component


def cluster_of(app: Any, spawner: Any, facility: Facility) -> Cluster:
    """The cluster of a hub that is being configured. Raises `AfkitError` where there is none to be found."""
    if app.internal_ssl:
        raise PlatformError(
            "Servers on Kubernetes are not reached by JupyterHub's internal TLS here.",
            "Leave c.JupyterHub.internal_ssl off: network policies say who may connect to whom.",
        )
    if hubs_issuers(facility) and not getattr(app.authenticator_class, "of_providers", False):
        raise PlatformError(
            f"The hub's authenticator is {app.authenticator_class.__name__}, and the facility file names providers that it does not know.",
            "Leave c.JupyterHub.authenticator_class as afkit sets it (afkit-oidc), or name one issuer with dialect `hub` instead of them.",
        )
    named = claims_named(facility)
    if named and not _keeps_claims(app):
        raise PlatformError(
            f"identity.run_as takes ids from the claim {named[0]!r}, and this hub keeps no claims of a login.",
            "Set c.Authenticator.enable_auth_state = True, and $JUPYTERHUB_CRYPT_KEY to 32 random bytes in hexadecimal.",
        )
    file = configured(app, spawner, "kubeconfig") or None
    access(file)  # says now what is missing, not at the first start
    url = configured(app, spawner, "namespaces_url") or os.environ.get("AFKIT_NAMESPACES_URL", "")
    return Cluster(facility, configured(app, spawner, "component_label"), file, url)


def _keeps_claims(app: Any) -> bool:
    """Whether the hub keeps what providers say: as it is configured; the file's own authenticator does wherever it has a key for that."""
    if getattr(app.authenticator_class, "of_providers", False) and os.environ.get("JUPYTERHUB_CRYPT_KEY"):
        return True
    return bool(configured(app, app.authenticator_class, "enable_auth_state"))


def _key(metadata: Mapping[str, Any]) -> Key:
    return metadata.get("namespace", ""), metadata["name"]
