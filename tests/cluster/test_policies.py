"""NetworkPolicies hold for real packets: what the tests of the facility's own policies stand on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.cluster.inside import connect, in_network, listening
from tests.cluster.pods import pod, run_pod
from tools.kubernetes.api import Api, Object
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.layout import API_SERVICE, DNS_SERVICE, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE

LISTEN = listening(8081, 8888, 9000, 9005, 9011)
RESOLVE = """if True:
    import socket, sys
    question = b"\\x12\\x34\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00" + b"".join(
        bytes([len(word)]) + word for word in b"kubernetes.default.svc.cluster.local".split(b".")
    ) + b"\\x00\\x00\\x01\\x00\\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(1.5)
        made.sendto(question, (sys.argv[1], 53))
        try:
            print("open" if made.recv(512)[:2] == b"\\x12\\x34" else "?")
        except TimeoutError:
            print("closed")
"""
DNS: dict[str, Any] = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
"""How policies name the cluster's DNS."""
INTERNET = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32", POD_RANGE, SERVICE_RANGE, f"{NODE_ADDRESS}/32"]}}


class Place:
    """A hub, two people's servers in namespaces of their own, with services, and policies as a facility has them."""

    def __init__(self, api: Api, names: Mapping[str, str], pods: Mapping[str, Object], services: Mapping[str, str]) -> None:
        self.api = api
        self.namespaces = names
        self.pods = pods
        self.services = services

    def address(self, name: str) -> str:
        return str(self.pods[name]["status"]["podIP"])

    def policy(self, where: str, name: str, **spec: Any) -> None:
        """Make a policy; it is in force when this returns."""
        path = f"/apis/networking.k8s.io/v1/namespaces/{self.namespaces[where]}/networkpolicies/{name}"
        body = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name},
            "spec": {"podSelector": {}} | spec,
        }
        self.api.apply(path, body)

    def forget(self, where: str, name: str) -> None:
        self.api.delete(f"/apis/networking.k8s.io/v1/namespaces/{self.namespaces[where]}/networkpolicies/{name}")


