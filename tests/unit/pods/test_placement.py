"""Where a Pod may run, and what it takes."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.facility.model import Accelerator
from afkit.pods.placement import accelerator_env, container_resources, device_template, node_labels, placement
from afkit.policy.model import Resources
from tests.unit.pods.asking import env, loaded, main, server
from tests.unit.policy.facilities import GI, gpu_pool, pool

ONE = Resources(1000, 2 * GI, 2000, None, accelerators=1)
NONE = Resources(1000, 2 * GI, 2000, 4 * GI, 10 * GI)
ARM = {"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_architecture_is_selected_both_ways(arch: str) -> None:
    made = placement(pool("cpu", arch, node_selector={"example.org/pool": "cpu"}))
    assert made["nodeSelector"] == {"example.org/pool": "cpu", "kubernetes.io/arch": arch}
    assert made.get("tolerations", []) == ([ARM] if arch == "arm64" else [])


def test_taints_are_tolerated_and_no_others_of_their_key() -> None:
    taints = ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, {"key": "alone", "effect": "NoExecute"}, dict(ARM, operator=None))
    extra = {"key": "old", "operator": "Exists"}
    made = placement(pool("arm", "arm64", taints=taints, tolerations=(extra, extra)))
    assert made["tolerations"] == [
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"key": "alone", "operator": "Equal", "effect": "NoExecute"},
        ARM,
        extra,
    ]


@pytest.mark.parametrize("vendor", ["nvidia", "amd", "intel"])
def test_a_product_is_selected_only_where_it_is_given(vendor: Any) -> None:
    labels = {"nvidia": "nvidia.com/gpu.product", "amd": "amd.com/gpu.product-name", "intel": "gpu.intel.com/product"}
    given = node_labels(pool("gpu", accelerator=Accelerator(vendor, product="X1", resource="x/gpu")))
    assert given == {"kubernetes.io/arch": "amd64", labels[vendor]: "X1"}
    assert node_labels(pool("gpu", accelerator=Accelerator(vendor, resource="x/gpu"))) == {"kubernetes.io/arch": "amd64"}


def test_resources_are_those_of_the_selection() -> None:
    assert container_resources(pool("cpu"), NONE) == {
        "requests": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "10Gi"},
        "limits": {"cpu": "2", "memory": "4Gi"},
    }
    assert container_resources(pool("cpu"), Resources(500, 3 * 10**9, None, None)) == {"requests": {"cpu": "500m", "memory": "3G"}}


def test_accelerators_as_an_extended_resource() -> None:
    made = container_resources(gpu_pool("gpu"), ONE)
    assert made["limits"] == {"cpu": "2", "nvidia.com/gpu": "1"}
    assert made["requests"] == {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}


def test_accelerators_as_a_claim_beside_cpu_and_memory() -> None:
    unit = Accelerator("nvidia", device_class="gpu.example.org", selectors=("a", "b"))
    made = container_resources(pool("gpu", accelerator=unit), ONE)
    assert made == {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2"}, "claims": [{"name": "accelerator"}]}
    metadata = {"name": "x", "labels": {"a": "b"}, "annotations": {}}
    template = device_template(pool("gpu", accelerator=unit), Resources(1, 1, None, None, accelerators=3), metadata)
    assert template is not None
    [request] = template["spec"]["spec"]["devices"]["requests"]
    assert request == {
        "name": "accelerator",
        "exactly": {
            "deviceClassName": "gpu.example.org",
            "allocationMode": "ExactCount",
            "count": 3,
            "selectors": [{"cel": {"expression": "a"}}, {"cel": {"expression": "b"}}],
        },
    }
    assert device_template(gpu_pool("gpu"), ONE, metadata) is None
    assert device_template(pool("gpu", accelerator=unit), NONE, metadata) is None


def test_without_an_nvidia_gpu_its_images_get_none() -> None:
    void = {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert accelerator_env(pool("cpu"), NONE) == void
    assert accelerator_env(gpu_pool("gpu"), NONE) == void
    assert accelerator_env(pool("amd", accelerator=Accelerator("amd", resource="amd.com/gpu")), ONE) == void
    assert accelerator_env(gpu_pool("gpu"), ONE) == {}
    assert env(server(loaded("example.yaml"), {}, "cms:/cms"))["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_pod_with_claimed_devices() -> None:
    made = server(loaded("wide.yaml"), {"pool": "claims", "size": "two"}, "lab:staff")
    assert made.pod["spec"]["resourceClaims"] == [{"name": "accelerator", "resourceClaimTemplateName": "jupyter-ada-devices"}]
    assert made.pod["spec"]["runtimeClassName"] == "nvidia"
    assert main(made)["resources"]["requests"] == {"cpu": "1500m", "memory": "4Gi"}
    [template] = [thing for thing in made.owned if thing["kind"] == "ResourceClaimTemplate"]
    assert template["metadata"]["name"] == "jupyter-ada-devices"


def test_required_affinity_of_two_layers_holds_together() -> None:
    spec = server(loaded("wide.yaml"), {"pool": "claims", "size": "two"}, "lab:staff").pod["spec"]
    [term] = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [one["key"] for one in term["matchExpressions"]] == ["example.org/zone", "example.org/rack"]
    assert spec["nodeSelector"]["kubernetes.io/arch"] == "arm64"
