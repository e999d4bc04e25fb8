"""The cluster is a Kubernetes like any other: what the rest of the suite stands on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from afkit.facility.load import load_facility
from afkit.facility.model import Pool
from tests.cluster.pods import pod, ready, run_pod, service
from tools.kubernetes.api import Api, ApiError, Object
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.layout import NODE
from tools.kubernetes.nodes import architecture, fake_node, fake_nodes, real_node
from tools.kubernetes.objects import node_ready
from tools.kubernetes.start import offer

FOREVER = ["sleep", "3600"]


def kubectl(cluster: Cluster, *words: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run([cluster.kubectl, *words], env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_node_is_ready_and_says_what_it_is(cluster: Cluster) -> None:
    node = cluster.api.get(f"/api/v1/nodes/{NODE}")
    assert node_ready(node)
    assert node["status"]["nodeInfo"]["architecture"] == architecture()
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")


def test_a_pod_runs_and_answers_kubectl(cluster: Cluster, busybox: str, namespace: str) -> None:
    made = pod("talker", busybox, ["sh", "-c", "echo ready to talk; sleep 3600"], hostname="talker")
    run_pod(cluster.api, namespace, made)
    assert kubectl(cluster, "-n", namespace, "logs", "talker") == "ready to talk\n"
    assert "uid=0" in kubectl(cluster, "-n", namespace, "exec", "talker", "--", "id")


def test_pods_find_each_other_by_name_and_through_services(cluster: Cluster, busybox: str, namespace: str) -> None:
    run_pod(cluster.api, namespace, pod("web", busybox, ["sh", "-c", "echo hello > /index.html; httpd -f -p 8000 -h /"]))
    cluster.api.request("POST", f"/api/v1/namespaces/{namespace}/services", service("web", 8000))
    run_pod(cluster.api, namespace, pod("client", busybox, FOREVER))
    # the name of the API server, a service of the same namespace, and nothing of the world outside
    ask = ["-n", namespace, "exec", "client", "--"]
    assert "198.19.0.1" in kubectl(cluster, *ask, "nslookup", "kubernetes.default.svc.cluster.local")
    page = f"wget -q -O - http://web.{namespace}:8000/ || (sleep 1; wget -q -O - http://web.{namespace}:8000/)"
    assert kubectl(cluster, *ask, "sh", "-c", page) == "hello\n"
    with pytest.raises(subprocess.CalledProcessError):
        kubectl(cluster, *ask, "nslookup", "example.org.")


def test_a_service_is_reached_from_the_machine(cluster: Cluster, busybox: str, namespace: str) -> None:
    run_pod(cluster.api, namespace, pod("web", busybox, ["sh", "-c", "echo outside > /index.html; httpd -f -p 8000 -h /"]))
    cluster.api.request("POST", f"/api/v1/namespaces/{namespace}/services", service("web", 8000))
    found = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/web")
    direct, through = cluster.forward(f"{found['status']['podIP']}:8000"), cluster.forward(f"{namespace}/web")
    for url in (direct, through):
        assert url.startswith("http://127.0.0.1:")
        assert page(url) == b"outside\n"


def page(url: str) -> bytes:
    """What is there, once the node's rules for a new service are in force."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


def test_programs_run_inside_with_the_clusters_names(cluster: Cluster) -> None:
    resolved = cluster.run(["getent", "hosts", "kubernetes.default.svc.cluster.local"], names=True)
    assert resolved.split()[0] == "198.19.0.1"


def test_fake_nodes_take_only_pods_that_ask_for_them(cluster: Cluster, busybox: str, namespace: str) -> None:
    made = fake_node(Pool(namespace, "Far", "arm64", {"pool.example.org/far": "true"}), 0)
    name = made["metadata"]["name"]
    cluster.api.request("POST", "/api/v1/nodes", made)
    try:
        cluster.api.until(f"/api/v1/nodes/{name}", node_ready)
        taints = [{"key": taint["key"], "operator": "Exists"} for taint in made["spec"]["taints"]]
        selected = {"pool.example.org/far": "true", "kubernetes.io/arch": "arm64"}
        asked = run_pod(cluster.api, namespace, pod("asked", busybox, FOREVER, nodeSelector=selected, tolerations=taints))
        assert asked["spec"]["nodeName"] == name
        assert run_pod(cluster.api, namespace, pod("any", busybox, FOREVER))["spec"]["nodeName"] == NODE
    finally:
        # while its node is there to end it
        cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/asked")
        cluster.api.until(f"/api/v1/namespaces/{namespace}/pods/asked", lambda found: found is None)
        cluster.api.delete(f"/api/v1/nodes/{name}")


def test_the_nodes_are_those_of_the_facilitys_pools(cluster: Cluster, facility_file: Path) -> None:
    pools = tuple(load_facility(facility_file).pools.values())
    real = real_node(pools, architecture())
    node = cluster.api.get(f"/api/v1/nodes/{NODE}")
    assert dict(real.labels).items() <= node["metadata"]["labels"].items()
    assert dict(real.resources).items() <= node["status"]["allocatable"].items()
    for fake in fake_nodes(pools, real, {}):
        found = cluster.api.get(f"/api/v1/nodes/{fake['metadata']['name']}")
        assert node_ready(found)
        assert found["status"]["nodeInfo"]["architecture"] == fake["status"]["nodeInfo"]["architecture"]


def test_an_extended_resource_is_counted_on_the_real_node(cluster: Cluster, busybox: str, namespace: str) -> None:
    offer(cluster, {"example.org/counted": "1"})
    wanted = {"limits": {"example.org/counted": "1"}}
    run_pod(cluster.api, namespace, pod("first", busybox, FOREVER, resources=wanted))
    cluster.api.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod("second", busybox, FOREVER, resources=wanted))

    def waits(found: Object | None) -> bool:
        conditions = (found or {}).get("status", {}).get("conditions", [])
        return any("Insufficient example.org/counted" in one.get("message", "") for one in conditions)

    cluster.api.until(f"/api/v1/namespaces/{namespace}/pods/second", waits)


def test_the_api_server_comes_back_with_all_that_it_had(cluster: Cluster, busybox: str, namespace: str) -> None:
    run_pod(cluster.api, namespace, pod("survivor", busybox, FOREVER))
    cluster.end_program("kube-apiserver", signal.SIGKILL)
    with pytest.raises(ApiError) as refused:
        cluster.api.get("/version")
    assert refused.value.status == 0
    cluster.start_program("kube-apiserver")
    wait_for_api(cluster.api)
    assert ready(cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/survivor"))


def wait_for_api(api: Api) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            api.request("GET", "/readyz", timeout=5)
        except ApiError:
            assert time.monotonic() < deadline, "the API server does not come back"
            time.sleep(0.1)
        else:
            return
