"""What a cluster does to servers and what it lacks, as their pages and scripts are told it by the hub in its pod.

Each cause is provoked for real; it is told in a sentence with what to do, inside the one deadline, and then only homes are left.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from afkit.cli.main import main
from afkit.pods.namespace import NETWORK
from tests.cluster.others import Facility, Start, node
from tests.hub.harness import until
from tools.kubernetes.layout import NODE

pytestmark = [
    pytest.mark.timeout(400, func_only=True),
    pytest.mark.slow("starts that wait for their deadline, and real servers that are taken away"),
]

FILE: Final = Path(__file__).parent / "contrary.yaml"
DEADLINE: Final = 90.0
"""``start_timeout`` of the facility."""
UNDONE: Final = 25.0
"""What a start takes at most beyond it, to remove what it has made."""
LAB: Final = {"key": "lab.example.org/private", "value": "yes", "effect": "NoSchedule"}
KEPT: Final = {
    "pods": frozenset[str](),
    "persistentvolumeclaims": {"afkit-home", "afkit-tape", "afkit-disc"},
    "secrets": {"keys"},
    "configmaps": {"kube-root-ca.crt"},
}
"""What a person's namespace has when no server is in it: the home, and what the provisioner keeps."""


@pytest.fixture(autouse=True)
def nothing_runs(contrary: Facility, request: pytest.FixtureRequest) -> None:
    if "waited" not in request.fixturenames:
        contrary.stop_all()


def only_homes_are_left(hub: Facility, user: str) -> None:
    """Of a server that failed or ended nothing stays; what the provisioner keeps is no server's."""
    until(lambda: all(names <= KEPT[kind] for kind, names in hub.left(user).items()), 60, f"only homes are left of {user}")


# what may be mended while a start waits: it goes on to the deadline


@pytest.fixture(scope="module")
def waited(contrary: Facility) -> Mapping[str, Start]:
    """Starts that have waited for something that did not come, all at once."""
    contrary.stop_all()
    hub = contrary
    hub.api.merge(f"/api/v1/namespaces/{hub.namespace}/secrets/keys", {"data": {"absent": None, "other": "eA=="}})
    with ExitStack() as stack:
        stack.enter_context(node(hub.cluster, "tainted-0", "pool.example.org/tainted", LAB, played=True))
        stack.enter_context(node(hub.cluster, "tainted-1", "pool.example.org/tainted", cpu="50m", played=True))
        # one driver that the cluster knows and no node has; another that nobody has ever heard of
        driver = {"metadata": {"name": "disc.example.org"}, "spec": {"attachRequired": False}}
        hub.api.request("POST", "/apis/storage.k8s.io/v1/csidrivers", driver)
        stack.callback(hub.api.delete, "/apis/storage.k8s.io/v1/csidrivers/disc.example.org")
        users = {"tainted": "ada", "unprovided": "grace", "tape": "noor", "disc": "maria", "keyless": "emmy"}
        starts = {name: hub.begin(user, {"profile": name}) for name, user in users.items()}
        for start in starts.values():
            assert start.answer.status_code >= 400, start.answer.text
        return starts


@pytest.mark.parametrize(
    ("case", "sentence", "hint"),
    [
        (
            "tainted",
            "No node of pool tainted can take this server (100m CPU, 512Mi memory). "
            "The pool has 2 nodes: one has the taint lab.example.org/private=yes:NoSchedule; one has only 50m CPU in all.",
            "It starts by itself as soon as there is room",
        ),
        ("unprovided", 'There is no storage for the mount unprovided: storageclass.storage.k8s.io "no-such-class" not found.', "Ask help"),
        ("disc", f"The volume disc cannot be mounted on node {NODE}: the node has no driver disc.example.org for it.", "Ask help"),
        ("tape", f"Node {NODE} has said nothing for ", "probably the storage of home or tape does not answer there."),
        ("keyless", "The key absent of the Secret keys, which the server needs, does not exist.", "Ask help@example.org."),
    ],
    ids=["taint", "class", "driver", "no driver", "key"],
)
def test_what_does_not_come_is_told_until_the_deadline(
    contrary: Facility, waited: Mapping[str, Start], case: str, sentence: str, hint: str
) -> None:
    start = waited[case]
    message = start.failed()
    assert sentence in start.page
    assert message.startswith(f"The server did not start within 90s. {sentence}"), message
    assert hint in message
    assert DEADLINE <= start.seconds < DEADLINE + UNDONE
    only_homes_are_left(contrary, start.user)


