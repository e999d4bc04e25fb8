"""Which nodes a test cluster has for the pools of a facility."""

from __future__ import annotations

from afkit.facility.model import Accelerator, NodeSize, Pool
from tools.kubernetes.nodes import FAKE, FAKE_TAINT, architecture, device_objects, fake_nodes, real_node

CPU = Pool("cpu", "CPU", "amd64", {"pool.example.org/cpu": "true"}, nodes=(2, 20))
ARM = Pool("arm", "ARM", "arm64", {"pool.example.org/arm": "true"}, nodes=(3, 3))
GPU = Pool(
    "gpu",
    "GPU",
    "amd64",
    {"pool.example.org/gpu": "true"},
    taints=({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},),
    node=NodeSize(cpu=60_000, memory=480 * 2**30),
    nodes=(0, 2),
    accelerator=Accelerator("nvidia", product="A100", per_node=4, resource="nvidia.com/gpu"),
)
FAR = Pool("far", "Far", "amd64", {"pool.example.org/far": "true"}, tolerations=({"key": FAKE, "operator": "Exists"},))


def test_the_real_node_serves_every_pool_of_its_architecture_that_has_a_key_of_its_own() -> None:
    node = real_node((CPU, ARM, GPU, FAR), "amd64")
    assert node.pools == ("cpu", "gpu")
    assert node.labels == {"pool.example.org/cpu": "true", "pool.example.org/gpu": "true", "nvidia.com/gpu.product": "A100"}
    assert node.resources == {"nvidia.com/gpu": "4"}


def test_of_two_pools_that_want_different_values_of_a_label_the_first_is_served() -> None:
    one, two = (Pool(name, name, "amd64", {"pool": name}) for name in ("one", "two"))
    assert real_node((one, two), "amd64").pools == ("one",)


def test_fake_nodes_are_made_for_the_pools_that_the_real_one_does_not_serve() -> None:
    real = real_node((CPU, ARM, GPU, FAR), "amd64")
    made = fake_nodes((CPU, ARM, GPU, FAR), real, {})
    assert [node["metadata"]["name"] for node in made] == ["fake-arm-0", "fake-arm-1", "fake-arm-2", "fake-far-0"]
    assert made[0]["metadata"]["labels"]["kubernetes.io/arch"] == "arm64"
    assert [taint["key"] for taint in made[0]["spec"]["taints"]] == [FAKE, "kubernetes.io/arch"]


def test_as_many_fake_nodes_as_asked_with_all_that_the_pool_says() -> None:
    made = fake_nodes((CPU, GPU), real_node((CPU, GPU), "amd64"), {"gpu": 2})
    assert [node["metadata"]["name"] for node in made] == ["fake-gpu-0", "fake-gpu-1"]
    assert made[0]["status"]["capacity"] == {
        "cpu": "60",
        "memory": "480Gi",
        "ephemeral-storage": "400Gi",
        "pods": "250",
        "nvidia.com/gpu": "4",
    }
    assert made[0]["spec"]["taints"] == [FAKE_TAINT, *GPU.taints]


def test_architectures_have_the_names_of_kubernetes() -> None:
    assert [architecture("x86_64"), architecture("aarch64"), architecture("riscv64")] == ["amd64", "arm64", "riscv64"]


def test_devices_are_counted_on_fake_nodes_alone() -> None:
    unit = Accelerator("nvidia", product="A100", memory=40 * 2**30, per_node=2, device_class="gpu.nvidia.com")
    pool = Pool("dra", "DRA", "amd64", {"pool.example.org/dra": "true"}, accelerator=unit)
    real = real_node((CPU, pool), "amd64")
    assert real.pools == ("cpu",)
    nodes = fake_nodes((CPU, pool), real, {})
    made = device_objects((CPU, pool), nodes)
    assert [(plural, one["metadata"]["name"]) for plural, one in made] == [
        ("deviceclasses", "gpu.nvidia.com"),
        ("resourceslices", "fake-dra-0"),
    ]
    assert made[1][1]["spec"]["devices"][0] == {
        "name": "device-0",
        "attributes": {"product": {"string": "A100"}, "vendor": {"string": "nvidia"}},
        "capacity": {"memory": {"value": "40Gi"}},
    }
