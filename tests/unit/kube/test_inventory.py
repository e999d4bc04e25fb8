"""What pods take, what nodes have, and what a pool is worth now."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from afkit.facility.model import Accelerator
from afkit.kube.amounts import amounts, pod_requests
from afkit.kube.inventory import inventory, inventory_without_nodes
from afkit.kube.nodes import nodes_of, tolerates, untolerated
from afkit.names import DEVICES_ANNOTATION, FACILITY_LABEL
from afkit.policy.model import PoolState
from tests.unit.kube.worlds import GPU, facility, gpu_node, gpu_pool, node, pod, pool, uses

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("resource", "text", "amount"),
    [
        ("cpu", "1", 1000),
        ("cpu", "250m", 250),
        ("cpu", "1.5", 1500),
        ("cpu", "100n", 1),
        ("memory", "2Gi", 2 << 30),
        ("memory", "2G", 2 * 10**9),
        ("memory", "1e3", 1000),
        ("memory", "5E", 5 * 10**18),
        ("memory", "1234", 1234),
        ("memory", "128974848000m", 128974848),
        (GPU, "8", 8),
        ("memory", "nonsense", 0),
    ],
)
def test_amounts(resource, text, amount):
    assert amounts({resource: text}) == {resource: amount}


def test_a_pod_takes_the_larger_of_running_and_preparing():
    def container(cpu, **more):
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [container("1", restartPolicy="Always"), container("5")],
        "containers": [container("2"), container("500m"), {"resources": {"limits": {"cpu": "1"}}}],
        "overhead": {"cpu": "100m"},
    }
    # the preparing one runs beside the sidecar before it: 1 + 5 > 1 + 2 + 0.5 + 1
    assert pod_requests(spec) == {"cpu": 6100, "pods": 1}
    spec["initContainers"].pop()
    assert pod_requests(spec) == {"cpu": 4600, "pods": 1}
    assert pod_requests({**spec, "resources": {"requests": {"cpu": "8"}}})["cpu"] == 8100


def test_a_node_is_counted_once_and_only_for_what_still_runs():
    (one,) = uses(
        [gpu_node("n1", 4)],
        pod("a", node="n1", gpus=1, phase="Running"),
        pod("b", node="n1", gpus=2, phase="Succeeded"),
        pod("c", gpus=4),
        pod("d", node="n1", gpus=1, ours=False, phase="Running"),
    )
    assert one.free(GPU) == 2
    assert one.taken["pods"] == 2
    file = facility(gpu_pool("gpu"), gpu_pool("also", node_selector={"pool": "gpu"}), pool("cpu", node_selector={"pool": "gpu"}))
    assert dict(inventory(file, [one]).pools) == {"gpu": PoolState(free=2, most=2), "also": PoolState(free=2, most=2), "cpu": PoolState()}


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([], "Pool gpu has no nodes now."),
        ([gpu_node("n1", ready="Unknown")], "The only node of pool gpu does not answer now."),
        ([gpu_node("n1", ready="False"), gpu_node("n2", ready="False")], "All 2 nodes of pool gpu do not answer now."),
        (
            [gpu_node("n1", taints=[TAINT])],
            "The only node of pool gpu has a taint that the facility file does not name (dedicated=gpu:NoSchedule).",
        ),
        (
            [gpu_node("n1", taints=[TAINT]), gpu_node("n2", ready="False")],
            "All 2 nodes of pool gpu have a taint that the facility file does not name (dedicated=gpu:NoSchedule), or take no servers now.",
        ),
        ([gpu_node("n1", arch="arm64")], "Pool gpu has no nodes now."),
        ([node("n1", "cpu")], "Pool gpu has no nodes now."),
    ],
)
def test_a_pool_that_nothing_can_run_on(nodes, why):
    state = inventory(facility(gpu_pool("gpu", nodes=(2, 2))), uses(nodes)).pools["gpu"]
    assert state == PoolState(False, why, 0)


def test_a_cordoned_node_takes_nothing():
    cordoned = {
        **node("n1"),
        "spec": {"unschedulable": True, "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]},
    }
    state = inventory(facility(pool()), uses([cordoned])).pools["cpu"]
    assert state.why == "The only node of pool cpu is being serviced now and takes no new servers."


def test_an_autoscaler_adds_what_it_may():
    grows = facility(gpu_pool("gpu", nodes=(0, 3)))
    assert inventory(grows, uses([])).pools["gpu"] == PoolState(free=12, most=4)
    assert inventory(grows, uses([gpu_node("n1")], pod("a", node="n1", gpus=3))).pools["gpu"] == PoolState(free=9, most=4)
    unknown = facility(gpu_pool("gpu", nodes=(0, 3), per_node=None))
    assert inventory(unknown, uses([])).pools["gpu"] == PoolState(free=None)


def test_devices_are_counted_by_what_our_pods_say_and_by_claims():
    unit = Accelerator(vendor="nvidia", device_class="gpu.nvidia.com", per_node=4)
    file = facility(gpu_pool("gpu", accelerator=unit))

    def claiming(says: str = "", *, ours: bool = True) -> PoolState:
        metadata = {"annotations": {DEVICES_ANNOTATION: says}} if says else {}
        spec = {"nodeName": "n1", "resourceClaims": [{"name": "accelerator"}]}
        more = metadata if not ours else {"labels": {FACILITY_LABEL: "obs"}, **metadata}
        return inventory(file, uses([node("n1", "gpu")], pod("a", spec=spec, metadata=more, ours=ours))).pools["gpu"]

    assert claiming() == PoolState(free=3, most=3)
    assert claiming("3") == PoolState(free=1, most=1)
    assert claiming("3", ours=False) == PoolState(free=3, most=3)
    assert claiming("many") == claiming("-3") == PoolState(free=3, most=3)
    blind = facility(gpu_pool("gpu", accelerator=Accelerator(vendor="nvidia", device_class="gpu.nvidia.com")))
    assert inventory(blind, uses([node("n1", "gpu")])).pools["gpu"] == PoolState(free=None)


def test_without_rights_on_nodes_the_file_counts():
    file = facility(gpu_pool("gpu", nodes=(0, 2)), pool())
    pods = [
        pod("a", gpus=3, pool="gpu"),
        pod("b", gpus=1, pool="gpu", phase="Failed"),
        pod("c", gpus=1, ours=False),
        pod("d", gpus=1, pool="gone"),
    ]
    assert dict(inventory_without_nodes(file, pods).pools) == {"gpu": PoolState(free=5)}


def test_taints():
    assert tolerates({"operator": "Exists"}, TAINT)
    assert tolerates({"key": "dedicated", "operator": "Exists"}, TAINT)
    assert tolerates({"key": "dedicated", "value": "gpu"}, TAINT)
    assert not tolerates({"key": "dedicated", "value": "cpu"}, TAINT)
    assert not tolerates({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, TAINT)
    assert not tolerates({}, TAINT)
    (tainted,) = uses([gpu_node("n1", taints=[TAINT, {"key": "x", "effect": "PreferNoSchedule"}])])
    assert untolerated(tainted, gpu_pool()) == ("dedicated=gpu:NoSchedule",)
    assert untolerated(tainted, gpu_pool(taints=(TAINT,))) == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=20))
def test_free_is_never_negative_and_never_more_than_there_is(placed):
    nodes = [gpu_node(f"n{n}", 4) for n in range(4)]
    pods = [pod(f"p{i}", node=f"n{where}", gpus=gpus, phase="Running") for i, (where, gpus) in enumerate(placed)]
    state = inventory(facility(gpu_pool()), uses(nodes, *pods)).pools["gpu"]
    by_node = [max(0, 4 - sum(gpus for where, gpus in placed if where == n)) for n in range(4)]
    assert (state.free, state.most) == (sum(by_node), max(by_node))
    assert len(nodes_of(gpu_pool(), uses(nodes))) == 4
