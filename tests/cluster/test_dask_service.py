"""The Dask service in its pod: clusters as a script asks for them, within limits, of their owner alone, and gone when they are over."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.cluster.dasks import Clusters, ready, running, service_pod
from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = pytest.mark.timeout(300, func_only=True)

KEY = str(uuid.uuid4())


@pytest.fixture(scope="module")
def ada(hub: HubInPod) -> Iterator[Clusters]:
    """Somebody whose server runs."""
    hub.stop_all()
    answer = hub.start("ada", {"profile": "analysis"})
    assert answer.status_code == 201, answer.text
    made = Clusters(hub, "ada")
    yield made
    for name in made.names():
        made.delete(name)
    hub.stop("ada")


@pytest.fixture(scope="module")
def mine(ada: Clusters) -> Clusters:
    """ada, with a cluster `mine` of one worker."""
    began = time.monotonic()
    answer = ada.make("mine", key=KEY)
    posted = time.monotonic()
    assert answer.status_code == 201, answer.text
    ada.until("mine", running, 30)
    runs = time.monotonic()
    ada.until("mine", ready(1), 30)
    print(f"POST {posted - began:.2f} s, scheduler {runs - began:.1f} s, worker {time.monotonic() - began:.1f} s")
    return ada


def test_a_cluster_is_pods_of_the_person_in_their_namespace(mine: Clusters) -> None:
    (scheduler,), (worker,) = mine.pods("mine", "scheduler"), mine.pods("mine", "worker")
    (server,) = mine.hub.pods("ada")
    for pod in (scheduler, worker):
        assert pod["metadata"]["labels"]["afkit.io/owner"] == mine.hub.owner("ada")
        assert pod["spec"]["serviceAccountName"] == "afkit-session"
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["containers"][0]["image"] == server["spec"]["containers"][0]["image"]
    assert worker["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "250m"
    root = f"/apis/kubernetes.dask.org/v1/namespaces/{mine.hub.place('ada')}/daskclusters/mine"
    found = mine.hub.api.get(root)
    assert found["status"]["phase"] == "Running"
    assert (found["spec"]["worker"]["replicas"], found["spec"]["idleTimeout"]) == (0, 0)
    # it goes with its server, whatever becomes of the service
    assert [one["uid"] for one in found["metadata"]["ownerReferences"]] == [server["metadata"]["uid"]]


def test_asking_again_makes_no_second(mine: Clusters) -> None:
    before = mine.left("mine")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: mine.make("mine", key=KEY), range(4)))
    assert [one.status_code for one in answers] == [200] * 4
    assert {one.json()["id"] for one in answers} == {KEY}
    assert mine.left("mine") == before
    another = mine.make("mine")
    assert (another.status_code, another.json()["reason"]) == (409, "incompatible")


def test_nobody_else_has_it(hub: HubInPod, mine: Clusters) -> None:
    grace = Clusters(hub, "grace")
    assert grace.names() == set()
    answers = [
        grace.client.get("clusters/mine"),
        grace.client.get("clusters/mine/access"),
        grace.client.get("clusters/mine/logs"),
        grace.scale("mine", 0),
        grace.delete("mine"),
    ]
    assert {(one.status_code, one.json()["reason"]) for one in answers} == {(404, "unknown-choice")}
    assert mine.names() == {"mine"}
    # and who is nobody has nothing
    for headers in ({}, {"Authorization": "token nonsense"}, {"Authorization": "Bearer a.b.c"}):
        assert httpx.get(f"{hub.url}/services/dask/clusters", headers=headers, timeout=30).status_code == 401, headers


def test_at_once_no_more_are_granted_than_the_limits_leave(mine: Clusters) -> None:
    """Two clusters are ada's limit, and one is there."""
    names = [f"extra-{number}" for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = dict(zip(names, pool.map(lambda name: mine.make(name, low=0), names), strict=True))
    granted = [name for name, answer in answers.items() if answer.status_code == 201]
    assert len(granted) == 1, {name: answer.text for name, answer in answers.items()}
    refused = {(one.status_code, one.json()["reason"]) for name, one in answers.items() if name not in granted}
    assert refused == {(409, "limit-exceeded")}
    assert mine.names() == {"mine", *granted}
    too_many = mine.scale("mine", 5)
    assert (too_many.status_code, too_many.json()["reason"]) == (409, "limit-exceeded")
    assert mine.delete(granted[0]).status_code == 202
    until(lambda: mine.names() == {"mine"}, 10, "it counts no more")


def test_the_hub_counts_clusters_too(hub: HubInPod, mine: Clusters) -> None:
    """Four CPU are ada's limit: her server, two schedulers and these workers leave less than a further server asks for."""
    assert mine.scale("mine", 0).status_code == 200
    large = {"name": "default", "low": 4, "high": 4, "cores": 920, "memory": 400 << 20}
    assert mine.make("large", groups=[large]).status_code == 201
    try:
        # whether there is room for them on a node does not matter
        until(lambda: len(mine.pods("large", "worker")) == 4 and not mine.pods("mine", "worker"), 60, "all pods exist")
        answer = hub.start("ada", {"profile": "plain"}, "second")
        assert answer.headers.get("X-Afkit-Reason") == "limit-exceeded", answer.text
        assert "This asks for 100m CPU, and your limits leave 20m of 4" in answer.json()["message"], answer.text
    finally:
        assert mine.delete("large").status_code == 202
    until(lambda: not mine.pods("large"), 60, "its pods are gone")
    assert mine.scale("mine", 1).status_code == 200
    mine.until("mine", running)


def test_a_worker_of_another_version_is_kept_out_and_goes_when_told(mine: Clusters) -> None:
    client = {"name": "afkit-nobody", "versions": {"dask": "1.0"}}
    assert mine.make("other", client=client).status_code == 201
    state = mine.until("other", lambda state: any(one["state"] == "refused" for one in state["waiting"]), 45)
    (refused,) = (one for one in state["waiting"] if one["state"] == "refused")
    assert "dask" in refused["message"] and "1.0" in refused["message"], refused
    assert running(state)
    assert mine.delete("other").status_code == 202
    # nothing of it waits for the end of its time
    until(lambda: not mine.pods("other"), 20, f"its pods are gone: {mine.left('other')}")


def test_workers_come_and_go_by_number(mine: Clusters) -> None:
    assert mine.scale("mine", 2).status_code == 200
    mine.until("mine", ready(2), 30)
    assert mine.scale("mine", 1).status_code == 200
    mine.until("mine", ready(1), 30)
    until(lambda: len(mine.pods("mine", "worker")) == 1, 30, "its pod is gone")


def test_the_tools_of_dask_kubernetes_list_it(mine: Clusters) -> None:
    cluster = mine.hub.cluster
    line = cluster.run([cluster.kubectl, "--kubeconfig", cluster.inside_kubeconfig, "get", "daskclusters", "-A", "--no-headers"])
    assert [mine.hub.place("ada"), "mine"] in [one.split()[:2] for one in line.splitlines()]
    assert "Running" in line

    async def names() -> set[str]:
        from dask_kubernetes.operator import discover

        return {name async for name, _ in discover()}

    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
    try:
        assert "mine" in asyncio.run(names())
    finally:
        os.environ.pop("KUBECONFIG") if before is None else os.environ.update(KUBECONFIG=before)


def test_a_service_begun_anew_in_the_middle_goes_on_and_what_ends_is_gone(mine: Clusters) -> None:
    hub = mine.hub
    before = service_pod(hub)
    assert before is not None
    assert mine.make("second").status_code == 201
    hub.api.request("DELETE", f"/api/v1/namespaces/{hub.namespace}/pods/{before['metadata']['name']}", {"gracePeriodSeconds": 0})
    until(lambda: mine.client.get("clusters").status_code == 200 and service_pod(hub) != before, 60, "the next service answers")
    assert mine.names() == {"mine", "second"}
    mine.until("second", lambda state: running(state) and ready(1)(state), 60)
    mine.until("mine", ready(1), 10)

    assert mine.delete("second").status_code == 202
    began = time.monotonic()
    until(lambda: not mine.pods("second"), 20, f"its pods are gone: {mine.left('second')}")
    pods = time.monotonic() - began
    until(lambda: not mine.left("second"), 30, f"all of it is gone: {mine.left('second')}")
    print(f"pods gone after {pods:.1f} s, everything after {time.monotonic() - began:.1f} s")
    ended = mine.client.get("clusters/second").json()
    assert (ended["phase"], ended["ended"]["reason"]) == ("ended", "closed")
    # the name is free again, at once
    assert mine.make("second", low=0).status_code == 201
    assert mine.delete("second").status_code == 202


def test_a_server_that_stops_takes_its_clusters_along(mine: Clusters) -> None:
    assert mine.hub.stop("ada").status_code == 204
    until(lambda: not mine.left("mine"), 45, f"all of it is gone: {mine.left('mine')}")
    assert mine.names() == set()
