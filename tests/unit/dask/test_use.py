"""What pods of clusters count for in the hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from afkit.kube.dask_use import DaskPods, dask_usage, is_dask
from afkit.kube.project import pods_of
from afkit.kube.watch import SharedWatch
from afkit.names import FACILITY_LABEL, OWNER_LABEL
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


def test_each_person_s_pods_are_found_by_their_owner() -> None:
    class Watch:
        """What a watch is to those who listen."""

        def subscribe(self, callback: Callable[[str, dict[str, Any]], None]) -> Callable[[], None]:
            self.tell = callback
            return lambda: None

    watch = Watch()
    pods = DaskPods(cast(SharedWatch, watch), "dasky")

    def pod(name: str, owner: str, component: str = "worker", version: int = 1) -> dict[str, Any]:
        labels = {FACILITY_LABEL: "dasky", OWNER_LABEL: owner, "dask.org/component": component}
        return {"metadata": {"namespace": owner, "name": name, "labels": labels}, "version": version}

    watch.tell("ADDED", pod("a", "ada"))
    watch.tell("ADDED", pod("b", "ada"))
    watch.tell("ADDED", pod("c", "grace"))
    watch.tell("ADDED", pod("notebook", "ada", ""))
    watch.tell("MODIFIED", pod("a", "ada", version=2))
    assert {(one["metadata"]["name"], one["version"]) for one in pods.of("ada")} == {("a", 2), ("b", 1)}
    watch.tell("DELETED", pod("c", "grace"))
    assert not pods.of("grace")
    assert not pods.of("nobody")
    watch.tell("DELETED", pod("a", "ada"))
    assert [one["metadata"]["name"] for one in pods.of("ada")] == ["b"]