# what waiting does not mend: it fails at once


def test_a_quota_that_is_exhausted(contrary: Facility) -> None:
    assert contrary.start("ada", {"profile": "plain"}).status_code == 201
    assert contrary.stop("ada").status_code == 204
    quotas = f"/api/v1/namespaces/{contrary.place('ada')}/resourcequotas"
    hard = {"requests.cpu": "50m"}
    contrary.api.request("POST", quotas, {"metadata": {"name": "department"}, "spec": {"hard": hard}})
    try:
        contrary.api.until(f"{quotas}/department", lambda one: bool((one or {}).get("status", {}).get("hard")))
        start = contrary.begin("ada", {"profile": "plain"})
        message = start.failed()
        assert "Your quota department has no room for it: it asks for requests.cpu=1" in message
        assert "and the most is requests.cpu=50m." in message
        assert "take a smaller size" in message
        assert start.seconds < 10
        only_homes_are_left(contrary, "ada")
        # one that lets the pod in and not what goes with it: the pod does not stay
        contrary.api.merge(f"{quotas}/department", {"spec": {"hard": {"requests.cpu": None, "count/secrets": "0"}}})
        counted = lambda one: "count/secrets" in (one or {}).get("status", {}).get("hard", {})  # noqa: E731
        contrary.api.until(f"{quotas}/department", counted)
        message = contrary.begin("ada", {"profile": "plain"}).failed()
        assert "Your quota department has no room for it" in message
        only_homes_are_left(contrary, "ada")
    finally:
        contrary.api.delete(f"{quotas}/department")
    assert contrary.start("ada", {"profile": "plain"}).status_code == 201


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        ("unranked", "The cluster has no priority class no-such-rank, which this choice asks for."),
        ("classless", "The cluster has no runtime class no-such-runtime, which this choice asks for."),
    ],
)
def test_a_class_that_the_cluster_does_not_have(contrary: Facility, profile: str, sentence: str) -> None:
    start = contrary.begin("hedy", {"profile": profile})
    message = start.failed()
    assert sentence in message
    assert "Ask help@example.org." in message
    assert start.seconds < 10
    only_homes_are_left(contrary, "hedy")


def test_a_label_that_no_node_has(contrary: Facility) -> None:
    answer = contrary.start("hedy", {"profile": "unlabelled"})
    assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (409, "no-capacity"), answer.text
    assert answer.json()["message"] == "Pool unlabelled has no nodes now."
    assert "help@example.org" in answer.json()["hint"]
    assert contrary.pods("hedy") == []


def test_a_taint_that_nobody_tolerates(contrary: Facility) -> None:
    taint = "lab.example.org/private=yes:NoSchedule"
    sentence = f"The only node of pool fragile has a taint that the facility file does not name ({taint})."

    def said() -> str:
        answer = contrary.start("hedy", {"profile": "fragile"})
        assert answer.headers["X-Afkit-Reason"] == "no-capacity", answer.text
        return str(answer.json()["message"])

    with node(contrary.cluster, "fragile-1", "pool.example.org/fragile", LAB, played=True):
        # the hub hears of the node in a moment, and counts nodes at most twice a second
        until(lambda: said() == sentence, 10, "the taint is named")
    assert contrary.pods("hedy") == []


def test_a_claim_that_does_not_exist(contrary: Facility) -> None:
    claim = f"/api/v1/namespaces/{contrary.namespace}/persistentvolumeclaims/nowhere"
    contrary.api.delete(claim)
    contrary.api.until(claim, lambda one: one is None)
    start = contrary.begin("cecilia", {"profile": "nowhere"})
    message = start.failed()
    assert f"The claim nowhere that the facility file names is missing in the namespace {contrary.namespace}." in message
    assert "Ask the administrators" in message
    assert start.seconds < 10


