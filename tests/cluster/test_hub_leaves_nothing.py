"""What ``kubectl get`` lists before any server and after all have stopped is the same, but for homes and what the provisioner keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster.hubs import HubInPod
from tests.cluster.listed import Listed
from tests.hub.harness import until

pytestmark = [pytest.mark.timeout(400, func_only=True), pytest.mark.slow("several real servers, and starts that fail")]

PEOPLE = {"ada": {"profile": "analysis"}, "grace": {"profile": "training", "pool": "gpu"}, "noor": {"profile": "analysis"}}
"""Who starts what first: it has all that the file can bring along."""
KEPT = {
    "secret/object-store",
    "persistentvolumeclaim/afkit-home",
    "persistentvolumeclaim/afkit-cvmfs",
    "persistentvolumeclaim/afkit-datasets",
}
"""In a person's namespace: the home, and what the provisioner keeps for the next server."""


@pytest.fixture(autouse=True)
def nothing_runs(hub: HubInPod) -> Iterator[None]:
    hub.stop_all()
    yield
    hub.stop_all()


def test_after_all_servers_have_stopped_the_cluster_is_as_it_was(hub: HubInPod) -> None:
    listed = Listed(hub.cluster)
    before = listed.get("all,pvc,secrets")
    for user, choice in PEOPLE.items():
        assert hub.start(user, choice).status_code == 201
        assert hub.stop(user).status_code == 204
    kept = {f"{hub.place(user)} {what}" for user in PEOPLE for what in KEPT}
    until(lambda: listed.get("all,pvc,secrets") - kept == before - kept, 30, "kubectl get all,pvc,secrets -A is as before any server")
    # now that everybody has a namespace and a home: whatever servers do, nothing at all is left of them, of any kind
    everything = listed.everything()
    use(hub)
    until(lambda: listed.everything() == everything, 60, "everything is as before")
    assert listed.get("all,pvc,secrets") - kept == before - kept


def use(hub: HubInPod) -> None:
    """Servers of all kinds, that start, are refused, fail, are given up, and end by themselves."""
    assert hub.start("ada", {"profile": "analysis"}).status_code == 201
    assert hub.start("ada", {"profile": "plain"}, "second").status_code == 201
    assert hub.start("noor", {"profile": "plain"}).status_code == 201
    assert hub.start("grace", {"profile": "nothing"}).headers["X-Afkit-Reason"] == "unknown-choice"
    assert hub.start("grace", {"profile": "training", "pool": "gpu"}).status_code == 201
    assert hub.stop("grace").status_code == 204
    with hub.starting("grace", {"profile": "training", "pool": "slice"}):
        until(lambda: hub.pods("grace"), 30, "a pod waits on a node that runs nothing")
        hub.stop("grace")
    (pod,) = hub.pods("noor")
    hub.api.delete(f"/api/v1/namespaces/{hub.place('noor')}/pods/{pod['metadata']['name']}")
    until(lambda: hub.server("noor") is None, 60, "the hub knows that it ended")
    began = time.monotonic()
    hub.stop_all()
    print(f"all servers stopped in {time.monotonic() - began:.1f} s")
