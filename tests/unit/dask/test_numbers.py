"""Numbers of workers that are changed at once: what is granted stays within the limits, and the last word is what is written down.

Keeper, desk and maker are the service's own; an API server that can be slow stands for Kubernetes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from afkit.errors import KubernetesError, LimitExceededError
from afkit.kube.client import Kubernetes
from afkit.names import WANTED_ANNOTATION
from afkit.policy.entitle import entitle, hub_identity
from afkit.policy.model import Entitlements
from afkit.services.dask.callers import Caller, Callers
from afkit.services.dask.desk import Desk
from afkit.services.dask.keeper import Keeper
from afkit.services.dask.live import Live
from afkit.services.dask.maker import Made, Maker
from afkit.services.dask.records import record_of
from afkit.services.dask.scheduler import GroupSeen, Schedulers, Seen
from afkit.services.dask.view import View
from tests.unit.dask.asking import facility, objects

TWO = ({"low": 0, "high": 4, "cores": 1000}, {"low": 0, "high": 4, "cores": 1000})


class Slow:
    """An API server. The first patch that comes stays on its way until `go` is set, and then ends in ``failure``, if there is one."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.arrived, self.go = asyncio.Event(), asyncio.Event()
        self.written: list[dict[str, list[int]]] = []
        self.made: asyncio.Queue[str] = asyncio.Queue()

    async def patch(self, kind: str, name: str, namespace: str, body: Mapping[str, Any]) -> None:
        if not self.arrived.is_set():
            self.arrived.set()
            await self.go.wait()
            if self.failure is not None:
                raise self.failure
        self.written.append(json.loads(body["metadata"]["annotations"][WANTED_ANNOTATION]))

    async def create(self, obj: Mapping[str, Any]) -> Mapping[str, Any]:
        self.made.put_nowait(obj["metadata"]["name"])
        return obj


class Known:
    """Everybody is known."""

    async def entitlements(self, _: Any, caller: Caller) -> Entitlements:
        await asyncio.sleep(0)
        return entitle(facility(), hub_identity(facility(), caller.name, tuple))


class Service:
    def __init__(self, slow: Slow) -> None:
        kube = cast("Kubernetes", slow)
        view, maker = View(kube, facility()), Maker(kube)
        self.keeper = Keeper(view, maker, cast("Schedulers", None), facility)
        self.desk = Desk(view, cast("Callers", Known()), self.keeper, maker, facility)

    def cluster(self, name: str, *groups: Mapping[str, Any]) -> Live:
        made = objects(*groups, name=name, life="detached")
        record = record_of(made.root)
        assert record is not None
        live = self.keeper.hold(replace(record, uid=f"uid of {name}"))
        live.made = Made(made.beside[0]["stringData"])
        return live

    def highs(self) -> list[int]:
        return [group.high for record in self.keeper.records() for group in record.groups.values()]


async def test_looking_after_a_cluster_does_not_bring_back_numbers_that_its_owner_has_lowered() -> None:
    slow = Slow()
    service = Service(slow)
    live = service.cluster("mine", *TWO)
    live.seen = Seen(groups={"default": GroupSeen(needed=1), "group-1": GroupSeen(needed=4)})
    service.keeper.tend(live)
    # the first group is being written down; the second has its turn after it
    await asyncio.wait_for(slow.arrived.wait(), 5)
    change = asyncio.create_task(service.keeper.numbers(live, {"group-1": (0, 2)}))
    await asyncio.sleep(0)
    assert live.record.groups["group-1"].high == 2, "it counts at once"
    slow.go.set()
    await change
    made = [await asyncio.wait_for(slow.made.get(), 5) for _ in range(3)]
    await service.keeper.close()
    assert sum("-group-1-" in name for name in made) == 2
    assert slow.made.empty()
    assert (live.record.groups["group-1"].high, slow.written[-1]["group-1"]) == (2, [0, 2, 2])


@pytest.mark.parametrize("failure", [None, KubernetesError("The API server does not answer.", "")])
async def test_what_is_written_last_is_what_counts(failure: Exception | None) -> None:
    slow = Slow(failure)
    service = Service(slow)
    live = service.cluster("mine", {"low": 1, "high": 1, "cores": 1000})
    first = asyncio.create_task(service.keeper.numbers(live, {"default": (9, 9)}))
    await slow.arrived.wait()
    second = asyncio.create_task(service.keeper.numbers(live, {"default": (3, 3)}))
    await asyncio.sleep(0.01)
    slow.go.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert outcomes == [failure, None]
    assert live.record.groups["default"].high == 3
    assert slow.written[-1] == {"default": [3, 3, 3]}


async def test_of_changes_at_once_exactly_what_the_limits_leave_is_granted() -> None:
    """Ada may have twelve workers; each of two clusters has one, and both ask for eleven."""
    slow = Slow()
    slow.arrived.set()
    service = Service(slow)
    for name in ("one", "two"):
        service.cluster(name, {"low": 1, "high": 1, "cores": 1000})
    live = service.keeper.lives[next(iter(service.keeper.lives))]
    ada = Caller("ada", live.record.owner, live.record.key[0])
    asked = {"groups": [{"name": "default", "low": 11, "high": 11}]}
    outcomes = await asyncio.gather(*(service.desk.change(ada, name, asked) for name in ("one", "two")), return_exceptions=True)
    assert sorted(service.highs()) == [1, 11]
    assert sum(isinstance(one, LimitExceededError) for one in outcomes) == 1, outcomes
    assert [note["default"] for note in slow.written] == [[11, 11, 11]]
