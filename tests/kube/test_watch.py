"""The shared watch against a real API server that is cut off, falls silent, dies, restarts and forgets."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time

import pytest

from afkit.kube import follow, watch
from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.kube.project import pods_of
from afkit.kube.transport import Call, encode
from afkit.kube.watch import SharedWatch
from tests.kube.control import READY, pod

LABEL = "afkit.io/facility"


def is_ready(obj):
    return obj is not None and any(one["type"] == "Ready" and one["status"] == "True" for one in obj["status"].get("conditions") or ())


async def make_ready(kube, namespace, name):
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    await kube.transport.send(Call("change", "PATCH", path, "Pod", body=encode(READY), content_type="application/merge-patch+json"))


async def watching(kube, namespace, **more):
    shared = SharedWatch(kube, "Pod", namespace=namespace, project=pods_of(LABEL, "t"), **more)
    await shared.start()
    await shared.ready(Deadline.after(20))
    return shared


@pytest.fixture
async def far(control, way):
    """A client whose way to the server has faults."""
    async with await Kubernetes.connect(control.kubeconfig(way.port), timeout=3) as made:
        yield made


async def test_every_change_is_told_once_and_in_order(kube, namespace):
    await kube.create(pod("before", namespace))
    shared = await watching(kube, namespace)
    told = []
    shared.subscribe(lambda change, obj: told.append((change, obj["metadata"]["name"])))
    await kube.create(pod("a", namespace, **{LABEL: "t"}))
    await make_ready(kube, namespace, "a")
    kept = await shared.until((namespace, "a"), is_ready, Deadline.after(5))
    assert kept["status"]["podIP"] == "198.18.0.9"
    assert "env" not in kept["spec"]["containers"][0]
    assert shared.objects[namespace, "before"]["spec"] == {}
    await kube.delete("Pod", "a", namespace, grace=0)
    assert await shared.until((namespace, "a"), lambda obj: obj is None, Deadline.after(5)) is None
    # that it is to go is a change of its own
    assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    await shared.close()


@pytest.mark.parametrize("fault", ["cut", "kill", "away"])
async def test_connections_that_break(fault, control, way, far, kube, namespace):
    await kube.create(pod("a", namespace))
    shared = await watching(far, namespace)
    if fault == "cut":
        way.cut()
    elif fault == "kill":
        await control.restart_server()
    else:
        way.closed = True
        way.cut()
        await asyncio.sleep(0.5)
        assert shared.problem is not None
        assert shared.problem.status == 0
    await make_ready(kube, namespace, "a")
    way.closed = False
    await shared.until((namespace, "a"), lambda obj: obj["status"]["phase"] == "Running", Deadline.after(15))
    assert shared.problem is None
    if fault != "kill":
        assert shared.lists == 1
    await shared.close()


async def test_a_server_that_has_forgotten_the_version(control, way, far, kube, namespace):
    for name in ("stays", "goes", "changes"):
        await kube.create(pod(name, namespace, **{LABEL: "t"}))
    shared = await watching(far, namespace)
    told = []
    shared.subscribe(lambda change, obj: told.append((change, obj["metadata"]["name"])))
    way.closed = True
    way.cut()
    await kube.delete("Pod", "goes", namespace, grace=0)
    await make_ready(kube, namespace, "changes")
    await kube.create(pod("new", namespace, **{LABEL: "t"}))
    # after a restart the server's memory begins behind the version that the watch wants to go on from: 410
    await control.restart_server()
    way.closed = False
    await shared.until((namespace, "new"), lambda obj: obj is not None, Deadline.after(20))
    await shared.until((namespace, "goes"), lambda obj: obj is None, Deadline.after(5))
    assert sorted(told) == [("ADDED", "new"), ("DELETED", "goes"), ("MODIFIED", "changes")]
    assert shared.lists == 2
    await shared.close()


async def test_a_watch_that_falls_silent_is_found_out_by_who_waits(way, far, kube, namespace, monkeypatch):
    monkeypatch.setattr(watch, "SILENCE", 1.0)
    await kube.create(pod("a", namespace, **{LABEL: "t"}))
    shared = await watching(far, namespace)
    way.stall()
    await make_ready(kube, namespace, "a")
    begun = time.monotonic()
    await shared.until((namespace, "a"), is_ready, Deadline.after(20))
    assert time.monotonic() - begun < 6
    assert shared.lists == 1
    await shared.close()


async def test_ready_is_noticed_in_milliseconds(kube, namespace):
    """From the answer to the write until the waiter goes on; the API server tells its watches at about the same moment."""
    shared = await watching(kube, namespace)
    late = []
    for number in range(40):
        name = f"p{number}"
        await kube.create(pod(name, namespace, **{LABEL: "t"}))
        seen = asyncio.create_task(_when(shared, (namespace, name)))
        await asyncio.sleep(0.02)
        await make_ready(kube, namespace, name)
        written = time.monotonic()
        late.append(max(0.0, await seen - written))
    print(f"Ready noticed: p50 {statistics.median(late) * 1000:.1f} ms, most {max(late) * 1000:.1f} ms")
    assert statistics.median(late) < 0.5
    await shared.close()


async def _when(shared, key):
    await shared.until(key, is_ready, Deadline.after(20))
    return time.monotonic()


async def test_a_thousand_pods_at_rest_cost_nothing(kube, namespace, monkeypatch):
    # the server ends a watch five times as often as it would, and still nothing is listed again
    monkeypatch.setattr(follow, "SERVER_SECONDS", (8.0, 10.0))
    await asyncio.gather(*(kube.create(pod(f"p{number}", namespace, **{LABEL: "t"})) for number in range(1000)))
    begun = time.process_time()
    shared = await watching(kube, namespace)
    loading = time.process_time() - begun
    assert len(shared.objects) == 1000
    await asyncio.sleep(2)
    cpu, at = time.process_time(), time.monotonic()
    await asyncio.sleep(25)
    idle = (time.process_time() - cpu) / (time.monotonic() - at)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"1,000 pods: loaded with {loading:.2f} s of CPU, idle {idle:.3%} of a core, {memory} MiB at most")
    assert idle < 0.02
    assert shared.lists == 1
    assert shared.connections >= 3
    await shared.close()
