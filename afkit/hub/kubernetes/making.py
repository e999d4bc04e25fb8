"""Makes the objects of a server, and never touches what is somebody else's.

The Pod is made first and owns all that goes with it, so that nothing is left where the hub dies in between: Kubernetes
collects what an owner has left. Claims that are kept come before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afkit.errors import KubernetesError, PlatformError
from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.kube.watch import SharedWatch
from afkit.names import FACILITY_LABEL, OWNER_LABEL
from afkit.pods.server import ServerObjects

__all__ = ["Maker", "Marks", "TakenError", "is_ours"]

log = logging.getLogger(__name__)

_CONFLICT = 409


class TakenError(PlatformError):
    """An object of this name exists and belongs to somebody else; it was left alone."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Whose an object has to be: facility's name and owner's digest."""

    facility: str
    owner: str


def is_ours(obj: Mapping[str, Any], marks: Marks) -> bool:
    """Whether an object is this facility's and this person's."""
    labels = obj["metadata"].get("labels") or {}
    return labels.get(FACILITY_LABEL) == marks.facility and labels.get(OWNER_LABEL) == marks.owner


class Maker:
    """Makes objects of one person by one deadline. ``pods`` is the hub's watch."""

    def __init__(self, kube: Kubernetes, pods: SharedWatch, marks: Marks, deadline: Deadline) -> None:
        self._kube = kube
        self._pods = pods
        self._marks = marks
        self._deadline = deadline

    async def make(self, objects: ServerObjects, *, whole: bool = False) -> dict[str, Any]:
        """Everything of a server; returns its Pod as the API server has it (not ``whole``: its metadata).

        On failure the Pod of this call is asked to go.
        """
        if objects.claims:
            await asyncio.gather(*map(self._claim, objects.claims))
        pod = await self._pod(objects, whole)
        try:
            await asyncio.gather(*(self._owned(one, pod) for one in objects.owned))
        except BaseException:
            about = pod["metadata"]
            await asyncio.shield(self._kube.delete("Pod", about["name"], about["namespace"], grace=0, uid=about["uid"]))
            raise
        return pod

    async def _claim(self, claim: Mapping[str, Any]) -> None:
        about = claim["metadata"]
        found = await self._kube.find(claim["kind"], about["name"], about["namespace"], deadline=self._deadline)
        if found is None:
            if await self._create(claim):
                return
            found = await self._kube.get(claim["kind"], about["name"], about["namespace"], deadline=self._deadline)
        self._check(claim["kind"], found)

    async def _create(self, obj: Mapping[str, Any]) -> bool:
        """Whether it was created; it was not where one of that name exists."""
        try:
            await self._kube.create(obj, whole=False, deadline=self._deadline)
        except KubernetesError as error:
            if error.status != _CONFLICT:
                raise
            return False
        return True

    async def _pod(self, objects: ServerObjects, whole: bool) -> dict[str, Any]:
        about = objects.pod["metadata"]
        name, namespace = about["name"], about["namespace"]
        while True:
            try:
                return await self._kube.create(objects.pod, body=objects.body, whole=whole, deadline=self._deadline)
            except KubernetesError as error:
                if error.status != _CONFLICT or error.reason != "AlreadyExists":
                    raise
            found = await self._kube.find("Pod", name, namespace, deadline=self._deadline)
            if found is not None:
                await self._clear(found)

    async def _clear(self, found: Mapping[str, Any]) -> None:
        """Wait until an earlier Pod of the same server is gone; one that nobody has asked to go is asked to."""
        self._check("Pod", found)
        about = found["metadata"]
        name, namespace, uid = about["name"], about["namespace"], about["uid"]
        if "deletionTimestamp" not in about:
            log.warning("Pod %s/%s is left of an earlier server of the same name and is removed", namespace, name)
            await self._kube.delete("Pod", name, namespace, grace=1, uid=uid, deadline=self._deadline)
        await self._pods.until((namespace, name), lambda pod: pod is None or pod["metadata"]["uid"] != uid, self._deadline)

    async def _owned(self, obj: Mapping[str, Any], pod: Mapping[str, Any]) -> None:
        about, uid = obj["metadata"], pod["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": uid}
        owned = {**obj, "metadata": {**about, "ownerReferences": [owner]}}
        while not await self._create(owned):
            found = await self._kube.find(obj["kind"], about["name"], about["namespace"], deadline=self._deadline)
            if found is not None:
                # of the server before this one: Kubernetes has not collected it yet
                self._check(obj["kind"], found)
                await self._kube.delete(
                    obj["kind"], about["name"], about["namespace"], uid=found["metadata"]["uid"], deadline=self._deadline
                )

    def _check(self, kind: str, found: Mapping[str, Any]) -> None:
        if is_ours(found, self._marks):
            return
        about = found["metadata"]
        log.error(
            "%s %s/%s exists and has another owner (%s of facility %s): it is left alone",
            kind,
            about.get("namespace"),
            about["name"],
            (about.get("labels") or {}).get(OWNER_LABEL),
            (about.get("labels") or {}).get(FACILITY_LABEL),
        )
        raise TakenError(
            f"There is a {kind} {about['name']!r} in the cluster already that belongs to somebody else.",
            "The administrators of the facility have to look at it; nothing was changed.",
        )
