"""The facility's own network policies, as they are rendered, with real packets: who reaches whom, and who does not."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from afkit.facility.load import load_facility
from afkit.names import OWNER_LABEL
from afkit.pods.layout import MANIFESTS, facility_labels
from afkit.pods.namespace import namespace_objects
from afkit.policy.model import Entitlements
from afkit.services.namespaces.keeper import tenant
from tests.cluster.inside import connect, connects, in_network, listening
from tests.cluster.pods import run_pod
from tests.cluster.site import clear, put, rendered
from tests.cluster.volumes import strict_pod
from tools.kubernetes.api import Api, Object
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.layout import API_SERVICE, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE

FILE = """
version: 1
facility: {name: packets%(name)s, url: "https://packets.example.org/"}
identity: {allow: everyone, issuers: {school: {dialect: hub}}}
pools: {cpu: {arch: amd64}}
images: {one: {image: "registry.example.org/one:1@sha256:%(digest)s", arch: [amd64]}}
sizes: {one: {cpu: 1, memory: 1Gi}}
profiles: {one: {allow: everyone, pools: [cpu], images: [one], sizes: [one], dask: {pools: [cpu], worker: {cpu: 1, memory: 1Gi}}}}
storage: {home: {size: 1Gi, mount: /home/jovyan}}
kubernetes:
  namespace: packets%(name)s
  user_namespaces: %(namespaces)s
  ranges: ["%(pods)s", "%(services)s", "%(node)s/32"]
  network: {egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}
"""
PORTS = (8000, 8001, 8080, 8081, 8786, 8787, 8888, 9999)
DASK = ("scheduler", "worker")
"""Pods of a cluster of the first person's."""
WORLD = "192.0.2.1"
"""An address outside of all of the cluster's, behind which the node itself listens."""


