"""What the checks of a file call fitting is what the resolver offers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from afkit.facility.fit import Amounts, amounts, runs_on
from afkit.facility.model import Accelerator, Image, NodeSize, Pool, Size
from afkit.policy.fit import Misfit, image_misfit, resources_of
from afkit.quantities import UNSET

VERSIONS = st.none() | st.tuples(st.integers(11, 13), st.integers(0, 10)) | st.tuples(st.integers(11, 13))
SOME = st.none() | st.integers(1, 8)
ACCELERATORS = st.builds(
    Accelerator, vendor=st.sampled_from(["nvidia", "amd", "intel"]), per_node=SOME, resource=st.just("a.b/c"), cuda=VERSIONS, rocm=VERSIONS
)
POOLS = st.builds(
    Pool,
    name=st.just("pool"),
    title=st.just("pool"),
    arch=st.sampled_from(["amd64", "arm64"]),
    node=st.builds(NodeSize, cpu=SOME, memory=SOME, ephemeral_storage=SOME),
    accelerator=st.none() | ACCELERATORS,
)
IMAGES = st.builds(
    Image,
    name=st.just("image"),
    title=st.just("image"),
    arch=st.sampled_from([("amd64",), ("arm64",), ("amd64", "arm64")]),
    cuda=VERSIONS,
    rocm=VERSIONS,
)
UNITS = st.just(UNSET) | st.integers(0, 8)
WRITTEN = st.builds(
    Size, name=st.just("s"), title=st.just("s"), cpu=st.integers(1, 8), memory=st.integers(1, 8), ephemeral_storage=SOME, accelerators=UNITS
)
SHARES = st.builds(
    Size, name=st.just("s"), title=st.just("s"), share=st.sampled_from([Fraction(1), Fraction(1, 8), Fraction(2, 3)]), accelerators=UNITS
)


@settings(deadline=None)
@given(IMAGES, POOLS)
def test_an_image_on_a_pool(image: Image, pool: Pool) -> None:
    assert runs_on(image, pool) == (image_misfit(image, pool) is None)


@settings(deadline=None)
@given(WRITTEN | SHARES, POOLS)
def test_a_size_on_a_pool(size: Size, pool: Pool) -> None:
    ours, theirs = amounts(size, pool), resources_of(size, pool)
    if isinstance(theirs, Misfit):
        assert ours is None
    else:
        assert ours == Amounts(theirs.cpu, theirs.memory, theirs.accelerators)


@pytest.mark.parametrize(
    ("need", "have", "fits"), [((12, 4), (12, 8), True), ((12, 10), (12, 9), False), ((12,), (12, 0), True), ((12, 1), (12,), False)]
)
def test_versions_are_numbers(need: tuple[int, ...], have: tuple[int, ...], fits: bool) -> None:
    pool = Pool("p", "p", "amd64", accelerator=Accelerator("nvidia", resource="nvidia.com/gpu", cuda=have))
    assert runs_on(Image("i", "i", ("amd64",), cuda=need), pool) == fits
