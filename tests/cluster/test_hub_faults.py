"""The hub dies at every step of a start and of a stop, and the API server for a minute: no orphan, no duplicate, nobody cut off."""

from __future__ import annotations

import signal
import time

import httpx
import pytest

from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = [pytest.mark.timeout(400, func_only=True), pytest.mark.slow("the hub is started anew in each, with real pods around it")]

STARTS = [
    ("POST", "PersistentVolumeClaim", "before"),
    ("POST", "PersistentVolumeClaim", "after"),
    ("POST", "Pod", "before"),
    ("POST", "Pod", "after"),
    # the next call after the Pod's: what is there is the same
    pytest.param("POST", "Secret", "before", marks=pytest.mark.full),
    ("POST", "Secret", "after"),
]


@pytest.fixture(autouse=True)
def nothing_runs(hub: HubInPod) -> None:
    hub.stop_all()


@pytest.mark.parametrize(("method", "kind", "when"), STARTS)
def test_the_hub_dies_in_a_start(hub: HubInPod, method: str, kind: str, when: str) -> None:
    user = _fresh(hub) if kind == "PersistentVolumeClaim" else "ada"
    with hub.dying(method, kind, when), pytest.raises(httpx.HTTPError):
        answer = hub.start(user, {"profile": "plain"})
        # the proxy says it where the connection ends in between
        answer.raise_for_status()
    until(lambda: _settled(hub), 150, "every server runs or is gone")
    for pod in hub.pods():
        assert pod["status"]["phase"] == "Running", pod["status"]
    # whatever became of it, there is one pod for one server, and it can be stopped
    running = [user["name"] for user in hub.client.get("/users?state=ready").json()]
    assert len(hub.pods()) == len(running) <= 1
    for name in running:
        assert hub.stop(name).status_code in (202, 204)
    until(lambda: not hub.pods(), 60, "no orphan")
    until(lambda: set(hub.objects(user, "secrets")) <= {"object-store"}, 30, "no secret of a server is left")


def _fresh(hub: HubInPod) -> str:
    """Somebody whose home does not exist: the claim of `noor` is removed."""
    hub.add("noor")
    if "afkit-home" in hub.objects("noor", "persistentvolumeclaims"):
        hub.api.delete(f"/api/v1/namespaces/{hub.place('noor')}/persistentvolumeclaims/afkit-home")
        until(lambda: "afkit-home" not in hub.objects("noor", "persistentvolumeclaims"), 30, "the home is gone")
    return "noor"


def _settled(hub: HubInPod) -> bool:
    """Every server that the hub knows is ready, and every pod belongs to one."""
    users = hub.client.get("/users").json()
    servers = [server for user in users for server in (user.get("servers") or {}).values()]
    return not any(one["pending"] for one in servers) and len(hub.pods()) == sum(bool(one["ready"]) for one in servers)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_hub_dies_in_a_stop(hub: HubInPod, when: str) -> None:
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    with hub.dying("DELETE", "Pod", when), pytest.raises(httpx.HTTPError):
        hub.stop("ada").raise_for_status()
    until(lambda: hub.server("ada") is None and not hub.pods("ada"), 90, "the server is gone as it was asked to")
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    assert len(hub.pods("ada")) == 1


def test_the_api_server_is_away_for_a_minute(hub: HubInPod) -> None:
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    hub.cluster.end_program("kube-apiserver", signal.SIGKILL)
    ended = time.monotonic()
    try:
        with hub.starting("grace", {"profile": "plain"}) as refused:
            while time.monotonic() - ended < 60:
                assert httpx.get(f"{hub.url}/hub/login", timeout=10).status_code == 200
                assert httpx.get(f"{hub.url}/user/ada/api", timeout=10).status_code == 200
                time.sleep(2)
    finally:
        hub.cluster.start_program("kube-apiserver")
    (answer,) = refused
    assert answer.status_code == 424, answer.text
    assert "API server" in answer.json()["message"]
    until(hub.has_api, 90, "the API server is back")
    assert len(hub.pods()) == 1
    assert hub.server("ada") is not None
    until(hub.has_node, 240, "the node has been heard again")
    # for some seconds an API server that has just started knows no rights, and kubelets take their time to ask it again
    until(lambda: hub.start("grace", {"profile": "plain"}).status_code < 400, 60, "starts work again")
    until(lambda: (hub.server("grace") or {}).get("ready"), 150, "the server is there")
