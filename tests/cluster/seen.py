"""What afkit's own watches see of one namespace, and what is made of it in plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from afkit.facility.model import Pool
from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.kube.inventory import Stock
from afkit.kube.pending import Pending, explain_pod
from afkit.kube.project import events_of, node, pods_of
from afkit.kube.watch import SharedWatch
from afkit.names import FACILITY_LABEL

FACILITY = "seen"


class Seen:
    """The view of a hub: one watch a kind, explanations from them alone."""

    def __init__(self, kube: Kubernetes, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.pods = SharedWatch(kube, "Pod", project=pods_of(FACILITY_LABEL, FACILITY))
        self.events = SharedWatch(kube, "Event", project=events_of(namespace.__eq__))
        self.nodes = SharedWatch(kube, "Node", project=node)
        self.stock = Stock(self.pods, self.nodes)
        self.last: dict[str, dict[str, Any]] = {}
        self.changed = asyncio.Event()
        self.pods.subscribe(self._pod)
        for watch in (self.events, self.nodes):
            watch.subscribe(lambda change, obj: self.changed.set())

    def _pod(self, change: str, pod: dict[str, Any]) -> None:
        if pod["metadata"].get("namespace") == self.namespace:
            self.last[pod["metadata"]["name"]] = pod
            self.changed.set()

    def explain(self, name: str, pool: Pool | None = None, *, gone: bool = False) -> Pending:
        """Why this pod is not ready now; ``gone``: by the last that was heard of it."""
        pod = self.last.get(name) if gone else self.pods.objects.get((self.namespace, name))
        about: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for event in self.events.objects.values():
            about.setdefault((event["involvedObject"]["kind"], event["involvedObject"]["name"]), []).append(event)
        claims = {one: events for (kind, one), events in about.items() if kind == "PersistentVolumeClaim"}
        return explain_pod(pod, about.get(("Pod", name), ()), self.stock.nodes(), pool, now=time.time(), claims=claims)

    async def told(
        self, name: str, code: str, text: str = "", pool: Pool | None = None, *, seconds: float = 60, gone: bool = False
    ) -> Pending:
        """The explanation of a pod once it is one of this code with this text in it."""
        end, heard = time.monotonic() + seconds, []
        while time.monotonic() < end:
            self.changed.clear()
            found = self.explain(name, pool, gone=gone)
            if found.code == code and text in found.sentence:
                print(f"{name}: {found.sentence} | {found.hint}")
                return found
            if not heard or heard[-1][0] != found.code:
                heard.append((found.code, found.sentence))
            try:
                async with asyncio.timeout(0.5):
                    await self.changed.wait()
            except TimeoutError:
                pass
        raise AssertionError(f"{name} was never explained as {code} with {text!r}, but as {heard}")

    async def make(
        self, name: str, image: str = "docker.io/local/busybox:1", *, container: Mapping[str, Any] | None = None, **spec: Any
    ) -> None:
        """Make a pod of the facility."""
        main = {"name": "notebook", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "3600"], **(container or {})}
        labels = {FACILITY_LABEL: FACILITY}
        await self.kube.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": "OnFailure", "containers": [main], **spec},
            }
        )

    async def close(self) -> None:
        for watch in (self.pods, self.events, self.nodes):
            await watch.close()


@asynccontextmanager
async def seeing(kubeconfig: str, namespace: str, more: Iterable[Mapping[str, Any]] = ()) -> AsyncIterator[Seen]:
    """The view of a new namespace, which goes away afterwards; ``more``: objects without a namespace that come and go with it."""
    async with await Kubernetes.connect(kubeconfig) as kube:
        await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        made = []
        seen = Seen(kube, namespace)
        try:
            for obj in more:
                made.append(await kube.create(obj))
            for watch in (seen.pods, seen.events, seen.nodes):
                await watch.start()
                await watch.ready(Deadline.after(20))
            accounts = SharedWatch(kube, "ServiceAccount", namespace=namespace)
            await accounts.start()
            await accounts.until((namespace, "default"), lambda one: one is not None, Deadline.after(20, "the service account"))
            await accounts.close()
            yield seen
        finally:
            for pod in (await kube.list("Pod", namespace))["items"]:
                await kube.delete("Pod", pod["metadata"]["name"], namespace, grace=0)
            await kube.delete("Namespace", namespace)
            for obj in reversed(made):
                await kube.delete(obj["kind"], obj["metadata"]["name"])
            await seen.close()
