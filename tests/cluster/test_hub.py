"""The hub in its pod: servers in their people's own namespaces, on the pools of their choice."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from afkit.facility.pod_rules import MAIN
from afkit.names import FACILITY_LABEL, OWNER_LABEL, USER_ANNOTATION
from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("real pods with JupyterLab in them, started one after another")]


@pytest.fixture(autouse=True)
def nothing_runs(hub: HubInPod) -> None:
    hub.stop_all()


def test_two_people_get_servers_in_their_own_namespaces(hub: HubInPod) -> None:
    started = time.monotonic()
    for user, pool in (("ada", "cpu"), ("grace", "gpu")):
        profile = "analysis" if pool == "cpu" else "training"
        answer = hub.start(user, {"profile": profile, "pool": pool})
        assert answer.status_code == 201, answer.text
    print(f"two servers after {time.monotonic() - started:.1f} s")
    assert hub.place("ada") != hub.place("grace")
    for user, gpus in (("ada", None), ("grace", "1")):
        (pod,) = hub.pods(user)
        metadata, spec = pod["metadata"], pod["spec"]
        assert metadata["labels"][FACILITY_LABEL] == hub.facility.name
        assert metadata["labels"][OWNER_LABEL] == hub.owner(user)
        assert metadata["annotations"][USER_ANNOTATION] == user
        main = next(one for one in spec["containers"] if one["name"] == MAIN)
        assert main["resources"]["limits"].get("nvidia.com/gpu") == gpus
        assert ("NVIDIA_VISIBLE_DEVICES" in {one["name"] for one in main["env"]}) == (gpus is None)
        assert spec["automountServiceAccountToken"] is False
        namespace = hub.api.get(f"/api/v1/namespaces/{metadata['namespace']}")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    with hub.kernel("ada") as kernel:
        said = kernel.run(
            "import os, afkit; print(os.getcwd(), open('/data/README').read().strip(), *os.listdir('/cvmfs/cms.example.org'))"
        )
        assert said.startswith("/home/jovyan Data that everybody")
        assert "README" in said
        assert kernel.run("print(afkit.cvmfs.check().good)").strip() == "True"
        kernel.run("open('kept.txt', 'w').write('kept')")
        # nobody reaches another's server: policies are enforced for real packets
        (other,) = hub.pods("grace")
        reach = f"socket.create_connection(('{other['status']['podIP']}', 8888), 3)"
        assert (
            kernel.run(f"import socket\ntry:\n    {reach}\n    print('reached')\nexcept OSError as e: print(type(e).__name__)").strip()
            == "TimeoutError"
        )
    assert hub.stop("ada").status_code == 204
    assert hub.start("ada").status_code == 201, "the saved choice"
    with hub.kernel("ada") as kernel:
        assert kernel.run("print(open('kept.txt').read())").strip() == "kept"


def test_no_token_is_text_in_the_pod_and_nothing_is_left_of_a_server(hub: HubInPod) -> None:
    before = set(hub.objects("ada", "secrets"))
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    (pod,) = hub.pods("ada")
    with hub.kernel("ada") as kernel:
        token = kernel.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])").strip()
    assert len(token) > 20
    assert token not in json.dumps(pod)
    made = set(hub.objects("ada", "secrets")) - before
    assert made == {"jupyter-ada-hub", "jupyter-ada-files"}
    for name in made:
        owners = hub.api.get(f"/api/v1/namespaces/{hub.place('ada')}/secrets/{name}")["metadata"]["ownerReferences"]
        assert [one["uid"] for one in owners] == [pod["metadata"]["uid"]]
    assert hub.stop("ada").status_code == 204
    assert hub.pods("ada") == []
    until(lambda: set(hub.objects("ada", "secrets")) == before, 30, "what the pod owned is collected")
    assert set(hub.objects("ada", "persistentvolumeclaims")) == {"afkit-home", "afkit-cvmfs", "afkit-datasets"}


def test_a_running_server_is_adopted_by_the_next_hub(hub: HubInPod) -> None:
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    (pod,) = hub.pods("ada")
    hub.kill()
    server = until(lambda: hub.server("ada"), 30, "the server is known")
    assert server["ready"], server
    assert httpx.get(f"{hub.url}/user/ada/api", timeout=10).status_code == 200
    assert [one["metadata"]["uid"] for one in hub.pods("ada")] == [pod["metadata"]["uid"]]
    assert hub.stop("ada").status_code == 204
    assert hub.pods("ada") == []


def test_a_server_that_ends_is_noticed_at_once(hub: HubInPod) -> None:
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    (pod,) = hub.pods("ada")
    hub.api.delete(f"/api/v1/namespaces/{hub.place('ada')}/pods/{pod['metadata']['name']}")
    until(lambda: not hub.pods("ada"), 60, "the pod is gone")
    until(lambda: hub.server("ada") is None, 3, "the hub knows")


def test_an_image_of_another_architecture_is_refused_by_name_before_any_pod(hub: HubInPod) -> None:
    answer = hub.start("grace", {"profile": "analysis", "pool": "arm", "image": "missing"})
    assert answer.status_code == 400
    assert answer.headers["X-Afkit-Reason"] == "incompatible"
    assert "arm" in answer.json()["message"]
    assert hub.pods("grace") == []


def test_each_choice_lands_where_it_must(hub: HubInPod) -> None:
    for user, options, node in (
        ("ada", {"profile": "analysis", "pool": "arm"}, "fake-arm"),
        ("grace", {"profile": "training", "pool": "slice"}, "fake-slice"),
    ):
        with hub.starting(user, options):
            (pod,) = until(lambda user=user: [one for one in hub.pods(user) if one["spec"].get("nodeName")], 30, "the pod has a node")
            assert pod["spec"]["nodeName"].startswith(node)
            # nothing runs on a fake node that could answer
            hub.stop(user)


def test_what_belongs_to_somebody_else_is_left_alone(hub: HubInPod) -> None:
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    assert hub.stop("ada").status_code == 204
    path = f"/api/v1/namespaces/{hub.place('ada')}/pods"
    foreign = {
        "metadata": {"name": "jupyter-ada", "labels": {FACILITY_LABEL: hub.facility.name, OWNER_LABEL: "somebody"}},
        "spec": {
            "nodeName": "fake-arm-0",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "x",
                    "image": "x:1",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "resources": {"limits": {"cpu": "10m", "memory": "10Mi"}},
                }
            ],
        },
    }
    made = hub.api.request("POST", path, foreign)
    try:
        answer = hub.start("ada")
        assert answer.status_code == 424, answer.text
        assert "belongs to somebody else" in answer.json()["message"]
        assert hub.api.get(f"{path}/jupyter-ada")["metadata"]["uid"] == made["metadata"]["uid"]
        assert "deletionTimestamp" not in hub.api.get(f"{path}/jupyter-ada")["metadata"]
    finally:
        hub.api.request("DELETE", f"{path}/jupyter-ada", {"gracePeriodSeconds": 0})
        until(lambda: not hub.api.get(path)["items"], 30, "it is gone")
    assert hub.start("ada").status_code == 201


@pytest.mark.full
@pytest.mark.slow("waits for the end of a start's time")
def test_a_start_that_fails_says_why_and_leaves_nothing(hub: HubInPod) -> None:
    answer = hub.start("grace", {"profile": "analysis", "image": "missing"})
    assert answer.status_code in (202, 424), answer.text
    until(lambda: not (hub.server("grace") or {}).get("pending"), 150, "the start has failed")
    assert hub.server("grace") is None
    assert "docker.io/local/nothing-here:1 cannot be pulled" in hub.log()
    until(lambda: hub.pods("grace") == [] and set(hub.objects("grace", "secrets")) == {"object-store"}, 30, "nothing is left of it")


@pytest.mark.parametrize("name", ["élodie", "a-b", "a_b", "A.B", "x" * 200, "mallory@example.org", "1st", "-dash-", "日本"])
def test_names_of_all_kinds_stay_apart(hub: HubInPod, name: str) -> None:
    """People nobody has rights for: what counts is that each has a namespace of their own or is refused by a sentence."""
    answer = hub.client.post(f"/users/{name}/server", json={})
    if answer.status_code == 404:
        assert hub.client.post(f"/users/{name}").status_code in (201, 400)
        answer = hub.client.post(f"/users/{name}/server", json={})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["message"]
