"""The facility in its pods, as people, scripts and administrators see it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from afkit.facility.model import Facility
from afkit.names import HUB_ISSUER, owner, user_namespace
from tests.hub.harness import Kernel, until
from tools.kubernetes.api import Api, ApiError
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.deploy import Deployment
from tools.kubernetes.layout import NODE

CVMFS = ("cms.example.org", "sft.example.org")
FAULT = "fault.json"
"""In the hub's state: at which of its calls to the API server it dies (see `FAULTS`)."""
EVENTS = "events.jsonl"
"""In the hub's state: what it publishes."""
FAULTS = f"""
import json, logging, os, pathlib
from afkit.kube.transport import Transport

fault, send = pathlib.Path("/srv/jupyterhub/{FAULT}"), Transport.send


async def dying(self, call, deadline=None):
    if call.method == "GET" or call.kind == "Event" or not fault.exists():
        return await send(self, call, deadline)
    wanted = json.loads(fault.read_text())
    if [call.method, call.kind] != wanted["call"]:
        return await send(self, call, deadline)
    fault.unlink()
    if wanted["when"] == "after":
        await send(self, call, deadline)
    os._exit(9)


Transport.send = dying
c.EventLogger.handlers = [logging.FileHandler("/srv/jupyterhub/{EVENTS}")]
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 90, "slow_stop_timeout": 90}}
c.AfkitKubeSpawner.poll_interval = 5
"""
"""Configuration of the hub under test: it dies where a test says, writes its events to a file, and requests for a start
or stop wait for its end."""