@pytest.fixture(scope="module")
def place(cluster: Cluster, busybox: str) -> Iterator[Place]:
    api = cluster.api
    names = {who: f"policies-{who}" for who in ("hub", "ada", "eve")}
    pods, services = {}, {}
    for who, namespace in names.items():
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        api.until(f"/api/v1/namespaces/{namespace}/serviceaccounts/default", lambda account: account is not None)
        made = dict(pod(who, busybox, LISTEN))
        made["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8081}, {"name": "notebook", "containerPort": 8888}]
        pods[who] = run_pod(api, namespace, made)
        body = {
            "metadata": {"name": who},
            "spec": {"selector": {"app": who}, "ports": [{"name": "p", "port": 80, "targetPort": "notebook"}]},
        }
        services[who] = str(api.request("POST", f"/api/v1/namespaces/{namespace}/services", body)["spec"]["clusterIP"])
    yield Place(api, names, pods, services)
    for namespace in names.values():
        api.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture(scope="module")
def ruled(place: Place) -> Place:
    """Ada's namespace as a facility's: all closed, but the hub to her server and back, her own pods, DNS, and the world outside."""
    hub = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespaces["hub"]}},
        "podSelector": {"matchLabels": {"app": "hub"}},
    }
    place.policy("ada", "closed", policyTypes=["Ingress", "Egress"])
    place.policy(
        "ada", "hub", policyTypes=["Ingress"], ingress=[{"from": [hub], "ports": [{"port": "notebook"}, {"port": 9000, "endPort": 9010}]}]
    )
    dns = {"to": [DNS], "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    out = [{"to": [hub], "ports": [{"port": "http"}]}, {"to": [{"podSelector": {}}]}, {"to": [INTERNET]}, dns]
    place.policy("ada", "out", policyTypes=["Egress"], egress=out)
    settled(lambda: connect(place.pods["eve"], place.address("ada"), 8888, 0.3) == "closed")
    return place


def settled(true: Any, seconds: float = 10) -> None:
    """Wait until policies are in force: nobody says when."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "policies are not in force"


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [("eve", "hub", 8888), ("eve", "hub", 8081), ("hub", "eve", 9011), ("eve", "eve", 8888)],
)
def test_what_no_policy_selects_is_open(ruled: Place, source: str, target: str, port: int) -> None:
    assert connect(ruled.pods[source], ruled.address(target), port) == f"open {port}"


@pytest.mark.parametrize(
    ("source", "port", "expected"),
    [
        ("hub", 8888, "open 8888"),  # by the port's name
        ("hub", 9000, "open 9000"),  # the range's first, one within, and one beyond
        ("hub", 9005, "open 9005"),
        ("hub", 9011, "closed"),
        ("hub", 8081, "closed"),
        ("eve", 8888, "closed"),
        ("eve", 9000, "closed"),
    ],
)
def test_what_comes_in(ruled: Place, source: str, port: int, expected: str) -> None:
    assert connect(ruled.pods[source], ruled.address("ada"), port) == expected


def test_services_are_judged_by_the_pods_behind_them(ruled: Place) -> None:
    assert connect(ruled.pods["hub"], ruled.services["ada"], 80) == "open 8888"
    assert connect(ruled.pods["eve"], ruled.services["ada"], 80) == "closed"
    assert connect(ruled.pods["ada"], ruled.services["eve"], 80) == "closed"
    # a pod reaches itself through its own service
    assert connect(ruled.pods["ada"], ruled.services["ada"], 80) == "open 8888"


@pytest.mark.parametrize(("target", "port", "expected"), [("hub", 8081, "open 8081"), ("hub", 8888, "closed"), ("eve", 8888, "closed")])
def test_what_goes_out(ruled: Place, target: str, port: int, expected: str) -> None:
    assert connect(ruled.pods["ada"], ruled.address(target), port) == expected


def test_the_nodes_own_programs_are_closed_but_dns(ruled: Place) -> None:
    ada, eve = ruled.pods["ada"], ruled.pods["eve"]
    for host, port in ((NODE_ADDRESS, 6443), (API_SERVICE, 443), (NODE_ADDRESS, 10250)):
        assert connect(ada, host, port) == "closed", (host, port)
        # they are there: without a policy the connection is made (TLS says nothing first)
        assert (
            in_network(eve, sys.executable, "-c", f"import socket; socket.create_connection(({host!r}, {port}), 5); print('there')")
            == "there"
        )
    assert connect(ada, "169.254.169.254", 80) == "closed"
    for address in (DNS_SERVICE, NODE_ADDRESS):
        assert in_network(ada, sys.executable, "-c", RESOLVE, address) == "open"


def test_the_node_reaches_pods_as_probes_must(ruled: Place, cluster: Cluster) -> None:
    code = f"import socket; print(socket.create_connection(({ruled.address('ada')!r}, 8888), 5).recv(9).decode())"
    assert cluster.run([sys.executable, "-c", code]).strip() == "8888"


def test_a_policy_is_in_force_at_once_and_so_is_its_end(place: Place) -> None:
    eve, hub = place.pods["eve"], place.address("hub")
    assert connect(eve, hub, 8081) == "open 8081"
    began = time.monotonic()
    place.policy("hub", "closed", policyTypes=["Ingress"])
    settled(lambda: connect(eve, hub, 8081, 0.2) == "closed", 5)
    place.forget("hub", "closed")
    settled(lambda: connect(eve, hub, 8081, 1) == "open 8081", 5)
    assert time.monotonic() - began < 10


def test_a_pod_that_is_not_known_yet_reaches_nothing(place: Place, cluster: Cluster, busybox: str) -> None:
    """While the translation stands still, a new pod is closed in both directions, although no policy selects it."""
    cluster.signal_program("policies", 19)
    try:
        late = run_pod(cluster.api, place.namespaces["eve"], pod("late", busybox, LISTEN))
        assert connect(late, place.address("hub"), 8081) == "closed"
        assert connect(late, NODE_ADDRESS, 6443) == "closed"
        assert connect(place.pods["hub"], late["status"]["podIP"], 8081) == "closed"
    finally:
        cluster.signal_program("policies", 18)
    settled(lambda: connect(late, place.address("hub"), 8081, 1) == "open 8081")


def test_rules_outlive_the_translation(ruled: Place, cluster: Cluster) -> None:
    cluster.end_program("policies", 9)
    try:
        assert connect(ruled.pods["eve"], ruled.address("ada"), 8888) == "closed"
        assert connect(ruled.pods["hub"], ruled.address("ada"), 8888) == "open 8888"
    finally:
        cluster.start_program("policies")
    ruled.policy("eve", "closed", policyTypes=["Ingress"])
    settled(lambda: connect(ruled.pods["hub"], ruled.address("eve"), 8888, 0.2) == "closed")
    ruled.forget("eve", "closed")
