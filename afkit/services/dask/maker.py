"""Makes the objects of clusters, and removes them: every call is one that may be made twice."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.errors import KubernetesError
from afkit.kube.client import Kubernetes
from afkit.names import FACILITY_LABEL, OWNER_LABEL
from afkit.services.dask.records import Record, owned_by

__all__ = ["Made", "Maker", "worker_name"]

Object = Mapping[str, Any]
_CONFLICT: Final = 409
_OPERATORS: Final = "kopf.zalando.org/"
"""How the finalizers of an operator begin."""
_COLLECTED: Final = (0.05, 0.1, 0.2, 0.4, 0.8, *(1.0,) * 10)
"""Seconds between two tries while what an earlier cluster of the name has left is being collected."""


class Made:
    """What the Secret of a cluster keeps for later: the scheduler's token, and what its pods are made of."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        made = json.loads(texts["pods.json"])
        self.token = texts["token"]
        self.access = {"ca": texts["ca.crt"], "certificate": texts["tls.crt"], "key": texts["tls.key"]}
        self.beside: list[Object] = made["beside"]
        self.scheduler: Object = made["scheduler"]
        self.workers: Mapping[str, Object] = made["workers"]


def worker_name(root: str, group: str) -> str:
    """A name for one more worker of a group."""
    return f"{root}-{group}-worker-{secrets.token_hex(5)}"


class Maker:
    """Effects in the namespaces of users."""

    def __init__(self, kube: Kubernetes) -> None:
        self._kube = kube

    async def root(self, root: Object) -> tuple[dict[str, Any], bool]:
        """The DaskCluster, and whether it was made by this call; there may be one of that name already."""
        about = root["metadata"]
        try:
            return await self._kube.create(root), True
        except KubernetesError as error:
            if error.status != _CONFLICT:
                raise
        return await self._kube.get("DaskCluster", about["name"], about["namespace"]), False

    async def beside(self, objects: Iterable[Object], root: Mapping[str, Any]) -> None:
        """Everything that goes with the root and is made once; all are tried, and the first failure is raised."""
        tries = await asyncio.gather(*(self.owned(one, root) for one in objects), return_exceptions=True)
        for one in tries:
            if isinstance(one, BaseException):
                raise one

    async def owned(self, obj: Object, root: Mapping[str, Any], name: str = "") -> None:
        """One object that goes with the root. One of the same name that belongs to an earlier cluster is waited for until it is gone."""
        about = root["metadata"]
        reference = {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskCluster", "name": about["name"], "uid": about["uid"]}
        metadata = {**obj["metadata"], "ownerReferences": [{**reference, "controller": True}], **({"name": name} if name else {})}
        for pause in _COLLECTED:
            if await self._create({**obj, "metadata": metadata}):
                return
            found = await self._kube.find(obj["kind"], metadata["name"], metadata["namespace"])
            if found is not None and owned_by(found, about["uid"]):
                return
            await asyncio.sleep(pause)
        raise KubernetesError(
            "An earlier cluster of this name is still being removed.", "Try again, or take another name.", reason="Conflict"
        )

    async def _create(self, obj: Object) -> bool:
        """Whether it was made; it was not where there is one of that name."""
        try:
            await self._kube.create(obj)
        except KubernetesError as error:
            if error.status != _CONFLICT or error.reason != "AlreadyExists":
                raise
            return False
        return True

    async def made(self, record: Record) -> Made | None:
        """What the cluster's Secret keeps; ``None``: there is none."""
        namespace, name = record.key
        found = await self._kube.find("Secret", f"{name}-dask", namespace)
        if found is None or not _same_owner(found, record):
            return None
        try:
            return Made({key: base64.b64decode(text).decode() for key, text in found["data"].items()})
        except (KeyError, ValueError):
            return None

    async def annotate(self, record: Record, key: str, text: str) -> None:
        """Write one annotation of the root."""
        await self._kube.patch("DaskCluster", record.key[1], record.key[0], {"metadata": {"annotations": {key: text}}})

    async def phase(self, record: Record, phase: str) -> None:
        """Write what ``kubectl get daskclusters`` and dask-kubernetes' own tools look at."""
        await self._kube.patch("DaskCluster", record.key[1], record.key[0], {"status": {"phase": phase}})

    async def root_gone(self, record: Record) -> None:
        """Ask the root to go; everything owned by it follows sooner or later, whatever becomes of this service."""
        await self._kube.delete("DaskCluster", record.key[1], record.key[0], uid=record.uid, propagation="Background")

    async def close_down(self, record: Record, pods: Iterable[Object]) -> None:
        """The same, and its pods at once: collection gives each as long as it may take, which a kubelet does not cut short any more."""
        root, *_ = await asyncio.gather(self.root_gone(record), *(self.pod(pod, grace=1) for pod in pods), return_exceptions=True)
        if isinstance(root, BaseException):
            raise root

    async def remove(self, record: Record, pods: Iterable[Object]) -> None:
        """Ask root and pods to go, all at once: garbage collection alone is slow, and waits for finalizers of operators."""
        gone = (self.root_gone(record), *(self.pod(pod, grace=1) for pod in pods))
        for one in await asyncio.gather(*gone, return_exceptions=True):
            if isinstance(one, BaseException):
                raise one

    async def release(self, record: Record) -> None:
        """Take an operator's finalizers off a root that is to go: one that does not run any more would keep it for ever."""
        left = [one for one in record.finalizers if not one.startswith(_OPERATORS)]
        if len(left) < len(record.finalizers):
            await self._kube.patch("DaskCluster", record.key[1], record.key[0], {"metadata": {"finalizers": left or None}})

    async def pod(self, pod: Object, *, grace: int) -> None:
        """Ask a pod to go."""
        about = pod["metadata"]
        await self._kube.delete("Pod", about["name"], about["namespace"], grace=grace, uid=about["uid"])

    async def log(self, pod: Object, lines: int) -> str:
        """The last lines of a pod."""
        about = pod["metadata"]
        try:
            return await self._kube.log(about["name"], about["namespace"], lines=lines)
        except KubernetesError as error:
            return f"({error.message})"


def _same_owner(found: Object, record: Record) -> bool:
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == record.labels.get(key) for key in (FACILITY_LABEL, OWNER_LABEL))