class HubInPod:
    """A deployed facility: its REST API with all rights, the cluster around it, and what may be done to it."""

    def __init__(self, cluster: Cluster, deployed: Deployment) -> None:
        self.cluster, self.deployed = cluster, deployed
        self.url, self.token = deployed.url.rstrip("/"), deployed.token
        self.client = httpx.Client(base_url=f"{self.url}/hub/api", headers={"Authorization": f"token {self.token}"}, timeout=150)

    @property
    def api(self) -> Api:
        """The API server, with all rights."""
        return self.cluster.api

    @property
    def facility(self) -> Facility:
        return self.deployed.facility

    @property
    def namespace(self) -> str:
        """Where the hub is."""
        assert self.facility.kubernetes is not None
        return self.facility.kubernetes.namespace

    def place(self, user: str) -> str:
        """A person's namespace."""
        return user_namespace(self.facility.name, self.owner(user))

    def owner(self, user: str) -> str:
        return owner(self.facility.name, HUB_ISSUER, user)

    # scripts

    def token_of(self, user: str) -> str:
        """A token of a person's own."""
        answer = self.client.post(f"/users/{user}/tokens", json={"note": "tests"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def add(self, user: str) -> None:
        self.client.post(f"/users/{user}")

    def start(self, user: str, options: object = None, server: str = "") -> httpx.Response:
        """Ask for a server; answers when it is ready or has failed."""
        self.add(user)
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        return self.client.post(path, json={} if options is None else options)

    @contextmanager
    def starting(self, user: str, options: object, server: str = "") -> Iterator[list[httpx.Response]]:
        """A start that goes on meanwhile; its answer is in the list afterwards."""
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(self.start(user, options, server)))
        asking.start()
        yield answers
        asking.join()

    def stop(self, user: str, server: str = "") -> httpx.Response:
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        return self.client.delete(path)

    def server(self, user: str, server: str = "") -> Mapping[str, Any] | None:
        """The server as the hub sees it."""
        answer = self.client.get(f"/users/{user}")
        found = answer.json().get("servers", {}).get(server) if answer.status_code == 200 else None
        return found if found and (found["ready"] or found["pending"]) else None

    def stop_all(self) -> None:
        """Stop every server and wait until no pod of anybody is left."""
        for user in self.client.get("/users?state=active").json():
            for server in user["servers"]:
                self.stop(user["name"], server)
        until(lambda: not self.pods(), 60, "all servers are gone")

    def never_here_before(self, *users: str) -> None:
        """No server runs, and nothing that a test before left lies in these people's homes: JupyterLab opens what was open."""
        self.stop_all()
        for user in users:
            home = f"/api/v1/namespaces/{self.place(user)}/persistentvolumeclaims/afkit-home"
            self.api.delete(home)
            self.api.until(home, lambda found: found is None)

    def kernel(self, user: str) -> Kernel:
        """A kernel in a person's server."""
        return Kernel(self, user)  # type: ignore[arg-type]  # it takes a URL and tokens

    # the cluster

    def pods(self, user: str = "") -> list[dict[str, Any]]:
        """The servers' pods, of everybody or of one."""
        chosen = "labelSelector=component%3Dsingleuser-server"
        where = f"namespaces/{self.place(user)}/" if user else ""
        return list(self.api.get(f"/api/v1/{where}pods?{chosen}")["items"])

    def has_api(self) -> bool:
        """Whether the API server answers."""
        try:
            return bool(self.api.get("/api/v1/namespaces/default"))
        except ApiError:
            return False

    def has_node(self) -> bool:
        """Whether the node that runs pods is Ready."""
        conditions = self.api.get(f"/api/v1/nodes/{NODE}")["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def objects(self, user: str, kind: str) -> list[str]:
        """Names of what a person's namespace holds."""
        return [one["metadata"]["name"] for one in self.api.get(f"/api/v1/namespaces/{self.place(user)}/{kind}")["items"]]

    def log(self, since: datetime | None = None) -> str:
        """What the hub has printed since it started, or since some time later."""
        pod = self.hub_pod()
        more = [f"--since-time={since:%Y-%m-%dT%H:%M:%SZ}"] if since else []
        return "" if pod is None else _text(self.cluster, self.namespace, pod["metadata"]["name"], *more)

    def hub_pod(self) -> dict[str, Any] | None:
        found = self.api.get(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dhub")["items"]
        return next((one for one in found if "deletionTimestamp" not in one["metadata"]), None)

    def answers(self) -> bool:
        """Whether the hub answers through the proxy."""
        try:
            return httpx.get(f"{self.url}/hub/api/", timeout=3).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """Let the hub die at once and wait for the next one."""
        pod = self.hub_pod()
        if pod is not None:
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
            self.api.request("DELETE", path, {"gracePeriodSeconds": 0})
        self.back(pod)

    def back(self, before: Mapping[str, Any] | None = None) -> None:
        """Wait for a hub that answers (another one than ``before``)."""

        def ready() -> bool:
            pod = self.hub_pod()
            if pod is None or (before is not None and pod["metadata"]["uid"] == before["metadata"]["uid"]):
                return False
            states = pod["status"].get("containerStatuses") or [{}]
            return bool(states[0].get("ready")) and self.answers()

        until(ready, 90, "the hub is back")

    @contextmanager
    def dying(self, method: str, kind: str, when: str) -> Iterator[None]:
        """Inside, the hub dies before or after its next call of that kind; afterwards there is another hub."""
        file = self.state / FAULT
        file.write_text(json.dumps({"call": [method, kind], "when": when}))
        file.chmod(0o666)
        before = self.hub_pod()
        yield
        until(lambda: not file.exists(), 60, f"the hub dies {when} {method} {kind}")
        # a container that ended in an error is begun again later and later: another pod is not
        assert before is not None
        self.api.request("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{before['metadata']['name']}", {"gracePeriodSeconds": 0})
        self.back(before)

    @property
    def state(self) -> Path:
        """The folder of the hub's state, on the machine."""
        claim = self.api.get(f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims/afkit-hub")
        volume = self.api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        return Path(volume["spec"]["local"]["path"])


def _text(cluster: Cluster, namespace: str, pod: str, *more: str) -> str:
    kubectl = [cluster.kubectl, "--kubeconfig", cluster.inside_kubeconfig]
    return cluster.run([*kubectl, "-n", namespace, "logs", pod, *more])
