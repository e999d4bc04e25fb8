"""The shared watch against every fault of a connection: nothing is lost, nothing is told twice, nobody waits for ever."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from afkit.errors import DeadlineError, KubernetesError
from afkit.kube import follow, watch
from afkit.kube.deadline import Deadline
from afkit.kube.watch import SharedWatch
from tests.unit.kube.faults import FaultServer, bookmark, cut, pod, status, stream
from tests.unit.kube.test_client import connected

A = ("ns", "a")


class Story:
    """A server that tells one watch request after the other what the test wrote; then silence. ``now`` is what a GET sees."""

    def __init__(self, *watches, now=(), minor="35"):
        self.watches = list(watches)
        self.now = {one["metadata"]["name"]: one for one in now}
        self.minor = minor
        self.asked: list[dict[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": self.minor})
        if "watch" not in request.query and request.path.endswith("/pods"):
            self.asked.append({"list": "1"})
            return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": list(self.now.values())})
        if "watch" not in request.query:
            found = self.now.get(request.path.rpartition("/")[2])
            return web.json_response(found) if found else status(404, "NotFound")
        self.asked.append(dict(request.query))
        told = self.watches.pop(0) if self.watches else ((), "silent")
        if callable(told):
            return await told(request)
        events, then = told
        return await stream(request, *events, then=then)


def initial(*pods, version=10):
    return (*(("ADDED", one) for one in pods), ("BOOKMARK", bookmark(version, initial=True)))


def phase(name):
    return lambda obj: obj is not None and obj["status"]["phase"] == name


async def watched(story, test):
    async with FaultServer(story) as server, connected(server) as kube:
        shared = SharedWatch(kube, "Pod")
        await shared.start()
        await shared.ready(Deadline.after(5))
        try:
            await test(shared)
        finally:
            await shared.close()


async def test_first_state_then_changes():
    story = Story(((*initial(pod("a", 3), pod("b", 4)), ("MODIFIED", pod("a", 11, "Running")), ("DELETED", pod("b", 12))), "silent"))

    async def test(shared):
        assert (await shared.until(A, phase("Running"), Deadline.after(5)))["metadata"]["resourceVersion"] == "11"
        assert await shared.until(("ns", "b"), lambda obj: obj is None, Deadline.after(5)) is None
        assert set(shared.objects) == {A}

    await watched(story, test)
    assert story.asked[0]["sendInitialEvents"] == "true"
    assert "resourceVersion" not in story.asked[0]


@pytest.mark.parametrize("then", ["end", "cut"])
async def test_goes_on_from_the_last_version(then):
    story = Story(
        ((*initial(pod("a", 3)), ("BOOKMARK", bookmark(20))), then),
        cut,
        lambda r: answer(status(503, "ServiceUnavailable")),
        ((("MODIFIED", pod("a", 21, "Running")),), "silent"),
    )

    async def test(shared):
        await shared.until(A, phase("Running"), Deadline.after(5))
        assert shared.lists == 1
        assert shared.problem is None

    await watched(story, test)
    assert [asked.get("resourceVersion") for asked in story.asked] == [None, "20", "20", "20"]


async def answer(value):
    return value


@pytest.mark.parametrize("how", ["status", "event"])
async def test_a_version_that_is_gone_is_a_new_state_and_only_differences_are_told(how):
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    lost = (((("ERROR", gone),), "end")) if how == "event" else lambda r: answer(status(410, "Expired", "too old"))
    story = Story(
        (initial(pod("a", 3), pod("b", 4), pod("c", 5)), "end"),
        lost,
        (initial(pod("a", 3), pod("b", 30, "Running"), pod("d", 31), version=40), "silent"),
    )

    async def test(shared):
        told = []
        shared.subscribe(lambda change, obj: told.append((change, obj["metadata"]["name"])))
        assert await shared.until(("ns", "c"), lambda obj: obj is None, Deadline.after(5)) is None
        assert sorted(told) == [("ADDED", "d"), ("DELETED", "c"), ("MODIFIED", "b")]
        assert shared.lists == 2

    await watched(story, test)


async def test_half_a_first_state_counts_for_nothing():
    story = Story(((("ADDED", pod("a", 3)),), "cut"), (initial(pod("b", 4)), "silent"))

    async def test(shared):
        assert set(shared.objects) == {("ns", "b")}

    await watched(story, test)
    assert [asked.get("resourceVersion") for asked in story.asked] == [None, None]


async def test_an_older_server_lists_first():
    story = Story(((("MODIFIED", pod("a", 6, "Running")),), "silent"), now=[pod("a", 3)], minor="31+")

    async def test(shared):
        await shared.until(A, phase("Running"), Deadline.after(5))

    await watched(story, test)
    assert story.asked[0] == {"list": "1"}
    assert story.asked[1]["resourceVersion"] == "5"


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_a_pause():
    story = Story((initial(pod("a", 3)), "end"), *[((), "end")] * 500)

    async def test(shared):
        await asyncio.sleep(1)
        assert shared.connections < 12

    await watched(story, test)


async def test_silence_is_noticed_by_time(monkeypatch):
    monkeypatch.setattr(follow, "SERVER_SECONDS", (1.0, 1.0))
    monkeypatch.setattr(follow, "GRACE", 0.2)
    story = Story((initial(pod("a", 3)), "silent"), ((("MODIFIED", pod("a", 11, "Running")),), "silent"))

    async def test(shared):
        begun = time.monotonic()
        await shared.until(A, phase("Running"), Deadline.after(5))
        assert 1 < time.monotonic() - begun < 2.5

    await watched(story, test)
    assert story.asked[1]["resourceVersion"] == "10"


async def test_silence_is_noticed_sooner_by_who_waits(monkeypatch):
    monkeypatch.setattr(watch, "SILENCE", 0.3)
    monkeypatch.setattr(watch, "_ARRIVES", 0.1)
    story = Story((initial(pod("a", 3)), "silent"), ((("MODIFIED", pod("a", 11, "Running")),), "silent"), now=[pod("a", 11, "Running")])

    async def test(shared):
        await shared.until(A, phase("Running"), Deadline.after(5))
        assert shared.lists == 1

    await watched(story, test)


async def test_quiet_is_not_deaf(monkeypatch):
    monkeypatch.setattr(watch, "SILENCE", 0.1)
    story = Story((initial(pod("a", 3)), "silent"), now=[pod("a", 3)])

    async def test(shared):
        with pytest.raises(DeadlineError, match="Waiting for the server took longer"):
            await shared.until(A, phase("Running"), Deadline.after(0.6, "the server"))
        assert shared.connections == 1

    await watched(story, test)


async def test_refused_rights_are_said_by_who_waits():
    async with FaultServer(lambda r: answer(status(403, "Forbidden", "pods is forbidden"))) as server, connected(server) as kube:
        shared = SharedWatch(kube, "Pod")
        await shared.start()
        with pytest.raises(KubernetesError, match="pods is forbidden"):
            await shared.ready(Deadline.after(0.3))
        await shared.close()


async def test_one_waiter_or_listener_that_fails_hurts_nobody_else():
    story = Story((initial(pod("a", 3)), "end"), ((("MODIFIED", pod("a", 11, "Running")),), "silent"))

    def bad(*_):
        raise RuntimeError("mine")

    async def test(shared):
        shared.subscribe(bad)
        good = asyncio.ensure_future(shared.until(A, phase("Running"), Deadline.after(5)))
        with pytest.raises(RuntimeError, match="mine"):
            await shared.until(A, bad, Deadline.after(5))
        await good

    await watched(story, test)


async def test_closing_tells_who_waits():
    story = Story((initial(pod("a", 3)), "silent"))

    async def test(shared):
        waits = asyncio.ensure_future(shared.until(A, phase("Running"), Deadline.after(5)))
        await asyncio.sleep(0)
        await shared.close()
        with pytest.raises(KubernetesError, match="closed"):
            await waits

    await watched(story, test)
