"""`afkit.cluster()` in a session's pod: its workers are pods of the facility, and only their owner's session reaches them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.dasks import Clusters, reached, ready
from tests.cluster.hubs import HubInPod
from tests.hub.harness import Kernel, until

pytestmark = pytest.mark.timeout(300, func_only=True)

SCRIPT = """\
import afkit
c = afkit.cluster(workers=1, wait=1)
print(c.client.submit(sum, [1, 2]).result(), c.why)
"""
MADE = 'import afkit\nc = afkit.cluster(workers=1, cores=0.25, memory="400MiB", name="kept", wait=1)\nprint(c.dashboard_link)'
BARE = "from distributed import Client\nwith Client() as client:\n    print(client.submit(sum, [3, 4]).result(), client.scheduler.address)"
HOLD = """\
import os, tempfile, uuid
place = tempfile.mkdtemp(dir="/home/jovyan")
held = c.client.map(lambda x: (open(f"{place}/{uuid.uuid4()}", "w").close(), x)[1], range(8))
assert sorted(c.client.gather(held)) == list(range(8))
assert all(c.client.has_what().values()), "both hold results"
"""
"""Each task that runs leaves a file at home, which the workers have too."""
GONE = 60
"""Seconds after which nothing may be left of a cluster whose kernel was killed: 20 of them the service waits for it to come back."""


class Session:
    """A person's server, in which commands run as in a terminal of it."""

    def __init__(self, hub: HubInPod, user: str, profile: str) -> None:
        answer = hub.start(user, {"profile": profile})
        assert answer.status_code == 201, answer.text
        (self.pod,) = hub.pods(user)
        self.hub, self.user = hub, user
        self.clusters = Clusters(hub, user)

    def run(self, *command: str) -> str:
        """What a command prints."""
        about, cluster = self.pod["metadata"], self.hub.cluster
        kubectl = [str(cluster.kubectl), "--kubeconfig", str(cluster.inside_kubeconfig)]
        return cluster.run([*kubectl, "exec", "-n", about["namespace"], about["name"], "-c", "notebook", "--", *command])


@pytest.fixture(scope="module")
def ada(hub: HubInPod) -> Iterator[Session]:
    hub.stop_all()
    yield Session(hub, "ada", "analysis")
    hub.stop("ada")


@pytest.fixture(scope="module")
def kernel(ada: Session) -> Iterator[Kernel]:
    """A kernel of ada's with a cluster `kept`; the last test kills it."""
    with ada.hub.kernel("ada") as made:
        began = time.monotonic()
        assert "/dask/dashboard/" in made.run(MADE)
        print(f"a cluster with its worker after {time.monotonic() - began:.1f} s")
        yield made


def test_a_script_computes_with_a_pod_and_leaves_nothing(ada: Session) -> None:
    began = time.monotonic()
    said = ada.run("python", "-c", SCRIPT)
    print(f"a script with a worker in {time.monotonic() - began:.1f} s: {said}")
    assert said.startswith("3 This session's facility runs Dask clusters."), said
    until(lambda: ada.clusters.names() == set(), 10, "it is over")


def test_clients_find_it_without_a_word(ada: Session, kernel: Kernel) -> None:
    (worker,) = ada.clusters.pods("kept", "worker")
    assert kernel.run(BARE).split() == ["7", f"tls://kept-scheduler.{worker['metadata']['namespace']}.svc:8786"]
    where = kernel.run("print(c.client.submit(lambda: __import__('os').uname().nodename).result())")
    assert where.strip() == worker["metadata"]["name"]


def test_a_terminal_lists_it_and_shows_its_logs(ada: Session, kernel: Kernel) -> None:
    assert kernel.state() in ("idle", "busy")
    # the service asks a scheduler once a second
    ada.clusters.until("kept", ready(1), 10)
    (found,) = json.loads(ada.run("afkit", "clusters", "--json"))["clusters"]
    assert (found["name"], found["where"], found["workers"], found["cores"]) == ("kept", "facility", 1, 0.25)
    listed = ada.run("afkit", "clusters").splitlines()
    assert listed[1].split()[:3] == ["kept", "facility", "1"]
    assert "Start worker at" in ada.run("afkit", "clusters", "logs", "kept")


def test_its_dashboard_is_its_owners(ada: Session, kernel: Kernel) -> None:
    path = kernel.run("print(c.dashboard_link)").strip()
    address = f"{ada.hub.url}{path[path.index('/user/') :]}"
    seen = httpx.get(address, headers=kernel.headers, timeout=60, follow_redirects=True)
    assert seen.status_code == 200, seen.text
    assert "statics/css/status.css" in seen.text, seen.text
    hers = {"Authorization": f"token {ada.hub.token_of('grace')}"}
    assert httpx.get(address, headers=hers, timeout=60).status_code in (403, 404)


def test_another_person_s_session_does_not_reach_it(ada: Session, kernel: Kernel) -> None:
    grace = Session(ada.hub, "grace", "plain")
    try:
        (scheduler,), (worker,) = (ada.clusters.pods("kept", which) for which in ("scheduler", "worker"))
        port = int(kernel.run("print(list(c.scheduler_info['workers'])[0].rpartition(':')[2])"))
        places = [(scheduler["status"]["podIP"], 8786), (scheduler["status"]["podIP"], 8787), (worker["status"]["podIP"], port)]
        assert reached(ada.pod, places) == [True] * 3
        assert reached(grace.pod, places) == [False] * 3
        assert grace.clusters.client.get("clusters/kept/access").status_code == 404
    finally:
        ada.hub.stop("grace")


def test_a_worker_whose_pod_is_taken_away_hands_its_results_over(ada: Session, kernel: Kernel) -> None:
    kernel.run("c.scale(2)")
    ada.clusters.until("kept", ready(2), 45)
    kernel.run(HOLD)
    (first, _) = ada.clusters.pods("kept", "worker")
    about = first["metadata"]
    # as a drained node does: with the time that the pod has for its end
    ada.hub.api.delete(f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}")
    until(lambda: about["uid"] not in {one["metadata"]["uid"] for one in ada.clusters.pods("kept")}, 30, "it is gone")
    assert kernel.run("print(*c.client.gather(held), len(os.listdir(place)))").split() == [*map(str, range(8)), "8"]
    # another one has taken its place
    ada.clusters.until("kept", ready(2), 45)


def test_a_killed_kernel_takes_its_cluster_along(ada: Session, kernel: Kernel) -> None:
    assert ada.clusters.pods("kept")
    kernel.send("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    began = time.monotonic()
    until(lambda: not ada.clusters.pods("kept"), GONE, f"its pods are gone: {ada.clusters.left('kept')}")
    print(f"gone {time.monotonic() - began:.1f} s after the kernel was killed")
    ended = ada.clusters.client.get("clusters/kept").json()
    assert (ended["phase"], ended["ended"]["reason"]) == ("ended", "client")
