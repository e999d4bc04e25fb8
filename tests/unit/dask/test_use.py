"""What pods of clusters count for in the hub."""

from __future__ import annotations

from afkit.kube.dask_use import dask_usage, is_dask
from afkit.kube.project import pods_of
from afkit.names import FACILITY_LABEL
from tests.unit.dask.asking import GI, facility, objects


def test_schedulers_and_workers_are_counted_as_they_were_granted() -> None:
    made = objects({"low": 1, "high": 1}, {"gpus": 1, "low": 1, "high": 1, "cores": 500, "memory": GI}, user="grace")
    project = pods_of(FACILITY_LABEL, "dasky")
    pods = [project({**pod, "metadata": {"name": "x", **pod["metadata"]}}) for pod in (made.scheduler, *made.workers.values())]
    found = [pod for pod in pods if pod is not None]
    assert all(is_dask(pod, "dasky") and not is_dask(pod, "other") for pod in found)
    usage = dask_usage(facility(), found)
    assert [(one.kind, one.name, one.cpu, one.memory, one.pool, one.accelerators) for one in usage.uses] == [
        ("scheduler", "mine", 500, GI, "cpu", 0),
        ("worker", "mine", 1000, 2 * GI, "cpu", 0),
        ("worker", "mine", 500, GI, "gpu", 1),
    ]
    assert usage.clusters == 1
    over = [{**pod, "status": {"phase": "Succeeded"}} for pod in found]
    assert dask_usage(facility(), over).uses == ()
