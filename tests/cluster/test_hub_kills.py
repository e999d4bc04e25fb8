"""Kill -9 of the proxy, of a server, of a kernel and of a worker, in their pods: what is left is consistent, and the page says why."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from afkit.hub.events import SERVER_END
from tests.cluster.hubs import HubInPod
from tests.cluster.inside import processes_of
from tests.cluster.podhub import PodHub
from tests.hub.harness import until
from tools.kubernetes.api import Object

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("real servers, and a proxy that learns its routes anew")]


@pytest.fixture(scope="module")
def pods(hub: HubInPod) -> PodHub:
    return PodHub(hub)


@pytest.fixture(autouse=True)
def nothing_runs(hub: HubInPod) -> Iterator[None]:
    hub.stop_all()
    yield
    hub.stop_all()


def found(pod: Object, *words: str) -> list[psutil.Process]:
    """The processes of a pod in whose command line one of these words stands; dead ones that nobody has buried too."""
    there = []
    for number in processes_of(pod):
        try:
            process = psutil.Process(number)
            if process.status() == psutil.STATUS_ZOMBIE or any(word in " ".join(process.cmdline()) for word in words):
                there.append(process)
        except psutil.Error:
            continue
    return there


def test_a_proxy_that_is_killed_learns_its_routes_anew(hub: HubInPod, pods: PodHub) -> None:
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    identity = pods.identity()
    (proxy,) = hub.api.get(f"/api/v1/namespaces/{hub.namespace}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dproxy")["items"]
    (process,) = found(proxy, "configurable-http-proxy")
    process.kill()
    until(lambda: _status(f"{hub.url}/hub/login") == 200, 60, "the hub is reached again")
    until(lambda: _status(f"{hub.url}/user/ada/api") == 200, 60, "the server is reached again")
    assert pods.identity() == identity
    assert hub.stop("ada").status_code == 204


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def test_a_server_that_is_killed_comes_back_in_its_pod(hub: HubInPod, pods: PodHub) -> None:
    before = len(pods.events_of(SERVER_END))
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    (pod,) = hub.pods("ada")
    # the first process of the container passes on how it ended
    first, server = sorted(found(pod, "jupyterhub-singleuser"), key=_number_inside)
    assert server.ppid() == first.pid
    server.kill()
    until(lambda: _restarts(hub) == 1, 60, "the kubelet has begun it again")
    until(lambda: _status(f"{hub.url}/user/ada/api") == 200, 60, "it answers")
    assert [one["metadata"]["uid"] for one in hub.pods("ada")] == [pod["metadata"]["uid"]]
    assert (hub.server("ada") or {}).get("ready")
    assert pods.events_of(SERVER_END)[before:] == []
    assert hub.stop("ada").status_code == 204


def _restarts(hub: HubInPod) -> int:
    (pod,) = hub.pods("ada")
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def test_a_kernel_and_workers_that_are_killed_leave_no_process_in_the_pod(hub: HubInPod) -> None:
    assert hub.start("ada", {"profile": "analysis"}).status_code == 201
    (pod,) = hub.pods("ada")
    with hub.kernel("ada") as kernel:
        said = kernel.run("import afkit; cluster = afkit.cluster(workers=1, memory='512MiB', wait=1, where='local'); print(cluster.why)")
        print(said)
        (worker,) = found(pod, "worker_main.py")
        worker.kill()
        assert kernel.run("print(cluster.client.submit(sum, [1, 2]).result(timeout=60))").strip() == "3"
        own = int(kernel.run("import os; print(os.getpid())"))
        (inside,) = (each for each in found(pod, "ipykernel") if _number_inside(each) == own)
        os.kill(inside.pid, signal.SIGKILL)
        until(lambda: kernel.state() in ("idle", "starting") and not inside.is_running(), 30, "the kernel is back")
    until(lambda: not found(pod, "worker_main.py", "guardian_main.py"), 15, "no worker and no zombie is left")
    assert hub.server("ada") is not None


def _number_inside(process: psutil.Process) -> int:
    """A process's number in its pod."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("NSpid:")).split()[-1])
