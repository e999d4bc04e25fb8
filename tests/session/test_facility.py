"""`afkit.cluster` in a facility: a real Dask service, schedulers and workers with TLS, seen from a session."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client

import afkit
from afkit.errors import (
    DaskStartError,
    DeadlineError,
    IdentityError,
    IncompatibleError,
    LimitExceededError,
    MalformedError,
    PlatformError,
    UnknownChoiceError,
)
from tests.session.facility import HUB_TOKEN, Facility
from tests.session.harness import Place, read_line, until
from tests.support.secrets import Secrets

GRANTED = json.dumps({"where": "facility", "pools": ["here"], "idle": 1800, "worker": {}})


def environment(facility: Facility) -> dict[str, str]:
    return {"AFKIT_SERVICES": facility.url, "AFKIT_DASK": GRANTED, "JUPYTERHUB_API_TOKEN": HUB_TOKEN, "AFKIT_FACILITY": "here"}


@pytest.fixture
def facility(here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets_seen: Secrets) -> Iterator[Facility]:
    """A facility, and this process a session of it."""
    secrets_seen.add(HUB_TOKEN)
    (tmp_path / "facility").mkdir()
    made = Facility(tmp_path / "facility")
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    here.extra |= environment(made)
    yield made
    made.stop()


def there(cluster: Any, group: str | None = None) -> int:
    prefix = f"{cluster.name}-{group}-" if group else ""
    return sum(str(info["id"]).startswith(prefix) for info in cluster.scheduler_info["workers"].values())


@pytest.mark.oldest
def test_the_same_line_in_a_facility(facility: Facility) -> None:
    with afkit.cluster(workers=2, wait=1, env={"WHO": "me"}) as cluster:
        assert "facility" in cluster.why
        assert "A process stands for each pod." in cluster.why
        assert cluster.client.submit(lambda: os.environ["WHO"]).result(timeout=30) == "me"
        assert cluster.scheduler_address.startswith("tls://")
        assert [group.high for group in cluster.groups.values()] == [2]
        # others of this process find it without a word
        assert dask.delayed(sum)([1, 2]).compute() == 3
        with Client(set_as_default=False) as second:
            assert second.submit(abs, -2).result(timeout=30) == 2
        assert afkit.connect(cluster.name) is cluster
        (info,) = afkit.clusters()
        assert (info.name, info.id, info.pid) == (cluster.name, cluster.id, 0)
        logs = cluster.logs()
        assert any("Register worker" in str(text) or "Scheduler at" in str(text) for text in logs.values())
        made = facility.clusters[cluster.name]
    assert made.ended
    assert made.ended["message"] == "It was closed."
    assert dask.config.get("distributed.client.security-loader", None) is None
    with pytest.raises(PlatformError, match="is closed"):
        cluster.scale(1)


def test_what_is_asked_for_is_what_was_written(facility: Facility) -> None:
    with afkit.cluster(
        workers=(0, 3), cores=0.5, memory="1GiB", cvmfs=[], groups={"gpu": afkit.Group((0, 1), gpus=1, tags=["fast"])}, wait=0, name="mine"
    ):
        (body,) = facility.bodies
        assert body["name"] == "mine"
        assert body["groups"] == [
            {"name": "default", "low": 0, "high": 3, "cores": 500, "memory": 1 << 30, "gpus": 0, "pool": None, "tags": {}},
            {"name": "gpu", "low": 0, "high": 1, "cores": 500, "memory": 1 << 30, "gpus": 1, "pool": None, "tags": {"fast": 1.0}},
        ]
        assert (body["life"], body["idle"], body["image"], body["dry_run"]) == ("kernel", 1800.0, None, False)
        assert body["client"]["name"] == f"afkit-{body['id']}"
        assert body["client"]["versions"]["dask"] == dask.__version__
        assert HUB_TOKEN not in json.dumps(body)
        with pytest.raises(IncompatibleError, match="already"):
            afkit.cluster(name="mine")
        # a refusal of the same name has ended nothing
        assert not facility.clusters["mine"].ended


def test_a_lost_answer_makes_one_cluster(facility: Facility) -> None:
    facility.failures += [503, 0, 429]
    with afkit.cluster(workers=1, wait=1) as cluster:
        assert [asked for asked in facility.asked if asked.startswith("POST")] == ["POST /services/dask/clusters"] * 4
        assert len(facility.clusters) == 1
        facility.failures += [502]
        cluster.scale(2)
        assert cluster.groups["default"].high == 2


def test_more_and_fewer(facility: Facility) -> None:
    with afkit.cluster(workers=1, wait=1, groups={"gpu": afkit.Group((0, 2), gpus=1)}) as cluster:
        futures = [cluster.client.submit(time.sleep, 1, resources={"GPU": 1}, pure=False) for _ in range(6)]
        until(lambda: there(cluster, "gpu") == 2, 60)
        cluster.client.gather(futures)
        assert there(cluster, "default") == 1
        follower = cluster.adapt(0, 1, group="gpu")
        assert (follower.minimum, follower.maximum, follower.periodic_callback) == (0, 1, True)
        assert (cluster.groups["gpu"].low, cluster.groups["gpu"].high) == (0, 1)
        assert "Adaptive" in cluster._scaling_status()
        follower.stop()
        assert not cluster.groups["gpu"].adaptive
        cluster.scale(0, group="gpu")
        until(lambda: there(cluster, "gpu") == 0, 60)
        assert there(cluster, "default") == 1
        with pytest.raises(LimitExceededError, match="your limits leave 20"):
            cluster.scale(30)
        for wrong in (-1, "2", True, 1.5):
            with pytest.raises(MalformedError):
                cluster.scale(wrong)
        with pytest.raises(MalformedError):
            cluster.adapt(3, 1)
        with pytest.raises(UnknownChoiceError, match="no group 'huge'"):
            cluster.scale(1, group="huge")


async def test_it_can_be_awaited(facility: Facility) -> None:
    async with afkit.cluster(workers=1, wait=1, asynchronous=True) as cluster:
        assert await cluster.client.submit(abs, -1) == 1
        await cluster.scale(2)
        follower = cluster.adapt(0, 2)
        assert (follower.minimum, follower.maximum) == (0, 2)
        async with asyncio.timeout(10):
            while not cluster.groups["default"].adaptive:  # noqa: ASYNC110 - the service says it
                await asyncio.sleep(0.05)
    assert facility.clusters[cluster.name].ended
    with pytest.raises(LimitExceededError):
        await afkit.cluster(workers=30, asynchronous=True)


def test_a_plan_makes_nothing(facility: Facility) -> None:
    plan = afkit.plan(workers=2)
    assert plan.where == "facility"
    assert (plan.low, plan.high, plan.expected) == (2, 2, 3.0)
    assert plan.objects
    assert plan.free == {"here": {"cpu": 4000, "memory": 8 << 30}, "away": None}
    for text in ("where   facility", "ready   in about 3 s", "free    here: 4 cores, 8GiB", "left    2 clusters"):
        assert text in repr(plan), repr(plan)
    assert not facility.clusters
    assert isinstance(afkit.plan(workers=30).refusal, LimitExceededError)
    assert "would be refused" in repr(afkit.plan(workers=30))


def test_refusals_are_those_of_a_laptop(facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceededError, match="30 workers cannot be had") as refused:
        afkit.cluster(workers=30)
    assert (refused.value.field, refused.value.hint) == ("workers", "Ask for less.")
    with pytest.raises(LimitExceededError, match="closes after at most 30m"):
        afkit.cluster(idle="2h")
    with pytest.raises(UnknownChoiceError, match="no cluster 'nobody'"):
        afkit.connect("nobody")
    assert not facility.clusters
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "another")
    with pytest.raises(IdentityError):
        afkit.cluster()
    with pytest.raises(IdentityError):
        afkit.clusters()


def test_a_service_that_is_away_is_a_sentence_within_the_deadline(facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
    facility.failures += [503] * 200
    began = time.monotonic()
    with pytest.raises(PlatformError, match="Not now"):
        afkit.cluster(timeout="2s")
    assert time.monotonic() - began < 15
    facility.failures.clear()
    monkeypatch.setenv("AFKIT_SERVICES", "http://127.0.0.1:9/services/")
    with pytest.raises(PlatformError, match="cannot be reached"):
        afkit.cluster(timeout="1s")
    monkeypatch.setenv("AFKIT_SERVICES", "")
    with pytest.raises(PlatformError, match="address"):
        afkit.cluster()
    monkeypatch.delenv("AFKIT_DASK")
    with pytest.raises(PlatformError, match="no facility"):
        afkit.cluster(where="facility")
    assert afkit.clusters() == []


def test_workers_that_never_come_are_a_sentence_and_nothing_is_left(facility: Facility, tmp_path: Path) -> None:
    hung = tmp_path / "hung"
    hung.write_text("#!/bin/sh\nexec sleep 100\n")
    hung.chmod(0o755)
    facility.python = str(hung)
    with pytest.raises(DeadlineError, match="scheduler was not there"):
        afkit.cluster(timeout="3s", name="never")
    until(lambda: bool(facility.clusters["never"].ended))
    facility.python = None
    facility.environ = {"PYTHONPATH": str(tmp_path)}
    other = tmp_path / "numpy-1.0.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0.0\n")
    began = time.monotonic()
    with pytest.raises(DaskStartError, match=r"numpy 1\.0\.0 instead of") as refused:
        afkit.cluster(workers=1, timeout="90s", name="other")
    assert "image" in refused.value.hint
    assert time.monotonic() - began < 80
    until(lambda: bool(facility.clusters["other"].ended))


def test_it_says_why_it_ended(facility: Facility) -> None:
    cluster = afkit.cluster(workers=1, wait=1)
    facility.end(facility.clusters[cluster.name], "It had no work for 30m")
    until(lambda: cluster.status.name == "closed", 30)
    with pytest.raises(PlatformError, match="is closed: it had no work for 30m"):
        _ = cluster.client
    # its name is free again, and closing the old object ends nothing of the new one
    with afkit.cluster(workers=1, wait=1, name=cluster.name):
        cluster.close()
        assert not facility.clusters[cluster.name].ended


def test_another_process_of_the_same_person(facility: Facility, here: Place) -> None:
    script = here.start("""
        import afkit, sys
        cluster = afkit.cluster(workers=1, wait=1, name="shared")
        print("up", flush=True)
        sys.stdin.readline()
    """)
    assert read_line(script) == "up"
    connected = afkit.connect("shared")
    assert connected.client.submit(abs, -3).result(timeout=30) == 3
    with Client(connected.scheduler_address, set_as_default=False) as client:
        assert client.submit(abs, -4).result(timeout=30) == 4
    connected.scale(2)
    until(lambda: there(connected) == 2, 60)
    connected.close()
    assert not facility.clusters["shared"].ended
    # by its address alone, as the setting of a facility has it
    with (
        dask.config.set({"distributed.client.security-loader": "afkit.session.access.security"}),
        Client(f"tls://127.0.0.1:{facility.clusters['shared'].port}", set_as_default=False) as client,
    ):
        assert client.submit(abs, -5).result(timeout=30) == 5
    script.kill()
    script.communicate()
    until(lambda: bool(facility.clusters["shared"].ended), 30)
    assert "process that made it is gone" in facility.clusters["shared"].ended["message"]


def test_a_stopped_process_keeps_its_cluster(facility: Facility, here: Place) -> None:
    script = here.start("""
        import afkit, sys, ctypes
        cluster = afkit.cluster(workers=1, wait=1, name="kept")
        print("up", flush=True)
        sys.stdin.readline()
        print(cluster.client.submit(abs, -1).result(timeout=30), flush=True)
        # whoever holds the interpreter holds all its threads
        ctypes.PyDLL(None).sleep(6)
        print(cluster.client.submit(abs, -2).result(timeout=30), flush=True)
    """)
    assert read_line(script) == "up"
    os.kill(script.pid, signal.SIGSTOP)
    time.sleep(facility.grace + 4)  # that nothing happens takes time to see
    os.kill(script.pid, signal.SIGCONT)
    assert script.stdin is not None
    script.stdin.write("\n")
    script.stdin.flush()
    assert read_line(script) == "1"
    assert read_line(script) == "2"
    assert script.wait(30) == 0
    assert facility.clusters["kept"].ended == {"reason": "ended", "message": "It was closed.", "hint": ""}


def test_a_detached_cluster_outlives_its_process(facility: Facility, here: Place) -> None:
    out = here.run("""
        import afkit
        cluster = afkit.cluster(workers=1, wait=1, name="long", life="detached")
        print(cluster.client.submit(abs, -1).result(timeout=30))
    """)
    assert out == "1\n"
    time.sleep(facility.grace + 1)  # that nothing happens takes time to see
    again = afkit.connect("long")
    assert again.client.submit(abs, -1).result(timeout=30) == 1
    again.shutdown()
    until(lambda: bool(facility.clusters["long"].ended))
    assert afkit.clusters() == []


def test_nobody_else_gets_in(facility: Facility) -> None:
    from distributed import Security

    with afkit.cluster(workers=1, wait=1) as cluster:
        address = cluster.scheduler_address
        for security in (Security.temporary(), Security(require_encryption=False)):
            with pytest.raises((OSError, TypeError)):
                Client(address, security=security, timeout=2, set_as_default=False)
        with pytest.raises(OSError):
            Client(address.replace("tls://", "tcp://"), timeout=2, set_as_default=False)
        for text in (repr(cluster), str(cluster._opening), repr(cluster.security), str(cluster.logs())):
            assert "PRIVATE KEY" not in text
            assert HUB_TOKEN not in text


def test_the_loader_answers_for_our_addresses_only(facility: Facility) -> None:
    from afkit.session import access

    assert access.security({"address": "tcp://127.0.0.1:8786"}) is None
    assert not facility.asked
    assert access.security({"address": "tls://127.0.0.1:1"}) is None
    facility.failures += [500]
    assert access.security({"address": "tls://127.0.0.1:1"}) is None
    facility.failures += [500]
    with pytest.raises(PlatformError):
        access.security({"address": "tls://x-scheduler.af-y.svc:8786"})


def test_outside_of_a_facility_it_is_never_chosen() -> None:
    code = "import sys, afkit; p = afkit.plan(); print(p.where, 'afkit.session.service' in sys.modules, 'http.client' in sys.modules)"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    for extra in ({}, {"AFKIT_SERVICES": "http://127.0.0.1:9/services/", "AFKIT_DASK": '{"where": "local"}'}):
        out = subprocess.run([sys.executable, "-c", code], env=kept | extra, capture_output=True, text=True, check=True)
        assert out.stdout == "local False False\n"


def test_edited_modules_beside_the_script_reach_workers(facility: Facility, here: Place) -> None:
    (here.home / "mine").mkdir()
    (here.home / "mine" / "__init__.py").write_text("")
    (here.home / "mine" / "cuts.py").write_text("from mine.base import BASE\n\ndef cut(x):\n    return x + BASE\n")
    (here.home / "mine" / "base.py").write_text("BASE = 1\n")
    out = here.run("""
        import afkit, importlib, pathlib, time
        import mine.cuts
        cluster = afkit.cluster(workers=1, wait=1)
        client = cluster.client
        print(client.submit(mine.cuts.cut, 1).result(timeout=30), client.gather(client.map(mine.cuts.cut, [1, 2])))
        # an edit, as in a notebook: a late worker has it too
        pathlib.Path("mine/base.py").write_text("BASE = 100\\n")
        importlib.reload(mine.base), importlib.reload(mine.cuts)
        print(client.submit(mine.cuts.cut, 1, pure=False).result(timeout=30))
        cluster.scale(2)
        cluster.wait_for_workers(2, timeout=60)
        where = list(client.scheduler_info(n_workers=-1)["workers"])
        print([client.submit(mine.cuts.cut, 2, pure=False, workers=[one]).result(timeout=30) for one in where])
        import dask
        print(dask.delayed(mine.cuts.cut)(3).compute())
        cluster.close()
    """)
    assert out.splitlines() == ["2 [2, 3]", "101", "[102, 102]", "103"]
