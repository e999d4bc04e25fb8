from __future__ import annotations

from pathlib import Path

import pytest

from afkit.facility.load import load_facility
from afkit.facility.model import Accelerator, Facility
from afkit.hub.machine import Device, Machine, inventory, this_machine, visible

FILE = """
version: 1
facility: {name: machine}
pools:
  plain: {arch: amd64}
  arm: {arch: arm64}
  gpu: {arch: amd64, accelerator: {vendor: nvidia, resource: nvidia.com/gpu}}
  h100: {arch: amd64, accelerator: {vendor: nvidia, product: NVIDIA-H100-80GB-HBM3, resource: example.org/h100, sharing: time-slicing}}
  a100: {arch: amd64, accelerator: {vendor: nvidia, product: NVIDIA-A100-SXM4-40GB, resource: example.org/a100}}
  slice: {arch: amd64, accelerator: {vendor: nvidia, resource: nvidia.com/mig-1g.5gb, sharing: mig}}
  amd: {arch: amd64, accelerator: {vendor: amd, resource: amd.com/gpu}}
images: {one: {image: "example.org/one:1@sha256:0000000000000000000000000000000000000000000000000000000000000001", arch: [amd64, arm64]}}
sizes: {small: {cpu: 1, memory: 1Gi}}
profiles: {p: {allow: everyone, pools: [plain, arm, gpu, h100, a100, slice, amd], images: [one], sizes: [small]}}
"""


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Facility:
    path = tmp_path_factory.mktemp("machine") / "facility.yaml"
    path.write_text(FILE)
    return load_facility(path)


TWO = Machine("amd64", (Device("nvidia", "NVIDIA-H100-80GB-HBM3"), Device("nvidia", "NVIDIA-H100-80GB-HBM3")))


def test_a_pool_is_this_machine_where_architecture_and_accelerator_agree(facility: Facility) -> None:
    found = inventory(facility, TWO, {}).pools
    assert {name for name, state in found.items() if state.available} == {"plain", "gpu", "h100"}
    assert found["plain"].free is None and found["gpu"].free == found["h100"].free == 2
    assert found["arm"].why == "This machine is amd64, not arm64."
    assert found["a100"].why == "This machine has no accelerator NVIDIA-A100-SXM4-40GB."
    assert found["slice"].why == "This machine has no slices of an NVIDIA GPU."
    assert found["amd"].why == "This machine has no AMD GPU."
    assert not any(state.available for state in inventory(facility, Machine("riscv64"), {}).pools.values())


def test_pools_of_the_same_devices_share_them(facility: Facility) -> None:
    found = inventory(facility, TWO, {"gpu": 1, "amd": 5, "gone": 3}).pools
    assert found["gpu"].free == found["h100"].free == 1
    assert inventory(facility, TWO, {"gpu": 1, "h100": 4}).pools["gpu"].free == 0


def test_devices_are_shared_out_least_used_first_and_others_are_hidden() -> None:
    nvidia = Accelerator("nvidia", resource="nvidia.com/gpu")
    assert visible(TWO, nvidia, 1, {}) == (("nvidia/0",), {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    assert visible(TWO, nvidia, 1, {"nvidia/0": 1})[0] == ("nvidia/1",)
    assert visible(TWO, nvidia, 2, {"nvidia/0": 1})[1]["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert visible(TWO, None, 0, {}) == ((), {"CUDA_VISIBLE_DEVICES": ""})
    assert visible(Machine("amd64"), None, 0, {}) == ((), {})


def test_what_the_kernel_says_is_read(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write("proc/driver/nvidia/gpus/0000:17:00.0/information", "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\n")
    write("proc/driver/nvidia/gpus/0000:65:00.0/information", "garbage")
    write("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\nsimd_count 0\n")
    write("sys/class/kfd/kfd/topology/nodes/1/properties", "cpu_cores_count 0\nsimd_count 440\n")
    write("sys/class/kfd/kfd/topology/nodes/1/name", "aldebaran\n")
    for address, kind in (("0000:00:02.0", "0x030000"), ("0000:29:00.0", "0x038000"), ("0000:2a:00.0", "0x020000")):
        write(f"sys/bus/pci/devices/{address}/vendor", "0x8086\n")
        write(f"sys/bus/pci/devices/{address}/class", kind + "\n")
    found = this_machine(tmp_path)
    assert found.devices == (Device("nvidia", "NVIDIA-H100-80GB-HBM3"), Device("nvidia"), Device("amd", "aldebaran"), Device("intel"))
    assert found.arch in ("amd64", "arm64")
    assert this_machine(tmp_path / "nothing").devices == ()
