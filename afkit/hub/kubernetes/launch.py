"""One start of one server, by one deadline: the namespace, the objects, the wait; and what is undone when it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from afkit.errors import AfkitError, DeadlineError, KubernetesError
from afkit.hub.kubernetes import words
from afkit.hub.kubernetes.cluster import Cluster
from afkit.hub.kubernetes.making import Maker, is_ours
from afkit.hub.kubernetes.plan import Plan
from afkit.hub.kubernetes.podstate import is_gone, is_over, is_ready
from afkit.hub.probe import answers
from afkit.kube.deadline import Deadline
from afkit.kube.watch import Key
from afkit.pods.server import ServerObjects

__all__ = ["Launch"]

log = logging.getLogger(__name__)

_SETTLES: Final = 3.0
"""Seconds after which what is still missing of a namespace is not just late."""
_PAUSE: Final = 0.2
_LOOKS: Final = 2.0
"""Seconds after which a start is looked at again though nothing was heard: silence has causes too."""


class Launch:
    """One start. ``key``: namespace and name of the server's pod."""

    def __init__(self, cluster: Cluster, plan: Plan, key: Key, deadline: Deadline) -> None:
        self._cluster = cluster
        self._plan = plan
        self._key = key
        self._deadline = deadline
        self._asked = False
        self._last: Mapping[str, Any] | None = None

    async def prepare(self) -> None:
        """The person's namespace stands, and the hub hears of what happens in it. Raises `PlatformError`."""
        answer = self._deadline.sooner(self._cluster.timeout.seconds, "the cluster's answer")
        await self._cluster.ready(answer)
        if self._cluster.pods.problem is not None:
            # the API server may be back already, and the watch not have asked again
            await self._cluster.kube.find("Pod", self._key[1], self._key[0], deadline=answer)
        await self._ensure_namespace()

    async def _ensure_namespace(self) -> None:
        if self._cluster.namespaces is not None:
            outdated = await self._cluster.namespaces.ensure(self._plan.facility.digest, self._plan.person, self._deadline)
            if outdated and self._is_alone():
                await asyncio.gather(*(self._remove(name, uid) for name, uid in outdated))

    def _is_alone(self) -> bool:
        """Whether nothing else of the person runs, which may have been started by an older facility file."""
        return all(key == self._key or key[0] != self._key[0] for key in self._cluster.pods.objects)

    async def _remove(self, secret: str, uid: str) -> None:
        """Remove a copy of a Secret that the file names no longer; one that somebody has made since is another one."""
        try:
            await self._cluster.kube.delete("Secret", secret, self._key[0], uid=uid, deadline=self._deadline)
        except KubernetesError as error:
            log.warning("The copy of Secret %s in %s, which the facility file names no longer, stays: %s", secret, self._key[0], error)

    async def make(self, objects: ServerObjects, *, whole: bool = False) -> Mapping[str, Any]:
        """Everything of the server; returns its pod (not ``whole``: its metadata). Raises `PlatformError`."""
        self._asked = True
        maker = Maker(self._cluster.kube, self._cluster.pods, self._plan.marks, self._deadline)
        begun = time.monotonic()
        while True:
            try:
                pod = await maker.make(objects, whole=whole)
                break
            except KubernetesError as error:
                if time.monotonic() - begun > _SETTLES or not self._may_settle(error):
                    raise
            await asyncio.sleep(_PAUSE)
            await self._ensure_namespace()
        self._uid = pod["metadata"]["uid"]
        return pod

    def _may_settle(self, error: KubernetesError) -> bool:
        """Whether the namespace or a right in it is missing: perhaps it was there once, or API servers are yet to learn of it."""
        namespaces = self._cluster.namespaces
        if namespaces is None or not (error.status == 404 or (error.status == 403 and " cannot " in error.message)):
            return False  # quota and policies refuse in other words
        namespaces.forget(self._plan.facility.digest, self._plan.person)
        return True

    async def wait(self) -> Mapping[str, Any]:
        """The server's pod when it is Ready. Raises `PlatformError` with the cause where it will not be."""
        uid, pods = self._uid, self._cluster.pods
        # the watch may tell of the pod a moment after its creation was answered
        await pods.until(self._key, lambda pod: pod is not None and pod["metadata"]["uid"] == uid, self._deadline)
        waiting = asyncio.ensure_future(pods.until(self._key, self._settled, self._deadline))
        try:
            while not waiting.done():
                await asyncio.wait((waiting,), timeout=_LOOKS)
                cause = None if waiting.done() else words.hopeless(self._cluster, self._key, self._plan)
                if cause is not None:
                    raise cause
        finally:
            waiting.cancel()
        found = waiting.result()
        if found is None or not is_ready(found):
            raise words.ended_early(self._cluster, self._key, self._plan, self._last)
        return found

    async def answered(self, url: str, path: str, seconds: float) -> None:
        """The server answers the hub too, within so many seconds: its node alone has asked it until now. Raises `PlatformError`.

        The hub's own wait would end in an error of the hub, and say nothing of why.
        """
        place, deadline = urlsplit(url), self._deadline.sooner(seconds)
        while not await answers(place.hostname or "", place.port or 80, path):
            if not is_ready(self._cluster.pods.objects.get(self._key)):
                raise words.ended_early(self._cluster, self._key, self._plan, self._last)
            if deadline.passed:
                raise words.unreached(f"{place.hostname}:{place.port}", self._plan.facility.contact)
            await asyncio.sleep(_PAUSE)

    def _settled(self, pod: Mapping[str, Any] | None) -> bool:
        """Whether the pod is ready or over; what is heard of it last says why it is gone."""
        if pod is not None and pod["metadata"]["uid"] == self._uid:
            self._last = pod
        return is_over(pod, self._uid) or is_ready(pod)

    def failure(self, error: AfkitError) -> str:
        """The sentence for a start that failed with this."""
        return words.failure(error, self._cluster, self._key, self._plan)

    async def undo(self, seconds: float) -> None:
        """Remove what was made, and wait so long for it to be gone; what cannot be removed now is found later."""
        if self._cluster.namespaces is not None:
            # something in it may be missing that the provisioner makes again
            self._cluster.namespaces.forget(self._plan.facility.digest, self._plan.person)
        if not self._asked:
            return
        deadline = Deadline.after(seconds, "the failed server to go")
        namespace, name = self._key
        try:
            found = await self._cluster.kube.find("Pod", name, namespace, deadline=deadline)
            if found is None or not is_ours(found, self._plan.marks):
                return
            uid = found["metadata"]["uid"]
            await self._cluster.kube.delete("Pod", name, namespace, grace=self._grace(found), uid=uid, deadline=deadline)
            await self._cluster.pods.until(self._key, lambda pod: is_gone(pod, uid), deadline)
        except (KubernetesError, DeadlineError) as error:
            log.error("What is left of the server in pod %s/%s could not be removed yet: %s", namespace, name, error)  # noqa: TRY400  # a known fault: no traceback

    def _grace(self, pod: Mapping[str, Any]) -> int:
        """Seconds that the pod gets to end; none where its node does not exist any more, which alone could say that it has."""
        nodes, name = self._cluster.stock.nodes(), pod["spec"].get("nodeName")
        return 0 if name and nodes is not None and all(one.name != name for one in nodes) else 1
