"""The hub in its pod with the face of the hubs on one machine, so that the same tests can be asked of both."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.cluster.hubs import EVENTS, HubInPod
from tests.hub.anyhub import PEOPLE, AnyHub, Facts

FACTS = Facts(
    contact="af-support@example.org",
    only_grace={
        "a profile": ({"profile": "training", "pool": "gpu"}, "not-entitled"),
        "a size": ({"profile": "analysis", "size": "large"}, "unknown-choice"),
        "an image": ({"profile": "analysis", "image": "own"}, "unknown-choice"),
        "an image's reference": ({"profile": "analysis", "image": "docker.io/local/hers:1"}, "unknown-choice"),
    },
    another={"profile": "analysis", "interface": "code"},
    twice=("ada", {"profile": "plain"}),
    undecodable=(500,),  # the proxy's own answer: the hub never sees the request
)
"""Of ``facility.yaml``, which stands beside this file."""
KEPT = ("pods", "namespaces", "secrets", "persistentvolumeclaims")
"""Of what nothing more may exist after requests that are refused."""


class PodHub(AnyHub):
    """A deployed facility; everybody has the same password."""

    facts = FACTS
    patience = 150

    def __init__(self, hub: HubInPod) -> None:
        super().__init__()
        self.pod = hub
        self.url, self.token = hub.url, hub.token
        # not through the proxy, which has its own opinion of addresses
        self.hub_url = hub.cluster.forward(f"{hub.namespace}/afkit-hub")
        self.passwords = dict.fromkeys(PEOPLE, hub.deployed.password)
        self.database, self.events_file = hub.state / "jupyterhub.sqlite", hub.state / EVENTS
        self.began = datetime.now(UTC)
        for name in PEOPLE:
            hub.add(name)

    def identity(self) -> object:
        """The container and how often it was begun again."""
        pod = self.pod.hub_pod()
        (status,) = (pod or {}).get("status", {}).get("containerStatuses") or [None]
        return (status["containerID"], status["restartCount"]) if status and status["ready"] else None

    def running(self) -> set[str]:
        """Uids of the servers' pods."""
        return {pod["metadata"]["uid"] for pod in self.pod.pods()}

    def printed(self) -> str:
        """What the hub has printed since this was made."""
        return self.pod.log(since=self.began)

    def around(self) -> set[str]:
        """Every pod, namespace, secret and claim of the whole cluster."""
        found = [(kind, one["metadata"]) for kind in KEPT for one in self.pod.api.get(f"/api/v1/{kind}")["items"]]
        return {f"{kind} {one.get('namespace', '')}/{one['name']}" for kind, one in found}
