"""How large a cluster becomes: defaults that shrink, and refusals that say what is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as some

from afkit.errors import LimitExceededError, NoCapacityError, RequestError
from afkit.session.cluster import _DEFAULTS
from afkit.session.groups import Group, parse_request
from afkit.session.left import LEAST_CORES, LEAST_MEMORY, Held, left_of, show_memory
from afkit.session.sizing import Sized, fit, weigh
from afkit.session.terms import Terms

GIB = 1 << 30
ROOMY = Terms(cores=16_000, memory=64 * GIB, gpus=("0", "1"), arch="amd64", of="this session", session="s")


def size(terms: Terms = ROOMY, held: tuple[Held, ...] = (), **arguments: Any) -> tuple[tuple[Sized, ...], str]:
    groups, notes = fit(parse_request(_DEFAULTS | arguments).groups, terms, left_of(terms, held))
    return groups, " ".join(notes)


def one(terms: Terms = ROOMY, held: tuple[Held, ...] = (), **arguments: Any) -> Sized:
    (group,), _ = size(terms, held, **arguments)
    return group


def refused(terms: Terms = ROOMY, held: tuple[Held, ...] = (), **arguments: Any) -> LimitExceededError:
    with pytest.raises(LimitExceededError) as caught:
        size(terms, held, **arguments)
    return caught.value


def test_defaults_where_there_is_room() -> None:
    (group,), notes = size()
    assert (group.low, group.high, group.millicores, group.threads, group.memory, group.gpus) == (4, 4, 1000, 1, 2 * GIB, 0)
    assert group.resources == {"amd64": 1.0}
    assert notes == ""


def test_fewer_workers_where_there_are_fewer_cores() -> None:
    (group,), notes = size(replace(ROOMY, cores=2000))
    assert (group.high, group.millicores, group.memory) == (2, 1000, 2 * GIB)
    assert "2 workers rather than 4" in notes
    assert "2 cores" in notes


def test_smaller_workers_where_there_is_less_memory() -> None:
    (group,), notes = size(replace(ROOMY, memory=6 * GIB))
    assert (group.high, group.memory) == (4, 3 * GIB // 2)
    assert "1536MiB of memory each rather than 2GiB" in notes


def test_fewer_rather_than_tiny_workers() -> None:
    assert one(replace(ROOMY, memory=2 * GIB)).high == 2


def test_a_part_of_a_core_is_enough_for_one() -> None:
    group = one(replace(ROOMY, cores=500))
    assert (group.high, group.millicores, group.threads) == (1, 500, 1)


def test_written_workers_share_what_is_left_out() -> None:
    (group,), notes = size(replace(ROOMY, cores=1000, memory=3 * GIB), workers=2)
    assert (group.high, group.millicores, group.memory) == (2, 500, 3 * GIB // 2)
    assert "0.5 cores each rather than 1" in notes


def test_the_profile_s_largest_worker_makes_left_out_ones_smaller() -> None:
    group = one(replace(ROOMY, worker_cores=500, worker_memory=GIB))
    assert (group.millicores, group.memory) == (500, GIB)


@pytest.mark.parametrize(
    ("arguments", "field", "said", "hint"),
    [
        ({"workers": 8, "cores": 4}, "cores", "32", "workers=4"),
        ({"workers": 1, "cores": 20}, "cores", "16", "cores=16"),
        ({"workers": 1, "memory": "65GiB"}, "memory", "64GiB", 'memory="64GiB"'),
        ({"workers": 200}, "workers", "at least", "workers=160"),
        ({"workers": (0, 20), "cores": 1}, "cores", "20", "workers=16"),
    ],
)
def test_what_is_written_and_too_much_is_refused(arguments: dict[str, Any], field: str, said: str, hint: str) -> None:
    error = refused(**arguments)
    assert error.field == field
    assert said in error.message
    assert hint in error.hint


def test_what_other_clusters_hold_is_not_left() -> None:
    held = (Held("first", 2, 15_000, 60 * GIB),)
    error = refused(held=held, workers=2, cores=1)
    assert "1 of this session's 16 is left" in error.message
    assert 'afkit.connect("first").shutdown()' in error.hint
    assert one(held=held).high == 1


def test_nothing_left() -> None:
    error = refused(held=(Held("first", 2, 16_000, GIB),))
    assert "0 of this session's 16 are left" in error.message


@pytest.mark.parametrize("terms", [replace(ROOMY, max_workers=3), replace(ROOMY, workers=3)])
def test_the_number_of_workers_has_a_limit(terms: Terms) -> None:
    assert one(terms).high == 3
    assert "leaves 3" in refused(terms, workers=4).message
    assert one(terms, workers=(0, 3)).high == 3


def test_workers_of_all_clusters_count_together() -> None:
    terms = replace(ROOMY, workers=5)
    assert one(terms, (Held("a", 4, 4000, GIB),)).high == 1
    assert "leaves none" in refused(terms, (Held("a", 5, 5000, GIB),), workers=1).message


def test_the_number_of_clusters_has_a_limit() -> None:
    error = refused(replace(ROOMY, clusters=1), (Held("a", 1, 1000, GIB),))
    assert "1 cluster" in error.message
    assert "a" in error.hint
    assert "0 clusters" in refused(replace(ROOMY, clusters=0)).message


@pytest.mark.parametrize(
    ("terms", "arguments"),
    [
        (replace(ROOMY, worker_cores=2000), {"cores": 3}),
        (replace(ROOMY, worker_memory=GIB), {"memory": "2GiB"}),
        (replace(ROOMY, worker_gpus=0), {"gpus": 1}),
    ],
)
def test_no_worker_is_larger_than_the_profile_s_largest(terms: Terms, arguments: dict[str, Any]) -> None:
    error = refused(terms, **arguments)
    assert "A worker of this profile has at most" in error.message
    assert error.field == next(iter(arguments))


def test_gpus() -> None:
    group = one(gpus=1)
    assert (group.high, group.gpus, group.resources) == (2, 1, {"amd64": 1.0, "GPU": 1.0})
    assert "need 3, and 2 of this session's 2 are left" in refused(gpus=1, workers=3).message
    with pytest.raises(NoCapacityError, match="has no GPU"):
        size(replace(ROOMY, gpus=()), gpus=1)


def test_an_arm_machine_tags_its_workers() -> None:
    assert one(replace(ROOMY, arch="arm64"), cores=2).resources == {"arm64": 2.0}


def test_groups_share_the_room_in_their_order() -> None:
    groups, _ = size(replace(ROOMY, cores=4000), groups={"a": Group(), "b": Group(workers=2, cores=1)})
    assert [(group.name, group.high, group.millicores) for group in groups] == [("a", 2, 1000), ("b", 2, 1000)]


def test_growing_is_weighed_too() -> None:
    group = one(replace(ROOMY, cores=4000), cores=1, workers=2)
    terms = replace(ROOMY, cores=4000)
    weigh([(group, 4)], terms, left_of(terms, ()))
    with pytest.raises(LimitExceededError, match="5 workers of 1 core need 5, and 4"):
        weigh([(group, 5)], terms, left_of(terms, ()))


def test_memory_as_a_person_reads_it() -> None:
    assert [show_memory(n) for n in (0, 5, 1 << 20, 3 << 29, 4 << 30)] == ["0MiB", "5 bytes", "1MiB", "1536MiB", "4GiB"]


amounts = some.integers(0, 20_000)
terms_of_all_kinds = some.builds(
    Terms,
    cores=amounts,
    memory=some.integers(0, 64 * GIB),
    gpus=some.lists(some.sampled_from("0123"), unique=True).map(tuple),
    arch=some.sampled_from(["amd64", "arm64", "riscv"]),
    of=some.just("this session"),
    session=some.just("s"),
    max_workers=some.none() | some.integers(0, 9),
    worker_cores=some.none() | some.integers(100, 4000),
    worker_memory=some.none() | some.integers(LEAST_MEMORY, 4 * GIB),
    worker_gpus=some.none() | some.integers(0, 2),
    clusters=some.none() | some.integers(0, 3),
    workers=some.none() | some.integers(0, 9),
)
arguments_of_all_kinds = some.fixed_dictionaries(
    {},
    optional={
        "workers": some.integers(1, 9) | some.tuples(some.integers(0, 3), some.integers(3, 9)),
        "cores": some.sampled_from([0.5, 1, 2]),
        "memory": some.sampled_from(["512MiB", "2GiB"]),
        "gpus": some.integers(0, 2),
        "groups": some.just({"other": Group(workers=1), "third": Group(cores=1)}),
    },
)


@given(
    terms_of_all_kinds,
    arguments_of_all_kinds,
    some.lists(some.builds(Held, some.just("x"), some.integers(0, 3), amounts, some.integers(0, GIB))),
)
def test_whatever_is_granted_is_within_all_limits_and_equals_what_was_written(
    terms: Terms, arguments: dict[str, Any], held: list[Held]
) -> None:
    left = left_of(terms, held)
    request = parse_request(_DEFAULTS | arguments)
    try:
        groups, _ = fit(request.groups, terms, left)
    except RequestError as error:
        assert error.reason in {"limit-exceeded", "no-capacity"}
        return
    assert sum(group.high * group.millicores for group in groups) <= left.millicores
    assert sum(group.high * group.memory for group in groups) <= left.memory
    assert sum(group.high * group.gpus for group in groups) <= len(left.gpus)
    assert left.workers is None or sum(group.high for group in groups) <= left.workers
    for asked, group in zip(request.groups, groups, strict=True):
        assert asked.high in (None, group.high)
        assert asked.cores in (None, group.millicores)
        assert asked.memory in (None, group.memory)
        assert asked.gpus == group.gpus
        assert group.millicores >= min(LEAST_CORES, asked.cores or LEAST_CORES)
        assert group.high >= 1
