"""What can run where, as far as the file alone decides: an image on a pool, a size on a pool. A fact that is unknown fits."""

from __future__ import annotations

from dataclasses import dataclass

from afkit.facility.model import Image, Pool, Size
from afkit.quantities import UNSET


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one server of a size requests on a pool: millicores, bytes, units of the pool's accelerator."""

    cpu: int
    memory: int
    accelerators: int


def runs_on(image: Image, pool: Pool) -> bool:
    """Whether the architecture and the driver of a pool's nodes can run an image."""
    return pool.arch in image.arch and driver_fits(image, pool)


def driver_fits(image: Image, pool: Pool) -> bool:
    """Whether the driver of a pool's accelerators supports what an image needs.

    On a pool without accelerators an image that can use them runs as any other; on accelerators of a vendor that it was not
    made for it cannot use what it holds.
    """
    accelerator = pool.accelerator
    if accelerator is None or (image.cuda is None and image.rocm is None):
        return True
    if accelerator.vendor == "nvidia" and image.cuda is not None:
        return accelerator.cuda is None or _padded(image.cuda) <= _padded(accelerator.cuda)
    if accelerator.vendor == "amd" and image.rocm is not None:
        return accelerator.rocm is None or _padded(image.rocm) <= _padded(accelerator.rocm)
    return False


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, 0, 0, 0)[:4]


def amounts(size: Size, pool: Pool) -> Amounts | None:
    """What a server of this size requests on a pool, or ``None`` where it does not fit on one node.

    A ``share`` needs the size of the nodes; ``accelerators`` are by default 1 where the pool has some.
    """
    requests = _requests(size, pool)
    units = _units(size, pool)
    if requests is None or units is None:
        return None
    node = pool.node
    wanted = ((requests[0], node.cpu), (requests[1], node.memory), (size.ephemeral_storage or 0, node.ephemeral_storage))
    return Amounts(*requests, units) if all(_within(amount, most) for amount, most in wanted) else None


def _requests(size: Size, pool: Pool) -> tuple[int, int] | None:
    cpu, memory, node = size.cpu, size.memory, pool.node
    if size.share is not None and node.cpu is not None and node.memory is not None:
        return int(node.cpu * size.share), int(node.memory * size.share)
    return None if cpu is None or memory is None else (cpu, memory)


def _within(amount: int, most: int | None) -> bool:
    return most is None or amount <= most


def _units(size: Size, pool: Pool) -> int | None:
    if pool.accelerator is None:
        return None if size.accelerators is not UNSET and size.accelerators > 0 else 0
    units = 1 if size.accelerators is UNSET else size.accelerators
    most = pool.accelerator.per_node
    return None if units == 0 or (most is not None and units > most) else units