@dataclass
class Place:
    """Pods by what they stand for."""

    pods: dict[str, Object]

    def reached(self, source: str, asked: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        """Those of pods and ports that answer a pod."""
        places = [(str(self.pods[target]["status"]["podIP"]), port) for target, port in asked]
        answers = connects(self.pods[source], places, 2)
        assert set(answers) <= {"closed", *(f"open {port}" for port in PORTS)}
        return {place for place, answer in zip(asked, answers, strict=True) if answer == f"open {place[1]}"}


def make(api: Api, busybox: str, file: Path) -> Place:
    """Hub, proxy and services, two people's servers and a cluster of the first, each listening on all ports; and all policies."""
    facility = load_facility(file)
    assert facility.kubernetes is not None
    central = facility.kubernetes.namespace
    shared = facility.kubernetes.user_namespaces == "shared"
    for one in rendered(facility, file):
        if one["kind"] in ("Namespace", "NetworkPolicy"):
            put(api, one)
    parts = ("hub", "proxy", "dask") if shared else ("hub", "proxy", "dask", "namespaces")
    wanted = [(name, central, {"app.kubernetes.io/component": name}) for name in parts]
    for name in ("ada", "eve"):
        person = tenant(facility, name, "hub", name)
        if not shared:
            for one in namespace_objects(facility, person, Entitlements(name, ()), MANIFESTS):
                if one["kind"] in ("Namespace", "NetworkPolicy"):
                    put(api, one)
        labels, where = facility_labels(facility) | {OWNER_LABEL: person.owner}, central if shared else person.namespace
        wanted.append((name, where, labels))
        wanted += [(role, where, labels | {"dask.org/component": role}) for role in (DASK if name == "ada" else ())]
    pods = {}
    for name, namespace, labels in wanted:
        api.until(f"/api/v1/namespaces/{namespace}/serviceaccounts/default", lambda account: account is not None)
        made = strict_pod(name, busybox, volumes={}, command=listening(*PORTS))
        pods[name] = run_pod(api, namespace, {**made, "metadata": {"name": name, "labels": labels}})
    return Place(pods)


@pytest.fixture(scope="module", params=["per-user", "shared"])
def place(cluster: Cluster, busybox: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Place]:
    file = tmp_path_factory.mktemp("packets") / "facility.yaml"
    given = {"pods": POD_RANGE, "services": SERVICE_RANGE, "node": NODE_ADDRESS}
    file.write_text(FILE % {"name": request.param.partition("-")[0], "namespaces": request.param, "digest": "0" * 64, **given})
    try:
        made = make(cluster.api, busybox, file)
        deadline = time.monotonic() + 10
        while made.reached("eve", [("ada", 8888)]):
            assert time.monotonic() < deadline, "policies are not in force"
        yield made
    finally:
        clear(cluster.api, load_facility(file))


OPEN = {
    "hub": {("proxy", 8000), ("proxy", 8001), ("namespaces", 8080), ("dask", 8080), ("ada", 8888), ("eve", 8888)},
    "proxy": {("hub", 8081), ("dask", 8080), ("ada", 8888), ("eve", 8888)},
    "ada": {("hub", 8081), ("proxy", 8000), ("dask", 8080)},
    "namespaces": {("proxy", 8000)},
    "dask": {("hub", 8081), ("proxy", 8000)},
}
"""All that is open between the facility's parts, but a person's own pods; with one namespace there is no provisioner."""


def test_who_reaches_whom(place: Place) -> None:
    found = {}
    for source in OPEN.keys() & place.pods.keys():
        found[source] = place.reached(source, [(target, port) for target in place.pods for port in PORTS if target not in (source, *DASK)])
    there = {source: {one for one in reached if one[0] in place.pods} for source, reached in OPEN.items() if source in place.pods}
    assert found == there


def test_own_pods_reach_each_other_where_the_namespace_is_ones_own(place: Place, request: pytest.FixtureRequest) -> None:
    own = "per-user" in request.node.name
    assert place.reached("ada", all_of("worker")) == (set(all_of("worker")) if own else set())
    assert place.reached("worker", [("ada", 9999), ("eve", 8888)]) == ({("ada", 9999)} if own else set())


def all_of(*targets: str) -> list[tuple[str, int]]:
    return [(target, port) for target in targets for port in PORTS]


def test_the_dask_service_reaches_the_http_port_of_schedulers_alone(place: Place) -> None:
    assert place.reached("dask", all_of("scheduler", "worker", "ada")) == {("scheduler", 8787)}
    # to hub and proxy, a cluster's pods are as any session
    for source in ("hub", "proxy"):
        assert place.reached(source, all_of("scheduler", "worker")) == {("scheduler", 8888), ("worker", 8888)}


def test_a_cluster_works_and_nobody_else_sees_its_pages(place: Place, request: pytest.FixtureRequest) -> None:
    own = "per-user" in request.node.name
    assert place.reached("scheduler", all_of("worker")) == set(all_of("worker"))
    tls = {("scheduler", 8786)}
    for source in ("ada", "worker"):
        assert place.reached(source, all_of("scheduler")) == (set(all_of("scheduler")) if own else tls)
    # with one namespace for all, certificates keep people apart
    assert place.reached("eve", all_of("scheduler", "worker")) == (set() if own else tls)


def test_a_rule_for_all_addresses_opens_the_world_but_nothing_of_the_cluster(place: Place, cluster: Cluster) -> None:
    ada = place.pods["ada"]
    code = f"import socket\ns = socket.create_server(('{WORLD}', 7777))\nwhile True: s.accept()[0].sendall(b'world')"
    cluster.run(["ip", "address", "add", f"{WORLD}/32", "dev", "lo"])
    try:
        cluster.start_program("world", [sys.executable, "-c", code])
        deadline = time.monotonic() + 10
        while connect(ada, WORLD, 7777) != "open world":
            assert time.monotonic() < deadline
        cluster_own = [(NODE_ADDRESS, 6443), (API_SERVICE, 443), (NODE_ADDRESS, 10250), ("169.254.169.254", 80)]
        assert connects(ada, cluster_own) == ["closed"] * 4
    finally:
        cluster.end_program("world", 9)
        cluster.run(["ip", "address", "del", f"{WORLD}/32", "dev", "lo"])


def test_names_are_resolved(place: Place) -> None:
    from tests.cluster.test_policies import RESOLVE

    for name in ("ada", "proxy", "hub"):
        assert in_network(place.pods[name], sys.executable, "-c", RESOLVE, "198.19.0.10") == "open"