def test_a_secret_that_does_not_exist(contrary: Facility) -> None:
    secret = f"/api/v1/namespaces/{contrary.namespace}/secrets/keys"
    kept = contrary.api.get(secret)
    contrary.api.delete(secret)
    try:
        start = contrary.begin("lise", {"profile": "keyless"})
        message = start.failed()
        assert f"The Secret keys that the facility file names is missing in the namespace {contrary.namespace}." in message
        assert start.seconds < 10
    finally:
        data = {**kept["data"], "absent": base64.b64encode(b"of keys").decode()}
        contrary.api.request("POST", secret.rpartition("/")[0], {"metadata": {"name": "keys"}, "data": data})
    assert contrary.start("lise", {"profile": "keyless"}).status_code == 201


def test_a_server_that_the_hub_does_not_reach(contrary: Facility) -> None:
    # on a fake node its pod is Ready, and nobody is at its address
    with node(contrary.cluster, "fragile-2", "pool.example.org/fragile", played=True):
        start = contrary.begin("lise", {"profile": "unreached"})
        message = start.failed()
        assert message.startswith("The server runs, but it does not answer the hub at "), message
        assert "Ask help@example.org: network policies" in message
        assert start.seconds < 30
        only_homes_are_left(contrary, "lise")


# all of it is named before anybody meets it


def test_doctor_names_every_contradiction_beforehand(contrary: Facility, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim = f"/api/v1/namespaces/{contrary.namespace}/persistentvolumeclaims/nowhere"
    contrary.api.delete(claim)
    contrary.api.until(claim, lambda one: one is None)
    assert contrary.start("ada", {"profile": "plain"}).status_code == 201
    secret = f"/api/v1/namespaces/{contrary.namespace}/secrets/keys"
    absent = contrary.api.get(secret)["data"].get("absent")
    contrary.api.merge(secret, {"data": {"absent": None}})
    try:
        assert main(["doctor", str(FILE), "--kubeconfig", str(kubeconfig), "--json"]) == 1
    finally:
        contrary.api.merge(secret, {"data": {"absent": absent}})
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert {name: check["message"] for name, check in checks.items() if check["state"] != "ok"} == {
        **{
            f"pool {name}": f"No node has the label pool.example.org/{name}=true."
            for name in ("tainted", "fragile", "devices", "unlabelled")
        },
        "device classes": "There is no DeviceClass gpu.example.org, which pool devices names.",
        "runtime classes": "There is no RuntimeClass no-such-runtime, which pool classless names.",
        "priority classes": "There is no PriorityClass no-such-rank, which profile unranked names.",
        "storage classes": "There is no StorageClass no-such-class, which unprovided names.",
        "claims": "There is no claim nowhere, which the mount nowhere names.",
        "drivers": "The cluster has no CSI driver disc.example.org, which the mount disc needs.",
        "secrets": "The Secret keys has no key absent.",
        "servers": "A server of profile classless on pool classless would be refused. "
        "The cluster has no runtime class no-such-runtime, which this choice asks for.",
    }
    (also,) = checks["servers"]["details"]
    assert also.startswith("A server of profile unranked on pool cpu would be refused. The cluster has no priority class no-such-rank")
    assert all(check["remedy"] for check in checks.values() if check["state"] == "bad")
    (pod,) = contrary.pods("ada")
    assert pod["metadata"]["name"] == "jupyter-ada", "nothing was made"


# what is taken away


@contextmanager
def something_more_important(hub: Facility, units: int) -> Iterator[None]:
    """A pod of a higher priority class that asks for accelerators of the real node, somewhere else in the cluster."""
    name = "contrary-important"
    ranks = "/apis/scheduling.k8s.io/v1/priorityclasses"
    hub.api.request("POST", ranks, {"metadata": {"name": name}, "value": 1000})
    resources = {"requests": {"cpu": "1m"}, "limits": {"nvidia.com/gpu": str(units)}}
    spec = {
        "priorityClassName": name,
        "nodeName": "",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "x", "image": "docker.io/local/nothing-here:1", "resources": resources}],
    }
    pods = "/api/v1/namespaces/default/pods"
    hub.api.request("POST", pods, {"metadata": {"name": name}, "spec": spec})
    try:
        yield
    finally:
        hub.api.request("DELETE", f"{pods}/{name}", {"gracePeriodSeconds": 0})
        hub.api.delete(f"{ranks}/{name}")


