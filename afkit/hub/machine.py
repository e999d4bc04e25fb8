"""What this machine has: its processor architecture, and accelerators that the kernel knows of.

No library of a vendor is loaded: what the kernel's drivers show below ``/proc`` and ``/sys`` is enough (elsewhere than on
Linux nothing is found). A pool of the facility is this machine where architecture and accelerator agree; what it is not is
said, never faked.

Sources: NVIDIA, ``/proc/driver/nvidia/gpus/*/information`` of the kernel module; AMD, the topology of the kernel driver
``kfd`` (a node with ``simd_count`` above 0 is a GPU); Intel, display devices of the PCI bus that are no integrated graphics
(which always sit at 0000:00:02.0).
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afkit.facility.model import Accelerator, Facility, Pool
from afkit.names import architecture
from afkit.policy.model import Inventory, PoolState

__all__ = ["Device", "Machine", "inventory", "this_machine", "visible"]

_VENDORS: Final = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_VISIBLE: Final = {"nvidia": "CUDA_VISIBLE_DEVICES", "amd": "ROCR_VISIBLE_DEVICES", "intel": "ZE_AFFINITY_MASK"}
"""The variable by which each vendor's runtime is told which devices to use (an empty list hides them all)."""
_DISPLAY_CLASS: Final = "0x03"
_INTEL: Final = "0x8086"
_INTEGRATED: Final = "0000:00:02.0"


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator: ``nvidia``, ``amd`` or ``intel``, and its product's name as node labels write it (empty: unknown)."""

    vendor: str
    product: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: its architecture as container images write it, and its accelerators."""

    arch: str
    devices: tuple[Device, ...] = ()

    def devices_for(self, accelerator: Accelerator) -> tuple[int, ...]:
        """The devices that a pool's accelerator may mean, by their number among those of the vendor.

        A slice (``mig``) is no whole device, so it means none.
        """
        if accelerator.sharing == "mig":
            return ()
        own = [device for device in self.devices if device.vendor == accelerator.vendor]
        return tuple(
            number for number, device in enumerate(own) if accelerator.product is None or device.product in ("", accelerator.product)
        )


def this_machine(root: Path = Path("/")) -> Machine:
    """What the kernel says; ``root`` is the root of the file system."""
    return Machine(architecture(platform.machine()), (*_nvidia(root), *_amd(root), *_intel(root)))


def inventory(facility: Facility, machine: Machine, used: Mapping[str, int]) -> Inventory:
    """Which pools are this machine, and how many accelerators are free there. ``used``: units in use on each pool."""
    return Inventory({pool.name: _state(facility, pool, machine, used) for pool in facility.pools.values()})


def visible(
    machine: Machine, accelerator: Accelerator | None, units: int, used: Mapping[str, int]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which devices a server of so many units uses (``nvidia/0``), the least used first, and the environment that says so.

    ``used``: how many servers use each device. What a server has not is hidden from it: advisory, as all limits are here.
    """
    chosen: tuple[int, ...] = ()
    if accelerator is not None:
        numbers = sorted(machine.devices_for(accelerator), key=lambda number: (used.get(f"{accelerator.vendor}/{number}", 0), number))
        chosen = tuple(sorted(numbers[:units]))
    environment = {_VISIBLE[vendor]: "" for vendor in {device.vendor for device in machine.devices}}
    if accelerator is None or not chosen:
        return (), environment
    environment |= {_VISIBLE[accelerator.vendor]: ",".join(map(str, chosen)), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return tuple(f"{accelerator.vendor}/{number}" for number in chosen), environment


def _state(facility: Facility, pool: Pool, machine: Machine, used: Mapping[str, int]) -> PoolState:
    if pool.arch != machine.arch:
        return PoolState(False, f"This machine is {machine.arch}, not {pool.arch}.")
    if pool.accelerator is None:
        return PoolState()
    devices = machine.devices_for(pool.accelerator)
    if not devices:
        return PoolState(False, f"This machine has no {_described(pool.accelerator)}.")
    # several pools may mean the same devices
    taken = sum(count for name, count in used.items() if _shares(facility, name, pool.accelerator))
    return PoolState(free=max(len(devices) - taken, 0))


def _shares(facility: Facility, name: str, accelerator: Accelerator) -> bool:
    other = facility.pools[name].accelerator if name in facility.pools else None
    return other is not None and other.vendor == accelerator.vendor


def _described(accelerator: Accelerator) -> str:
    vendor = _VENDORS[accelerator.vendor]
    if accelerator.sharing == "mig":
        return f"slices of an {vendor} GPU"
    return f"accelerator {accelerator.product}" if accelerator.product else f"{vendor} GPU"


def _nvidia(root: Path) -> Iterator[Device]:
    for information in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+?)\s*$", _text(information), re.MULTILINE)
        yield Device("nvidia", model[1].replace(" ", "-") if model else "")


def _amd(root: Path) -> Iterator[Device]:
    for properties in sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")):
        simd = re.search(r"^simd_count (\d+)$", _text(properties), re.MULTILINE)
        if simd and int(simd[1]):
            yield Device("amd", _text(properties.parent / "name").strip())


def _intel(root: Path) -> Iterator[Device]:
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        if device.name != _INTEGRATED and _text(device / "vendor").strip() == _INTEL and _text(device / "class").startswith(_DISPLAY_CLASS):
            yield Device("intel")


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
