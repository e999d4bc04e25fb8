from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from afkit.facility.model import Accelerator, NodeSize, Size
from afkit.policy.fit import Misfit, image_misfit, resources_of
from afkit.policy.model import Resources
from tests.unit.policy.facilities import GI, gpu_pool, image, pool, size


def amd(**more: Any) -> Any:
    return pool("amd", accelerator=Accelerator(vendor="amd", resource="amd.com/gpu", **more))


def fits(img: Any, where: Any) -> bool:
    return image_misfit(img, where) is None


def test_architecture() -> None:
    assert fits(image("i", ("amd64",)), pool("p", "amd64"))
    assert not fits(image("i", ("amd64",)), pool("p", "arm64"))
    assert fits(image("i", ("amd64", "arm64")), pool("p", "arm64"))


@pytest.mark.parametrize(
    ("need", "have", "ok"),
    [
        ((12, 4), (12, 8), True),
        ((12, 8), (12, 8), True),
        ((12, 9), (12, 8), False),
        ((12, 10), (12, 9), False),
        ((11, 8), (12,), True),
        ((12,), (12, 0), True),
        ((12, 0), (12,), True),
        ((12, 1), (12,), False),
        ((13,), None, True),
    ],
)
def test_cuda_is_compared_as_versions(need: tuple[int, ...], have: tuple[int, ...] | None, ok: bool) -> None:
    assert fits(image("i", cuda=need), gpu_pool("p", cuda=have)) is ok


def test_an_accelerator_of_another_vendor_is_of_no_use() -> None:
    assert not fits(image("i", cuda=(12,)), amd(rocm=(6,)))
    assert not fits(image("i", rocm=(6,)), gpu_pool("p"))
    assert fits(image("i", cuda=(12,), rocm=(6,)), amd(rocm=(6, 1)))
    assert not fits(image("i", cuda=(12,), rocm=(6, 2)), amd(rocm=(6, 1)))
    assert not fits(image("i", cuda=(12,)), pool("p", accelerator=Accelerator(vendor="intel", resource="gpu.intel.com/xe")))
    assert fits(image("i"), amd())


def test_without_accelerators_every_runtime_fits() -> None:
    assert fits(image("i", cuda=(99,)), pool("p"))


def test_misfits_say_what_and_where() -> None:
    misfit = image_misfit(image("ml", ("amd64",), cuda=(12, 9)), gpu_pool("p", cuda=(12, 8)))
    assert misfit == Misfit("image ml needs CUDA 12.9, and the driver of pool p supports 12.8", ("images", "ml", "cuda"))


def resources(one: Size, where: Any) -> Resources:
    found = resources_of(one, where)
    assert isinstance(found, Resources), found
    return found


def test_limits_are_the_requests_unless_written() -> None:
    assert resources(size("s", 1000, 2 * GI), pool("p")) == Resources(1000, 2 * GI, 1000, 2 * GI, None, GI, 0)
    both = size("s", 1000, 2 * GI, cpu_limit=2000, memory_limit=4 * GI)
    assert resources(both, pool("p")) == Resources(1000, 2 * GI, 2000, 4 * GI, None, 2 * GI, 0)


def test_no_limit_leaves_half_of_the_request_for_shm() -> None:
    none = size("s", 1000, 2 * GI, cpu_limit=None, memory_limit=None)
    assert resources(none, pool("p")) == Resources(1000, 2 * GI, None, None, None, GI, 0)
    assert resources(size("s", shm=5), pool("p")).shm == 5
    assert resources(size("s", shm=0), pool("p")).shm == 0


def test_a_share_is_part_of_one_node() -> None:
    node = pool("p", node=NodeSize(62000, 240 * GI))
    assert resources(Size("e", "E", share=Fraction(1, 8)), node) == Resources(7750, 30 * GI, 62000, 30 * GI, None, 15 * GI, 0)
    third = resources(Size("t", "T", share=Fraction(1, 3)), pool("p", node=NodeSize(1000, 1000)))
    assert (third.cpu, third.memory, third.cpu_limit) == (333, 333, 1000)
    assert resources(Size("e", "E", share=Fraction(1, 8), cpu_limit=None), node).cpu_limit is None
    assert resources(Size("w", "W", share=Fraction(1)), node).cpu == 62000


@pytest.mark.parametrize("node", [NodeSize(), NodeSize(cpu=1000), NodeSize(memory=1000)])
def test_a_share_of_an_unknown_node_has_no_amounts(node: NodeSize) -> None:
    assert isinstance(resources_of(Size("e", "E", share=Fraction(1, 8)), pool("p", node=node)), Misfit)


@pytest.mark.parametrize(
    ("one", "ok"),
    [
        (size("s", 4000, 8 * GI), True),
        (size("s", 4001, 8 * GI), False),
        (size("s", 4000, 8 * GI + 1), False),
        (size("s", ephemeral_storage=10 * GI), True),
        (size("s", ephemeral_storage=10 * GI + 1), False),
        (size("s", 1000, GI, cpu_limit=9000, memory_limit=99 * GI), True),
    ],
)
def test_requests_fit_on_one_node(one: Size, ok: bool) -> None:
    assert isinstance(resources_of(one, pool("p", node=NodeSize(4000, 8 * GI, 10 * GI))), Resources) is ok


def test_what_is_unknown_of_a_node_passes() -> None:
    assert isinstance(resources_of(size("s", 10**9, 2**60, ephemeral_storage=2**60), pool("p")), Resources)


def test_accelerators() -> None:
    assert resources(size("s"), gpu_pool("p")).accelerators == 1
    assert resources(size("s"), pool("p")).accelerators == 0
    assert resources(size("s", accelerators=4), gpu_pool("p", per_node=4)).accelerators == 4
    assert isinstance(resources_of(size("s", accelerators=5), gpu_pool("p", per_node=4)), Misfit)
    assert resources(size("s", accelerators=5), gpu_pool("p", per_node=None)).accelerators == 5
    assert isinstance(resources_of(size("s", accelerators=0), gpu_pool("p")), Misfit)
    assert resources(size("s", accelerators=0), pool("p")).accelerators == 0
    assert isinstance(resources_of(size("s", accelerators=1), pool("p")), Misfit)
