"""What the hub says of a server that does not start, has ended, or does not end: `afkit.kube.pending` in the words of its pages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from afkit.errors import AfkitError, DeadlineError, KubernetesError, PlatformError
from afkit.hub.kubernetes.cluster import Cluster
from afkit.hub.kubernetes.plan import Plan
from afkit.hub.serverlog import redact
from afkit.kube.pending import Pending, explain_gone, explain_pod, explain_refusal, explain_stop
from afkit.kube.pending_model import claims_of
from afkit.kube.watch import Key
from afkit.quantities import format_duration

__all__ = ["end_of", "ended_early", "failure", "hopeless", "last_lines", "pending", "soon", "steps", "stuck", "unreached"]

Pod = Mapping[str, Any]
Events = Sequence[Mapping[str, Any]]

_LOOKS: Final = 2.0
"""Seconds after which a start is looked at again though nothing was heard: silence has causes too."""
_SAYS: Final = 15.0
"""Seconds after which the same cause is said again, with how long it lasts."""
_REFUSALS: Final = 2
"""So often the repositories have to be found dead: the first look may find a client that is just mounting them."""


def pending(cluster: Cluster, key: Key, plan: Plan) -> Pending:
    """Why the server is not there yet, now."""
    pod = cluster.pods.objects.get(key)
    return explain_pod(
        pod,
        _events(cluster, key),
        cluster.stock.nodes(),
        plan.selection.pool,
        now=time.time(),
        claims=_claim_events(cluster, key[0], pod),
        contact=plan.facility.contact,
    )


def _claim_events(cluster: Cluster, namespace: str, pod: Mapping[str, Any] | None) -> dict[str, Events]:
    """What is said of the claims that a pod mounts, by claim."""
    found = {name: cluster.events_of((namespace, name)) for name in (claims_of(pod) if pod is not None else ())}
    return {name: [one for one in events if one["involvedObject"].get("kind") == "PersistentVolumeClaim"] for name, events in found.items()}


def hopeless(cluster: Cluster, key: Key, plan: Plan) -> PlatformError | None:
    """Why waiting for the server will not help; ``None``: it may."""
    dead = _dead_repositories(_events(cluster, key))
    if dead is not None:
        return dead
    found = pending(cluster, key, plan)
    return PlatformError(found.sentence, found.hint) if found.final else None


def _events(cluster: Cluster, key: Key) -> Events:
    """Those of the pod that exists; one before it may have had the same name."""
    pod = cluster.pods.objects.get(key)
    return () if pod is None else cluster.events_of(key, pod["metadata"]["uid"])


def ended_early(cluster: Cluster, key: Key, plan: Plan, last: Pod | None) -> PlatformError:
    """Why the server's pod ended before it was ready. ``last``: as it was last seen."""
    found = pending(cluster, key, plan) if key in cluster.pods.objects else explain_gone(last)
    return PlatformError(found.sentence, found.hint)


def unreached(address: str, contact: str) -> PlatformError:
    """That a server runs which the hub does not reach at ``HOST:PORT``."""
    whom = f"Ask {contact}" if contact else "Ask the administrators"
    hint = f"{whom}: network policies, or the cluster's network, may keep the hub away from servers' pods."
    return PlatformError(f"The server runs, but it does not answer the hub at {address}.", hint)


def failure(error: AfkitError, cluster: Cluster, key: Key, plan: Plan) -> str:
    """The sentence for a start that failed."""
    if isinstance(error, DeadlineError):
        seconds = plan.facility.kubernetes.start_timeout if plan.facility.kubernetes else 0
        late = f"The server did not start within {format_duration(seconds)}."
        if cluster.pods.objects.get(key) is None:
            return f"{late} {error}"
        found = pending(cluster, key, plan)
        return f"{late} {found.sentence} {found.hint}".strip()
    if isinstance(error, KubernetesError):
        found = explain_refusal(error, plan.facility.contact)
        return f"The server was not started. {found.sentence} {found.hint}".strip()
    return str(error)


def end_of(pod: Pod | None, events: Events, status: int, contact: str) -> str:
    """How a server that had been running ended. ``pod``: as it was last seen."""
    if pod is None:
        return explain_pod(None, now=time.time()).sentence
    if status == 0 and pod["status"].get("phase") != "Failed" and "deletionTimestamp" not in pod["metadata"]:
        return "The server ended by itself."
    found = explain_pod(pod, events, now=time.time(), contact=contact)
    if found.code in ("ready", "starting", "stopping"):
        found = explain_gone(pod)
    return f"{found.sentence} {found.hint}".strip()


def stuck(pod: Pod | None, cluster: Cluster, error: AfkitError, contact: str) -> str:
    """Why a server that was stopped is not gone yet."""
    if pod is None or "deletionTimestamp" not in pod["metadata"]:
        return f"Whether the server has ended is not known yet: {error}"
    found = explain_stop(pod, now=time.time(), nodes=cluster.stock.nodes(), contact=contact)
    return f"{found.sentence} {found.hint}".strip()


async def steps(cluster: Cluster, key: Key, plan: Plan, done: asyncio.Future[Any]) -> AsyncIterator[dict[str, Any]]:
    """What a start waits for, for its page, whenever that changes, until the start is over."""
    changed = asyncio.Event()
    done.add_done_callback(lambda _: changed.set())
    said, at, text = "", 0.0, ""
    with cluster.listening(key, changed.set):
        while not done.done():
            found = pending(cluster, key, plan) if key in cluster.pods.objects else None
            now = time.monotonic()
            if found is not None and found.code != "ready" and (found.code != said or (now - at > _SAYS and found.sentence != text)):
                said, at, text = found.code, now, found.sentence
                yield {"progress": found.progress, "message": f"{text} {found.hint}".strip()}
            changed.clear()
            await soon(changed, _LOOKS)


async def soon(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def last_lines(text: str, most: int) -> tuple[str, ...]:
    """The last lines of a log, without secrets."""
    return tuple(redact(line.rstrip())[:400] for line in text.splitlines() if line.strip())[-most:]


def _dead_repositories(events: Events) -> PlatformError | None:
    """What the server's own check of its CVMFS repositories says (`afkit.session.cvmfs`), where it refuses the server."""
    for event in events:
        if event.get("reason") != "Unhealthy" or _times(event) < _REFUSALS:
            continue
        found = _refusal_of(str(event.get("message") or ""))
        if found is not None:
            return found
    return None


def _refusal_of(message: str) -> PlatformError | None:
    if "timed out" in message:
        return PlatformError("CVMFS does not answer: looking at its repositories takes too long.", "")
    said = _json(message)
    if not said.get("refused"):
        return None
    names = ", ".join(name for name, state in (said.get("repositories") or {}).items() if state != "ok")
    cause = f"CVMFS does not answer ({names}): {said.get('message') or 'no cause is known'}"
    return PlatformError(cause, str(said.get("remedy") or ""))


def _times(event: Mapping[str, Any]) -> int:
    series = event.get("series") or {}
    return max(int(event.get("count") or 1), int(series.get("count") or 1))


def _json(message: str) -> dict[str, Any]:
    start = message.find("{")
    try:
        found = json.loads(message[start:].strip()) if start >= 0 else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
