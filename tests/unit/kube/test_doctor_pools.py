"""What a facility file says of its pools beside the nodes that there are."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.facility.model import NodeSize, Pool
from afkit.kube.doctor_pools import pools_beside
from tests.unit.kube.worlds import facility, gpu_node, gpu_pool, node, pool, uses

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("where", "nodes", "state", "said"),
    [
        (pool(), [node("n1"), node("n2")], "ok", "2 nodes (n1, n2)."),
        (pool(), [node("n1", arch="arm64")], "bad", "The file says that its nodes are amd64; n1: arm64."),
        (pool(), [node("n1", "other")], "bad", "No node has the label pool=cpu."),
        (
            pool(node_selector={"pool": "cpu", "room": "1"}),
            [node("n1"), {**node("n2", "other"), "metadata": {"name": "n2", "labels": {"room": "1", "kubernetes.io/arch": "amd64"}}}],
            "bad",
            "No node has all of its labels together: kubernetes.io/arch=amd64, pool=cpu, room=1.",
        ),
        (
            pool(),
            [node("n1", taints=[TAINT])],
            "bad",
            "The taint dedicated=gpu:NoSchedule keeps servers away from n1: name it under taints.",
        ),
        (pool(), [node("n1", ready="Unknown")], "bad", "None of its nodes takes servers now: n1 do not answer or are cordoned."),
        (
            pool(nodes=(0, 3)),
            [],
            "unknown",
            "It has no node now; whether the autoscaler can start one shows only when somebody asks for it.",
        ),
        (pool(nodes=(0, 0)), [], "ok", "It has no nodes, as the file says."),
        (
            pool(node=NodeSize(8000)),
            [node("n1")],
            "bad",
            "The file says that a node offers 8 cpu; n1 offers 4: servers of that size never start there.",
        ),
        (gpu_pool(), [gpu_node("n1", 4)], "ok", "1 node (n1), 4 of 4 nvidia.com/gpu free."),
        (gpu_pool(), [gpu_node("n1", 8)], "bad", "The file says 4 nvidia.com/gpu a node; there are nodes with 8."),
        (
            gpu_pool(),
            [node("n1", "gpu")],
            "bad",
            "n1 does not offer nvidia.com/gpu: the device plugin does not run there, or the resource has another name.",
        ),
    ],
)
def test_what_is_found_of_a_pool(where: Pool, nodes: list[dict[str, Any]], state: str, said: str) -> None:
    (found,) = pools_beside(facility(where), uses(nodes))
    assert (found.state, found.message) == (state, said)
    assert found.remedy or state != "bad"


def test_a_taint_that_the_file_names_and_a_node_has_not_is_told_and_is_no_fault() -> None:
    (found,) = pools_beside(facility(gpu_pool(taints=(TAINT,))), uses([gpu_node("n1", taints=[TAINT]), gpu_node("n2")]))
    assert found.state == "ok"
    assert found.details == ("n2: without the taint dedicated=gpu:NoSchedule that the file names; servers of other pools may come there.",)
