"""Facilities beside that of facility.yaml, and their starts as a page and a script see them."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from afkit.pods.layout import sessions_namespace
from tests.cluster.hubs import HubInPod
from tests.cluster.site import clear
from tests.hub.harness import until
from tests.support.secrets import Secrets
from tools.kubernetes.api import Object
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.deploy import deploy
from tools.kubernetes.nodes import FAKE, FAKE_TAINT

CONFIGURATION = """
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 140, "slow_stop_timeout": 90}
c.AfkitKubeSpawner.poll_interval = 5
c.AfkitKubeSpawner.lifetime_interval = 2
"""
"""Requests for a start or stop wait for its end, and lifetimes of seconds are kept."""
KEPT = ("persistentvolumeclaims", "secrets", "configmaps", "pods")


class Facility(HubInPod):
    """A facility among several of the cluster: its pods are those with its name."""

    def pods(self, user: str = "") -> list[Object]:
        """The servers' pods, of everybody or of one."""
        labels = f"component%3Dsingleuser-server%2Cafkit.io%2Ffacility%3D{self.facility.name}"
        owner = f"%2Cafkit.io%2Fowner%3D{self.owner(user)}" if user else ""
        return list(self.api.get(f"/api/v1/pods?labelSelector={labels}{owner}")["items"])

    def place(self, user: str) -> str:
        """Where a person's servers are."""
        return sessions_namespace(self.facility, super().place(user))

    def left(self, user: str) -> dict[str, set[str]]:
        """What a person's namespace holds of what servers are made of."""
        return {kind: set(self.objects(user, kind)) for kind in KEPT}

    def begin(self, user: str, options: Mapping[str, str]) -> Start:
        """Ask for a server and look at its page meanwhile."""
        self.add(user)
        return Start(self, user, options)

    def how_it_ended(self, user: str) -> str:
        """What the hub keeps of a server that ended though nobody had asked it to."""
        servers = self.client.get(f"/users/{user}?include_stopped_servers=1").json()["servers"]
        end = (servers.get("", {}).get("state") or {}).get("afkit", {}).get("end") or {}
        return str(end.get("message", ""))

    def page(self, user: str, path: str = "/hub/home") -> str:
        """A page of the hub as this person sees it."""
        with httpx.Client(base_url=self.url, timeout=60, headers={"Sec-Fetch-Mode": "navigate"}, follow_redirects=True) as browser:
            browser.get("/hub/login")
            cookies = [cookie for cookie in browser.cookies.jar if cookie.name == "_xsrf"]
            token = max(cookies, key=lambda cookie: len(cookie.path)).value or ""
            fields = {"username": user, "password": self.deployed.password, "_xsrf": token}
            answer = browser.post("/hub/login", data=fields, params={"next": path})
            assert answer.status_code < 500, answer.text[-2000:]
            return browser.get(path).text


class Start:
    """A start that goes on: ``said`` is what its page is told, ``answer`` what the script gets, when it is over."""

    def __init__(self, hub: Facility, user: str, options: Mapping[str, str]) -> None:
        self.hub, self.user, self.options = hub, user, options
        self.said: list[str] = []
        self.begun = time.monotonic()
        self.seconds = 0.0
        self._answers: list[httpx.Response] = []
        self._threads = [threading.Thread(target=self._ask, daemon=True), threading.Thread(target=self._look, daemon=True)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        self._answers.append(self.hub.client.post(f"/users/{self.user}/server", json=dict(self.options)))
        self.seconds = time.monotonic() - self.begun

    def _look(self) -> None:
        while not self._answers and not (self.hub.server(self.user) or {}).get("pending"):
            time.sleep(0.05)
        path, headers = f"{self.hub.url}/hub/api/users/{self.user}/server/progress", {"Authorization": f"token {self.hub.token}"}
        with contextlib.suppress(httpx.HTTPError), httpx.stream("GET", path, headers=headers, timeout=150) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    self.said.append(str(json.loads(line.removeprefix("data:"))["message"]))

    @property
    def page(self) -> str:
        """All that the page was told so far."""
        return "\n".join(self.said)

    def told(self, text: str, seconds: float = 60) -> str:
        """The sentence of the page with this text in it, as soon as it is there."""

        def found() -> str | None:
            assert not self._answers, f"the start is over: {self._answers[0].text}\n{self.page}"
            return next((one for one in self.said if text in one), None)

        return str(until(found, seconds, f"the page says {text!r}; it says\n{self.page}"))

    def pod(self, seconds: float = 30) -> Object:
        """The server's pod once it has a node."""
        bound = lambda: [one for one in self.hub.pods(self.user) if one["spec"].get("nodeName")]  # noqa: E731
        pods: list[Object] = until(bound, seconds, "the pod has a node")
        return pods[0]

    @property
    def answer(self) -> httpx.Response:
        """What the script is told in the end; waits for it."""
        for thread in self._threads:
            thread.join(150)
        assert self._answers, f"no answer in {time.monotonic() - self.begun:.0f} s\n{self.page}"
        return self._answers[0]

    def failed(self) -> str:
        """The sentence with which the start failed; it is on its page too."""
        answer = self.answer
        assert answer.status_code == 424, f"{answer.status_code} {answer.text}\n{self.page}"
        message = str(answer.json()["message"])
        assert message.partition("\n")[0] in self.page, self.page
        return message


@contextmanager
def beside(cluster: Cluster, file: Path, secrets_seen: Secrets) -> Iterator[Facility]:
    """The facility of a file in the cluster, beside others; nothing of it is left afterwards."""
    made = deploy(
        cluster,
        file,
        say=lambda line: print(f"afkit: {line}", file=sys.stderr, flush=True),
        configuration=CONFIGURATION,
        change=_asks_little,
    )
    secrets_seen.add(made.password, made.token)
    hub = Facility(cluster, made)
    try:
        hub.back()
        yield hub
        hub.stop_all()
    finally:
        clear(cluster.api, made.facility)
        # the address was that of a service which is gone
        (cluster.layout.state / f"url-{hub.namespace}").unlink(missing_ok=True)


def _asks_little(one: Object) -> Object:
    """Programs that ask for hardly any CPU: three facilities, and people's servers, share the one real node."""
    if one["kind"] == "Deployment":
        for container in one["spec"]["template"]["spec"]["containers"]:
            container.get("resources", {}).get("requests", {})["cpu"] = "10m"
    return one


@contextmanager
def node(cluster: Cluster, name: str, label: str, *taints: Mapping[str, str], cpu: str = "4", played: bool = False) -> Iterator[str]:
    """A node of a pool. The scheduler binds pods to it; nothing happens to them there unless it is ``played`` (by kwok)."""
    size = {"cpu": cpu, "memory": "8Gi", "ephemeral-storage": "20Gi", "pods": "20"}
    labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name, label: "true"}
    metadata = {"name": name, "labels": labels, "annotations": {FAKE: "fake"} if played else {}}
    api = cluster.api
    api.request("POST", "/api/v1/nodes", {"metadata": metadata, "spec": {"taints": [FAKE_TAINT, *taints]}})
    try:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now, "lastTransitionTime": now}
        status = {"capacity": size, "allocatable": size, "conditions": [ready]}
        api.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, kind="application/merge-patch+json")
        until(lambda: not _fresh(api.get(f"/api/v1/nodes/{name}")), 30, "the node is taken in")
        yield name
    finally:
        api.delete(f"/api/v1/nodes/{name}")


def _fresh(found: Object) -> bool:
    """Whether a node still has the taint that a new one gets."""
    return any(one["key"].startswith("node.kubernetes.io/") for one in found["spec"]["taints"])
