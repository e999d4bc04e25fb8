"""Measuring real computations: the figures are right, and what limits them is named."""

from __future__ import annotations

import time
from typing import Any

import pytest
from distributed import LocalCluster, wait

import afkit
from afkit.errors import IncompatibleError
from afkit.session import measure
from tests.session.harness import Place


def spin(seconds: float, _: int) -> float:
    end = time.process_time() + seconds
    value = 0.0
    while time.process_time() < end:
        value += 1.0
    return value


def by_value(function: Any) -> Any:
    # workers need not import this module
    import types

    return types.FunctionType(function.__code__, {"time": time})


@pytest.mark.oldest
def test_what_limits_a_computation_is_named(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=1, memory="1GiB")
    client = cluster.client
    with cluster.measure() as seen:
        wait(client.map(lambda i: time.sleep(0.25), range(12), pure=False))
    assert (seen.tasks, seen.failed, seen.recomputed) == (12, 0, 0)
    assert seen.limiter == "waiting", seen
    assert seen.busy > 0.75
    with cluster.measure() as seen:
        wait(client.map(by_value(spin), [0.4] * 12, range(12), pure=False))
        seen.add(bytes=1e9, events=12)
    # where other programs leave this one less than it could use, that is what it waits for
    assert seen.cores > 0.05
    assert seen.limiter == ("too few workers" if seen.cores >= measure.COMPUTES * seen.figures["busy"] else "waiting"), seen
    assert seen.gbits_per_second == pytest.approx(8 / seen.seconds)
    with cluster.measure() as seen:
        wait(client.submit(by_value(spin), 0.1, 0, pure=False))
        time.sleep(1.5)
    assert seen.limiter == "too little work", seen
    with cluster.measure() as seen:
        wait([client.submit(lambda: 1 / 0, pure=False)])
    assert (seen.tasks, seen.failed) == (0, 1)
    with cluster.measure() as seen:
        pass
    assert seen.limiter == "nothing"


def test_a_cluster_of_another_kind_cannot_be_measured(here: Place) -> None:
    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as other,
        afkit.cluster(where=other.scheduler_address) as cluster,
        pytest.raises(IncompatibleError, match="cannot be measured"),
        cluster.measure(),
    ):
        pass