def test_something_more_important_takes_the_place_of_a_start(contrary: Facility) -> None:
    start = contrary.begin("vera", {"profile": "training", "image": "missing"})
    start.told("cannot be pulled")
    begun = time.monotonic()
    with something_more_important(contrary, 2):
        message = start.failed()
    assert message.startswith("Something more important needed the room on its node. Start it again."), message
    assert time.monotonic() - begun < 40
    only_homes_are_left(contrary, "vera")


def test_something_more_important_takes_the_place_of_a_server(contrary: Facility) -> None:
    assert contrary.start("vera", {"profile": "training"}).status_code == 201
    with something_more_important(contrary, 2):
        until(lambda: contrary.server("vera") is None, 60, "the hub knows that the server has ended")
        ended(contrary, "vera", "Something more important needed the room on its node. Start it again.")
        answer = contrary.start("vera", {"profile": "training"})
        assert answer.headers["X-Afkit-Reason"] == "no-capacity", answer.text
        assert "Pool gpu has no free accelerator now" in answer.json()["message"]


def ended(hub: Facility, user: str, sentence: str) -> None:
    """The server's end is known with this sentence, on its page too, and only homes are left."""
    assert hub.how_it_ended(user) == sentence
    assert sentence.partition(". ")[0] in hub.page(user, f"/hub/user/{user}/lab")
    only_homes_are_left(hub, user)


def test_a_server_is_evicted(contrary: Facility) -> None:
    assert contrary.start("rosalind", {"profile": "plain"}).status_code == 201
    (pod,) = contrary.pods("rosalind")
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    begun = time.monotonic()
    eviction: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    contrary.api.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", eviction)
    until(lambda: contrary.server("rosalind") is None, 60, "the hub knows that the server has ended")
    print(f"an eviction was known after {time.monotonic() - begun:.1f} s")
    ended(contrary, "rosalind", "Its node is being emptied for service. Start it again: it goes to another node.")
    assert contrary.start("rosalind", {"profile": "plain"}).status_code == 201


def test_a_node_is_drained(contrary: Facility) -> None:
    assert contrary.start("maria", {"profile": "plain"}).status_code == 201
    kubectl: list[str | Path] = [contrary.cluster.kubectl, "--kubeconfig", contrary.cluster.inside_kubeconfig]
    ours = f"--pod-selector=component=singleuser-server,afkit.io/facility={contrary.facility.name}"
    try:
        contrary.cluster.run([*kubectl, "drain", NODE, ours, "--delete-emptydir-data", "--force", "--ignore-daemonsets", "--timeout=60s"])
        until(lambda: contrary.server("maria") is None, 30, "the hub knows that the server has ended")
        ended(contrary, "maria", "Its node is being emptied for service. Start it again: it goes to another node.")
        answer = contrary.start("maria", {"profile": "plain"})
        assert answer.headers["X-Afkit-Reason"] == "no-capacity", answer.text
        assert answer.json()["message"] == "The only node of pool cpu is being serviced now and takes no new servers."
    finally:
        contrary.cluster.run([*kubectl, "uncordon", NODE])
    until(lambda: contrary.start("maria", {"profile": "plain"}).status_code == 201, 60, "the node takes servers again")


def test_a_node_that_is_taken_away_under_a_start(contrary: Facility) -> None:
    with node(contrary.cluster, "fragile-0", "pool.example.org/fragile"):
        start = contrary.begin("dorothy", {"profile": "fragile"})
        assert start.pod()["spec"]["nodeName"] == "fragile-0"
    begun = time.monotonic()
    message = start.failed()
    print(f"a lost node was told after {time.monotonic() - begun:.1f} s")
    assert "Node fragile-0, on which the server starts, does not exist any more." in message
    assert "Start it again: it goes to another node." in message
    assert start.seconds < DEADLINE
    only_homes_are_left(contrary, "dorothy")


def test_after_a_start_that_failed_the_namespace_is_made_whole_again(contrary: Facility) -> None:
    hub = contrary
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    hub.stop("ada")
    until(lambda: not hub.pods("ada"), 60, "her pod is gone")
    policy = f"/apis/networking.k8s.io/v1/namespaces/{hub.place('ada')}/networkpolicies/{NETWORK}"
    hub.api.get(policy)
    # the hub trusts a namespace for minutes once it was seen to
    hub.api.delete(policy)
    assert hub.start("ada", {"profile": "unranked"}).status_code == 424
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    hub.api.get(policy)
