"""The service's one view of the cluster: pods, their events, nodes, and the DaskCluster objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from afkit.facility.model import Facility
from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.kube.inventory import Stock
from afkit.kube.project import events_of, node, pods_of
from afkit.kube.watch import Key, SharedWatch
from afkit.names import FACILITY_LABEL
from afkit.pods.layout import one_namespace
from afkit.services.dask.records import is_over, is_server

__all__ = ["CLUSTER_NAME", "View"]

CLUSTER_NAME = "dask.org/cluster-name"
Object = Mapping[str, Any]


class View:
    """What exists now. Nothing is asked before `start`."""

    def __init__(self, kube: Kubernetes, facility: Facility) -> None:
        self.kube = kube
        self._facility = facility.name
        self._where = where = one_namespace(facility)
        self.pods = SharedWatch(kube, "Pod", namespace=where, project=pods_of(FACILITY_LABEL, facility.name))
        self.events = SharedWatch(kube, "Event", namespace=where, project=events_of(self._is_of_people))
        self.nodes = None if where else SharedWatch(kube, "Node", project=node)
        labels = f"{FACILITY_LABEL}={facility.name}"
        self.roots = SharedWatch(kube, "DaskCluster", namespace=where, labels=labels, project=_root)
        self.stock = Stock(self.pods, self.nodes)
        self._of_cluster: dict[Key, dict[Key, Object]] = {}
        self._events: dict[Key, dict[str, Object]] = {}
        self._listeners: list[Callable[[Key], None]] = []
        self.pods.subscribe(self._pod)
        self.events.subscribe(self._event)

    async def start(self) -> None:
        """Begin to watch."""
        for watch in self._all():
            await watch.start()

    async def ready(self, deadline: Deadline) -> None:
        """Wait until pods and clusters are known."""
        await self.pods.ready(deadline)
        await self.roots.ready(deadline)

    async def close(self) -> None:
        """End the watches."""
        for watch in self._all():
            await watch.close()

    def on_pod(self, listener: Callable[[Key], None]) -> None:
        """Call back with namespace and name of a cluster's objects whenever something of its pods changes."""
        self._listeners.append(listener)

    def pods_of(self, key: Key) -> Mapping[Key, Object]:
        """The pods of the cluster whose objects have this namespace and name."""
        return self._of_cluster.get(key, {})

    def events_of(self, pod: Object) -> tuple[Object, ...]:
        """What Kubernetes has said of a pod."""
        about = pod["metadata"]
        said = self._events.get((about["namespace"], about["name"]), {})
        return tuple(one for one in said.values() if one["involvedObject"].get("uid") in (None, about["uid"]))

    def servers(self, owner_label: tuple[str, str]) -> list[Object]:
        """The servers of a person that have not ended."""
        label, value = owner_label
        return [
            pod
            for pod in self.pods.objects.values()
            if is_server(pod, self._facility) and pod["metadata"]["labels"].get(label) == value and not is_over(pod)
        ]

    def _all(self) -> Iterator[SharedWatch]:
        yield from (watch for watch in (self.roots, self.pods, self.events, self.nodes) if watch is not None)

    def _is_of_people(self, namespace: str) -> bool:
        return namespace == self._where or namespace.startswith(f"af-{self._facility}-")

    def _pod(self, change: str, pod: Object) -> None:
        about = pod["metadata"]
        labels = about.get("labels") or {}
        if labels.get(FACILITY_LABEL) != self._facility:
            return
        name = labels.get(CLUSTER_NAME)
        if name is None:
            return
        key, own = (about["namespace"], name), (about["namespace"], about["name"])
        known = self._of_cluster.setdefault(key, {})
        if change == "DELETED":
            known.pop(own, None)
            if not known:
                del self._of_cluster[key]
        else:
            known[own] = pod
        self._tell(key)

    def _event(self, change: str, event: Object) -> None:
        about = event["involvedObject"]
        key = (about.get("namespace", ""), about.get("name", ""))
        said = self._events.setdefault(key, {})
        if change == "DELETED":
            said.pop(event["metadata"]["name"], None)
            if not said:
                del self._events[key]
            return
        said[event["metadata"]["name"]] = event
        pod = self.pods.objects.get(key)
        name = ((pod or {}).get("metadata", {}).get("labels") or {}).get(CLUSTER_NAME)
        if name is not None:
            self._tell((key[0], name))

    def _tell(self, key: Key) -> None:
        for listener in self._listeners:
            listener(key)


def _root(obj: Object) -> dict[str, Any]:
    """Of a DaskCluster all but what its pods are made of."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {"metadata": metadata, "status": obj.get("status") or {}}
