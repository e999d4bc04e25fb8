"""What runs of a facility in its cluster: the Deployments of hub, proxy and services, and one server of each kind on trial."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from afkit.errors import KubernetesError
from afkit.kube.client import Kubernetes
from afkit.kube.findings import Found, verdict
from afkit.kube.nodes import node_uses
from afkit.kube.pending import explain_pod, explain_refusal
from afkit.kube.project import events_of, node, pods_of
from afkit.names import FACILITY_LABEL

__all__ = ["Running", "Trial"]

Trial = tuple[str, Mapping[str, Any]]
"""What a server is, and its Pod as it would be sent."""
_APPLY: Final = "Apply what `afkit render FILE --target manifests` prints, or install the chart with the values of `--target z2jh`."
_MOST_AT_ONCE: Final = 8


class Running:
    """Looks at Deployments of these names in this namespace, and has Pods judged as that identity."""

    def __init__(self, kube: Kubernetes, facility: str, namespace: str, names: Sequence[str]) -> None:
        self._kube = kube
        self._facility = facility
        self._namespace = namespace
        self._names = names

    async def deployments(self) -> tuple[Found, ...]:
        """Whether each is there and all of it is available; else why its newest pod is not."""
        bad = [fault for name in self._names for fault in await self._faults(name)]
        return verdict("deployments", bad, f"{', '.join(self._names)}: available.", _APPLY if "no Deployment" in "".join(bad[:1]) else "")

    async def _faults(self, name: str) -> list[str]:
        found = await self._kube.find("Deployment", name, self._namespace)
        if found is None:
            return [f"There is no Deployment {name} in the namespace {self._namespace}."]
        spec, status = found.get("spec") or {}, found.get("status") or {}
        wanted = spec.get("replicas", 1)
        if not wanted:
            return [f"The Deployment {name} is scaled to nothing: kubectl -n {self._namespace} scale deployment {name} --replicas=1"]
        if status.get("availableReplicas", 0) >= wanted and status.get("updatedReplicas", 0) >= wanted:
            return []
        return [f"The Deployment {name} is not available. {await self._why(spec, status)}"]

    async def _why(self, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
        labels = ",".join(f"{key}={value}" for key, value in ((spec.get("selector") or {}).get("matchLabels") or {}).items())
        pods = (await self._kube.list("Pod", self._namespace, labels=labels))["items"] if labels else []
        if not pods:
            said = [one.get("message") for one in status.get("conditions") or () if one.get("type") in ("ReplicaFailure", "Progressing")]
            return f"It has no pod: {said[-1] if said else 'its controller has not made one yet'}."
        newest = max(pods, key=lambda one: str(one["metadata"].get("creationTimestamp")))
        return await self._explained(newest)

    async def _explained(self, raw: Mapping[str, Any]) -> str:
        keep, events = pods_of(FACILITY_LABEL, self._facility), events_of(self._namespace.__eq__)
        name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
        found = (await self._kube.list("Event", self._namespace, fields=f"involvedObject.name={name}"))["items"]
        about = [kept for one in found if (kept := events(one)) is not None and one["involvedObject"].get("uid") == uid]
        pod = keep(raw) or raw
        explained = explain_pod(pod, about, await self._nodes(), now=time.time())
        return explained.sentence if explained.code != "ready" else "Its pod is ready; it takes a moment until it counts."

    async def _nodes(self) -> Any:
        try:
            return node_uses([node(one) for one in (await self._kube.list("Node"))["items"]], ())
        except KubernetesError:
            return None

    async def servers(self, trials: Iterable[Trial], user: str, me: str) -> tuple[Found, ...]:
        """Whether the API server would take each Pod from the hub (``user``); nothing is made."""
        known = tuple(trials)
        if not known:
            message = "Nobody has a namespace yet, and the hub has the right to make servers only in these."
            return (Found("servers", "unknown", message, "Log in and start one server, then look again."),)
        kube = self._kube if user == me else self._kube.acting_as(user)
        try:
            refused = await self._refused(kube, known)
        finally:
            if kube is not self._kube:
                await kube.close()
        place = known[0][1]["metadata"]["namespace"]
        good = f"The API server would take all {len(known)} kinds of server from the hub in {place}."
        return verdict("servers", refused, good, "Correct the facility file, or give the cluster what it names.")

    async def _refused(self, kube: Kubernetes, trials: Sequence[Trial]) -> list[str]:
        gate = asyncio.Semaphore(_MOST_AT_ONCE)

        async def tried(trial: Trial) -> str:
            async with gate:
                return await _refusal(kube, *trial)

        return list(filter(None, await asyncio.gather(*map(tried, trials))))


async def _refusal(kube: Kubernetes, what: str, pod: Mapping[str, Any]) -> str:
    try:
        await kube.create(pod, dry_run=True)
    except KubernetesError as error:
        if error.status in (0, 401, 429) or error.status >= 500 or "cannot impersonate" in error.message:
            raise
        found = explain_refusal(error)
        # the person whose namespace it is uses all that they may have: that is no fault of the file
        return "" if found.code == "quota" else f"A server of {what} would be refused. {found.sentence}"
    return ""
