"""What fits together: an image and a pool, a size and a pool. Pure facts of the file, the same for everybody.

What the file does not say fits: a fact unknown passes every check. The one exception is a ``share`` of a node whose size is
unknown, which has no amounts.
"""

from __future__ import annotations

from dataclasses import dataclass

from afkit.facility.model import Accelerator, Image, Pool, RulePath, Size
from afkit.policy.model import Resources
from afkit.quantities import UNSET, format_cpu, format_memory

__all__ = ["Misfit", "image_misfit", "resources_of"]

_VENDORS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why two things do not go together: a sentence without its full stop, and the place in the file that decided."""

    message: str
    rule: RulePath


def image_misfit(image: Image, pool: Pool) -> Misfit | None:
    """Why an image cannot run on a pool: its architecture, or an accelerator runtime that the nodes' driver does not support.

    On a pool without accelerators a CUDA or ROCm image runs as any other. An image that needs CUDA alone does not go onto
    accelerators of another vendor: it would hold one and could not use it.
    """
    if pool.arch not in image.arch:
        message = f"image {image.name} is built for {' and '.join(image.arch)}, and the nodes of pool {pool.name} are {pool.arch}"
        return Misfit(message, ("images", image.name, "arch"))
    if pool.accelerator is None or not (image.cuda or image.rocm):
        return None
    return _driver_misfit(image, pool, pool.accelerator)


def _driver_misfit(image: Image, pool: Pool, accelerator: Accelerator) -> Misfit | None:
    key = {"nvidia": "cuda", "amd": "rocm"}.get(accelerator.vendor, "")
    needed = {"cuda": image.cuda, "rocm": image.rocm}
    if not needed.get(key):
        written = "cuda" if image.cuda else "rocm"
        message = f"image {image.name} needs {written.upper()}, and pool {pool.name} has accelerators of {_VENDORS[accelerator.vendor]}"
        return Misfit(message, ("images", image.name, written))
    have = accelerator.cuda if key == "cuda" else accelerator.rocm
    need = needed[key] or ()
    if have is None or _padded(need) <= _padded(have):
        return None
    message = f"image {image.name} needs {key.upper()} {_version(need)}, and the driver of pool {pool.name} supports {_version(have)}"
    return Misfit(message, ("images", image.name, key))


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, 0, 0, 0)[:4]


def _version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def resources_of(size: Size, pool: Pool) -> Resources | Misfit:
    """What a server of this size has on this pool, or why the size does not fit there.

    A ``share`` is that part of one node's CPU and memory, rounded down to whole millicores and bytes; its CPU limit is the
    whole node. Other limits are by default the request. ``shm`` is by default half of the memory limit, of the request
    where there is no limit.
    """
    requests = _requests(size, pool)
    if isinstance(requests, Misfit):
        return requests
    units = _accelerators(size, pool)
    if isinstance(units, Misfit):
        return units
    return _larger_than_node(size, pool, *requests) or _resources(size, pool, requests, units)


def _requests(size: Size, pool: Pool) -> tuple[int, int] | Misfit:
    """CPU and memory that a size requests on a pool."""
    if size.share is None:
        return size.cpu or 0, size.memory or 0
    if pool.node.cpu is None or pool.node.memory is None:
        message = f"size {size.name} is a share of a node, and how large the nodes of pool {pool.name} are is not known"
        return Misfit(message, ("pools", pool.name))
    return int(pool.node.cpu * size.share), int(pool.node.memory * size.share)


def _resources(size: Size, pool: Pool, requests: tuple[int, int], units: int) -> Resources:
    cpu, memory = requests
    whole_node = pool.node.cpu if size.share is not None else cpu
    memory_limit = memory if size.memory_limit is UNSET else size.memory_limit
    return Resources(
        cpu=cpu,
        memory=memory,
        cpu_limit=whole_node if size.cpu_limit is UNSET else size.cpu_limit,
        memory_limit=memory_limit,
        ephemeral_storage=size.ephemeral_storage,
        shm=(memory if memory_limit is None else memory_limit) // 2 if size.shm is UNSET else size.shm,
        accelerators=units,
    )


def _accelerators(size: Size, pool: Pool) -> int | Misfit:
    """Units of a size on a pool. Source: facility-file, sizes: default 1 where there are accelerators, where 0 does not fit."""
    rule = ("sizes", size.name, "accelerators")
    if pool.accelerator is None:
        if size.accelerators is UNSET or size.accelerators == 0:
            return 0
        return Misfit(f"size {size.name} has accelerators, and pool {pool.name} has none", rule)
    units = 1 if size.accelerators is UNSET else size.accelerators
    if units == 0:
        return Misfit(f"size {size.name} has no accelerator, and pool {pool.name} is for servers with one", rule)
    most = pool.accelerator.per_node
    if most is not None and units > most:
        return Misfit(f"size {size.name} has {units} accelerators, and a node of pool {pool.name} has {most}", rule)
    return units


def _larger_than_node(size: Size, pool: Pool, cpu: int, memory: int) -> Misfit | None:
    node, rule = pool.node, ("sizes", size.name)
    if node.cpu is not None and cpu > node.cpu:
        return Misfit(f"size {size.name} has {format_cpu(cpu)} CPU, and a node of pool {pool.name} has {format_cpu(node.cpu)}", rule)
    if node.memory is not None and memory > node.memory:
        message = f"size {size.name} has {format_memory(memory)} memory, and a node of pool {pool.name} has {format_memory(node.memory)}"
        return Misfit(message, rule)
    disk = size.ephemeral_storage
    if disk is not None and node.ephemeral_storage is not None and disk > node.ephemeral_storage:
        most = format_memory(node.ephemeral_storage)
        return Misfit(f"size {size.name} has {format_memory(disk)} of node disk, and a node of pool {pool.name} has {most}", rule)
    return None
