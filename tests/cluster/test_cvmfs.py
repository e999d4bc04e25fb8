"""`afkit.cvmfs.check` in sessions on the cluster, and what repositories that die or hang do to pods."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.pods import ready, run_pod
from tests.cluster.volumes import by_driver, events, forget_volumes, run, said, static, strict_namespace, strict_pod
from tools.images.build import build
from tools.images.store import archive
from tools.kubernetes import standins
from tools.kubernetes.api import Object
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.layout import NODE

NAME = "check.example.org"
MOUNT = {"name": "cvmfs", "mountPath": "/cvmfs", "readOnly": True, "mountPropagation": "HostToContainer"}
CHECK = ("python", "-m", "afkit.session.cvmfs")
SESSION = "docker.io/local/afkit-session:dev"


@pytest.fixture(scope="module")
def session_image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of sessions; built where the node does not have it yet."""
    known = {name for image in cluster.api.get(f"/api/v1/nodes/{NODE}")["status"].get("images", []) for name in image["names"]}
    if SESSION not in known:
        cluster.import_image(archive([build("session")], tmp_path_factory.mktemp("session") / "image.tar", tags=["dev"]))
    return SESSION


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> Iterator[str]:
    with strict_namespace(cluster.api, "cvmfs") as name:
        yield name
    forget_volumes(cluster.api, "cvmfs")


@pytest.fixture
def cvmfs(cluster: Cluster) -> Iterator[standins.Cvmfs]:
    made = standins.cvmfs(cluster)
    made.add(NAME, {"hello": "hello\n"})
    yield made
    made.mend()


@pytest.fixture(scope="module")
def whole(cluster: Cluster, strict: str) -> Any:
    """The claim of the whole root."""
    return static(cluster.api, strict, "whole", by_driver("check-whole"))


@pytest.fixture(scope="module")
def session(cluster: Cluster, strict: str, session_image: str, whole: Any) -> str:
    """The name of a session that was given the repository."""
    standins.cvmfs(cluster).add(NAME, {"hello": "hello\n"})
    run_pod(cluster.api, strict, given(strict_pod("session", session_image, MOUNT, volumes={"cvmfs": whole})), 120)
    return "session"


def given(pod: Object, on_failure: str = "refuse") -> Object:
    """The pod with what the hub tells a session."""
    pod["spec"]["containers"][0]["env"] = [{"name": "AFKIT_CVMFS", "value": NAME}, {"name": "AFKIT_CVMFS_ON_FAILURE", "value": on_failure}]
    return pod


def look(cluster: Cluster, namespace: str, pod: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of the check in a session."""
    done = run(cluster, namespace, pod, *CHECK)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_session_says_how_its_repositories_are(cluster: Cluster, strict: str, session: str, cvmfs: standins.Cvmfs) -> None:
    assert look(cluster, strict, session) == (0, {"good": True, "refused": False, "repositories": {NAME: "ok"}})
    cvmfs[NAME].kill()
    code, found = look(cluster, strict, session)
    assert (code, found["repositories"]) == (1, {NAME: "ENOTCONN"})
    assert "heals by itself" in found["remedy"]
    cvmfs[NAME].mount()
    assert look(cluster, strict, session)[0] == 0
    for word, state in (("failing", "EIO"), ("empty", "hidden")):
        cvmfs[NAME].say(word)
        assert look(cluster, strict, session)[1]["repositories"] == {NAME: state}


def test_the_check_itself_takes_five_seconds_at_most_when_the_mount_hangs(
    cluster: Cluster, strict: str, session: str, cvmfs: standins.Cvmfs
) -> None:
    code = f"import afkit, time; t = time.monotonic(); print(afkit.cvmfs.check('{NAME}').state, time.monotonic() - t)"
    for hang in (cvmfs[NAME].stop, lambda: cvmfs[NAME].say("holding")):
        hang()
        state, seconds = run(cluster, strict, session, "python", "-c", code).stdout.split()
        assert state == "hang"
        assert float(seconds) < 5
        cvmfs[NAME].go()


def test_a_session_that_holds_a_hung_process_ends_only_when_the_client_answers(
    cluster: Cluster, strict: str, session_image: str, whole: Any, cvmfs: standins.Cvmfs
) -> None:
    run_pod(cluster.api, strict, given(strict_pod("held", session_image, MOUNT, volumes={"cvmfs": whole})))
    cvmfs[NAME].say("holding")
    assert look(cluster, strict, "held")[1]["repositories"] == {NAME: "hang"}
    path = f"/api/v1/namespaces/{strict}/pods/held"
    cluster.api.delete(path)
    with pytest.raises(TimeoutError):
        cluster.api.until(path, lambda one: one is None, 8)
    assert "deletionTimestamp" in cluster.api.get(path)["metadata"]
    cvmfs[NAME].say("healthy")
    cluster.api.until(path, lambda one: one is None, 60)


def test_a_server_with_dead_repositories_is_not_handed_over_unless_the_facility_only_warns(
    cluster: Cluster, strict: str, session_image: str, whole: Any, cvmfs: standins.Cvmfs
) -> None:
    probe = {"exec": {"command": list(CHECK)}, "timeoutSeconds": 20, "periodSeconds": 5, "failureThreshold": 10}
    cvmfs[NAME].kill()
    for name, policy in (("refused", "refuse"), ("warned", "warn")):
        made = given(strict_pod(name, session_image, MOUNT, volumes={"cvmfs": whole}), policy)
        made["spec"]["containers"][0]["startupProbe"] = probe
        cluster.api.request("POST", f"/api/v1/namespaces/{strict}/pods", made)
    path = f"/api/v1/namespaces/{strict}/pods"
    cluster.api.until(f"{path}/warned", ready, 60)
    sentence = said(cluster.api, strict, "refused", "Unhealthy")
    assert f"The node's CVMFS client behind /cvmfs/{NAME} has ended." in sentence
    assert not ready(cluster.api.get(f"{path}/refused"))
    cvmfs[NAME].mount()
    cluster.api.until(f"{path}/refused", ready, 60)


def test_a_hung_repository_keeps_new_pods_waiting_in_silence_but_not_those_with_the_whole_root(
    cluster: Cluster, busybox: str, strict: str, whole: Any, cvmfs: standins.Cvmfs
) -> None:
    api = cluster.api
    one = static(api, strict, "one", by_driver("check-one", repository=NAME))
    cvmfs[NAME].say("holding")
    mount = {"name": "one", "mountPath": f"/cvmfs/{NAME}"}
    api.request("POST", f"/api/v1/namespaces/{strict}/pods", strict_pod("silent", busybox, mount, volumes={"one": one}))
    run_pod(api, strict, strict_pod("starts", busybox, MOUNT, volumes={"cvmfs": whole}))
    time.sleep(3)  # silence is what is looked at
    waiting = api.get(f"/api/v1/namespaces/{strict}/pods/silent")["status"]
    assert waiting["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    assert not {"Failed", "FailedMount"} & set(events(api, strict, "silent"))
    cvmfs[NAME].say("healthy")
    api.until(f"/api/v1/namespaces/{strict}/pods/silent", ready, 60)
    assert run(cluster, strict, "silent", "cat", f"/cvmfs/{NAME}/hello").stdout == "hello\n"
