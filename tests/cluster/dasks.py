"""Somebody's Dask clusters in the deployed facility: what the service says of them, and what is there of them in Kubernetes."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from tests.cluster.hubs import HubInPod
from tests.cluster.inside import in_network
from tools.kubernetes.api import Object

SERVICE = "app.kubernetes.io%2Fcomponent%3Ddask"
KINDS = {
    "pods": "/api/v1/namespaces/{}/pods",
    "services": "/api/v1/namespaces/{}/services",
    "secrets": "/api/v1/namespaces/{}/secrets",
    "deployments": "/apis/apps/v1/namespaces/{}/deployments",
    "daskclusters": "/apis/kubernetes.dask.org/v1/namespaces/{}/daskclusters",
}
"""What clusters are made of, and where it is."""


class Clusters:
    """A person's clusters, as a script with a token of theirs asks the service, through the proxy."""

    def __init__(self, hub: HubInPod, user: str) -> None:
        hub.add(user)
        self.hub, self.user = hub, user
        headers = {"Authorization": f"token {hub.token_of(user)}"}
        self.client = httpx.Client(base_url=f"{hub.url}/services/dask/", headers=headers, timeout=60)

    def make(self, name: str, *, low: int = 1, high: int = 1, key: str = "", **more: Any) -> httpx.Response:
        """Ask for a cluster of small workers that lives as long as the server."""
        group = {"name": "default", "low": low, "high": high, "cores": 250, "memory": 400 << 20}
        body = {"name": name, "id": key or str(uuid.uuid4()), "groups": [group], "life": "server", **more}
        return self.client.post("clusters", json=body)

    def scale(self, name: str, number: int) -> httpx.Response:
        return self.client.patch(f"clusters/{name}", json={"groups": [{"name": "default", "low": number, "high": number}]})

    def delete(self, name: str) -> httpx.Response:
        return self.client.delete(f"clusters/{name}")

    def names(self) -> set[str]:
        """Of all that live."""
        return {one["name"] for one in self.client.get("clusters").json()["clusters"]}

    def until(self, name: str, right: Callable[[Mapping[str, Any]], bool], seconds: float = 60) -> Mapping[str, Any]:
        """How the cluster looks once it is right; hears of each change."""
        deadline, version = time.monotonic() + seconds, 0
        while True:
            left = deadline - time.monotonic()
            answer = self.client.get(f"clusters/{name}", params={"since": version, "wait": f"{max(0.1, min(left, 20)):.1f}"})
            if answer.status_code == 200:
                state: Mapping[str, Any] = answer.json()
                if right(state):
                    return state
                version = state["version"]
            assert time.monotonic() < deadline, f"not within {seconds} s: {json.dumps(answer.json(), indent=1)}\n{self.told(name)}"

    def told(self, name: str) -> str:
        """What the cluster's pods have said last."""
        return json.dumps(self.client.get(f"clusters/{name}/logs", params={"lines": 15}).json(), indent=1)[-6000:]

    # in Kubernetes

    def pods(self, name: str, component: str = "") -> list[Object]:
        labels = f"dask.org%2Fcluster-name%3D{name}" + (f"%2Cdask.org%2Fcomponent%3D{component}" if component else "")
        return list(self.hub.api.get(f"/api/v1/namespaces/{self.hub.place(self.user)}/pods?labelSelector={labels}")["items"])

    def left(self, name: str) -> dict[str, list[str]]:
        """Everything of a cluster that is there."""
        found = {}
        for kind, path in KINDS.items():
            items = self.hub.api.get(f"{path.format(self.hub.place(self.user))}?labelSelector=afkit.io%2Fcluster%3D{name}")["items"]
            if items:
                found[kind] = [one["metadata"]["name"] for one in items]
        return found


def running(state: Mapping[str, Any]) -> bool:
    return bool(state["phase"] == "running")


def ready(number: int) -> Callable[[Mapping[str, Any]], bool]:
    """Whether so many workers work, and no more are there."""
    return lambda state: all((group["ready"], group["pods"]) == (number, number) for group in state["groups"])


REACH = """if True:
    import json, socket, sys
    from concurrent.futures import ThreadPoolExecutor

    def one(place):
        try:
            socket.create_connection(tuple(place), 2).close()
        except TimeoutError:
            return False
        return True

    places = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(places)) as pool:
        print(json.dumps(list(pool.map(one, places))))
"""


def reached(pod: Object, places: Sequence[tuple[str, int]]) -> list[bool]:
    """Whether each host and port takes a connection from a pod; a refused one is an error, for something listens at all of them."""
    answers: list[bool] = json.loads(in_network(pod, sys.executable, "-I", "-c", REACH, json.dumps(places)))
    return answers


def service_pod(hub: HubInPod) -> Object | None:
    """The Dask service's own pod."""
    found = hub.api.get(f"/api/v1/namespaces/{hub.namespace}/pods?labelSelector={SERVICE}")["items"]
    return next((one for one in found if "deletionTimestamp" not in one["metadata"]), None)
