"""One call, and a cluster is there: in scripts without a guard, for plain clients and collections, closed without a trace."""

from __future__ import annotations

import sys
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client
from distributed.deploy import Cluster

import afkit
from afkit.errors import IncompatibleError, LimitExceededError, MalformedError, NoCapacityError, PlatformError, UnknownChoiceError
from afkit.session import registry
from tests.session.harness import Place, until


def test_a_script_needs_no_guard_and_leaves_nothing(place: Place) -> None:
    out = place.run(
        """
        import os
        import afkit

        cluster = afkit.cluster(workers=2, wait=1)
        pids = set(cluster.client.gather(cluster.client.map(lambda i: os.getpid(), range(20))))
        print(len(pids), os.getpid() in pids)
        print(cluster.why)
        """
    )
    assert out.splitlines() == ["2 False", "On this machine: no scheduler is configured and this is no session of a facility."]
    assert place.errors == ""
    assert place.clean()


@pytest.mark.oldest
def test_plain_clients_and_collections_find_it(here: Place) -> None:
    before = dask.config.get("scheduler-address", None)
    cluster = afkit.cluster(workers=1)
    assert isinstance(cluster, Cluster)
    pids = {int(process.pid) for process in psutil.Process().children(recursive=True)}
    assert dask.delayed(lambda: __import__("os").getpid())().compute() in pids
    with Client() as client:
        assert client.scheduler_info()["address"] == cluster.scheduler_address
        assert client.submit(sum, [1, 2]).result() == 3
    assert cluster.client.submit(sum, [2, 3]).result() == 5
    cluster.close()
    assert dask.config.get("scheduler-address", None) == before
    cluster.close()
    assert dask.config.get("scheduler", None) is None
    with pytest.raises(PlatformError, match="is closed"):
        _ = cluster.client


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_clusters_the_last_is_found_and_the_other_after_it(here: Place, first: int) -> None:
    with dask.config.set({"scheduler-address": "tcp://before:1"}):
        made = [afkit.cluster(workers=1, where="local") for _ in range(2)]
        assert dask.config.get("scheduler-address") == made[1].scheduler_address
        made[first].close()
        assert dask.config.get("scheduler-address") == made[1 - first].scheduler_address
        assert dask.delayed(sum)([1, 2]).compute() == 3
        made[1 - first].close()
        assert dask.config.get("scheduler-address") == "tcp://before:1"
    # and collections look for no client that is gone
    assert dask.config.get("scheduler", None) is None
    assert dask.delayed(sum)([1, 2]).compute() == 3


def test_a_setting_that_somebody_changed_meanwhile_is_left_alone(here: Place) -> None:
    cluster = afkit.cluster(workers=1)
    with dask.config.set({"scheduler-address": "tcp://theirs:1"}):
        cluster.close()
        assert dask.config.get("scheduler-address") == "tcp://theirs:1"
    dask.config.config.pop("scheduler-address", None)


def test_with_closes(here: Place) -> None:
    with afkit.cluster(workers=(0, 1)) as cluster:
        assert cluster.client.submit(abs, -1).result(timeout=30) == 1
    assert cluster.status.name == "closed"
    assert here.clean()
    with pytest.raises(PlatformError), cluster:
        pass


def test_what_it_is_is_shown(here: Place) -> None:
    cluster = afkit.cluster(workers=2, cores=2, memory="512MiB", wait=1, name="mine")
    assert repr(cluster).startswith("AfkitCluster(mine, 'tcp://127.0.0.1:")
    assert "workers=2, threads=4, memory=1.00 GiB" in repr(cluster)
    assert "mine" in cluster._repr_html_()
    info = next(iter(cluster.scheduler_info["workers"].values()))
    assert (info["nthreads"], info["memory_limit"]) == (2, 512 << 20)
    assert cluster.groups["default"].high == 2
    assert [entry.name for entry in afkit.clusters()] == ["mine"]
    assert afkit.clusters()[0].cores == 4
    assert "mine" in str(afkit.clusters()[0])
    cluster.close()
    # workers that end because the cluster closes are not replaced
    assert cluster._crew._count == 2


def test_workers_get_env_and_nothing_of_the_session(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a-secret-of-the-session")
    monkeypatch.setenv("BEARER_TOKEN_FILE", "/tmp/token")
    cluster = afkit.cluster(workers=1, env={"MINE": "yes"})
    seen = cluster.client.submit(lambda: dict(__import__("os").environ)).result()
    assert (seen["MINE"], seen["BEARER_TOKEN_FILE"], seen["OMP_NUM_THREADS"]) == ("yes", "/tmp/token", "1")
    assert "a-secret-of-the-session" not in seen.values()
    assert not {name for name in seen if name.startswith(("JUPYTERHUB", "AFKIT_DASK", "CPU_LIMIT"))}
    assert "yes" not in cluster.why


def test_dask_settings_of_this_process_reach_the_workers(here: Place) -> None:
    with dask.config.set({"distributed.worker.memory.pause": 0.5, "mine.own": 7}):
        cluster = afkit.cluster(workers=1)
    seen = cluster.client.submit(
        lambda: [dask.config.get(k, None) for k in ("distributed.worker.memory.pause", "mine.own", "scheduler-address")]
    )
    assert seen.result() == [0.5, 7, None]


def test_modules_beside_the_script_are_found(place: Place) -> None:
    (place.home / "beside.py").write_text("VALUE = 42\n")
    out = place.run(
        """
        import afkit, beside
        with afkit.cluster(workers=1) as cluster:
            print(cluster.client.submit(lambda: __import__("beside").VALUE).result())
        """
    )
    assert out == "42\n"


def test_the_limits_of_a_session_are_kept(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPU_LIMIT", "2")
    monkeypatch.setenv("MEM_LIMIT", str(2 << 30))
    with pytest.raises(LimitExceededError) as caught:
        afkit.cluster(workers=3, cores=1)
    assert caught.value.reason == "limit-exceeded"
    cluster = afkit.cluster(workers=1, cores=1, name="first")
    assert "2GiB" not in repr(afkit.plan(workers=1).left)
    with pytest.raises(LimitExceededError, match="1 of this session's 2 is left") as caught:
        afkit.cluster(workers=2, cores=1)
    assert 'afkit.connect("first").shutdown()' in caught.value.hint
    with pytest.raises(LimitExceededError):
        cluster.scale(3)
    afkit.connect("first").shutdown()
    assert afkit.plan(workers=2, cores=1).refusal is None
    assert here.clean()


def test_clusters_of_another_process_of_the_session_count_too(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    here.extra["CPU_LIMIT"] = "2"
    monkeypatch.setenv("CPU_LIMIT", "2")
    other = here.start("import afkit\ncluster = afkit.cluster(workers=2, cores=1, name='theirs')\nprint('up', flush=True)\ninput()\n")
    assert other.stdout is not None
    assert other.stdout.readline() == "up\n"
    with pytest.raises(LimitExceededError, match="0 of this session's 2 are left"):
        afkit.cluster(workers=1, cores=1)
    other.communicate("\n", timeout=20)
    until(here.clean)
    assert afkit.plan(workers=2, cores=1).refusal is None


def test_a_plan_starts_nothing(here: Place) -> None:
    plan = afkit.plan(workers=2, memory="1GiB")
    assert (plan.where, plan.workers, plan.memory, plan.refusal) == ("local", 2, 2 << 30, None)
    assert here.clean()
    refused = afkit.plan(gpus=1)
    assert isinstance(refused.refusal, NoCapacityError)
    assert "would be refused (no-capacity)" in repr(refused)
    assert isinstance(afkit.plan(workers="x").refusal, MalformedError)
    with pytest.raises(TypeError, match="worker"):
        afkit.plan(worker=1)


def test_refused_at_once_and_nothing_started(here: Place) -> None:
    for arguments in ({"gpus": 1}, {"life": "server"}, {"pool": "elsewhere"}, {"python": "/no/python"}, {"cvmfs": ["none.example"]}):
        with pytest.raises((NoCapacityError, IncompatibleError)):
            afkit.cluster(**arguments)  # type: ignore[arg-type]
        assert here.clean()


def test_another_interpreter(here: Place, tmp_path: Path) -> None:
    for body, said in (("exit 3", "cannot import distributed"), ("echo no", "cannot be read"), ("echo '[[2, 7], \"1.0\"]'", "Python 2.7")):
        fake = tmp_path / "python"
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
        with pytest.raises(IncompatibleError, match=said) as caught:
            afkit.cluster(workers=1, python=str(fake))
        assert caught.value.field == "python"
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    with afkit.cluster(workers=1, python=str(fake)) as cluster:
        assert cluster.client.submit(abs, -3).result() == 3


def test_names(here: Place) -> None:
    cluster = afkit.cluster(workers=1, name="mine")
    with pytest.raises(IncompatibleError, match="'mine' already"):
        afkit.cluster(workers=1, name="mine")
    assert afkit.connect("mine") is cluster
    with pytest.raises(UnknownChoiceError) as caught:
        afkit.connect("mein")
    assert "'mine'" in caught.value.hint


def test_without_waiting(here: Place) -> None:
    cluster = afkit.cluster(workers=1, wait=0)
    assert cluster.client.submit(abs, -1).result(timeout=30) == 1


def test_it_closes_after_its_idle_time(here: Place) -> None:
    cluster = afkit.cluster(workers=1, idle=1.5)
    assert cluster.client.submit(abs, -1).result() == 1
    until(lambda: cluster.status.name == "closed")
    with pytest.raises(PlatformError, match="had no work"):
        cluster.scale(2)
    until(here.clean)


def test_it_stays_while_it_starts_and_while_it_works(here: Place) -> None:
    # starting takes longer than that
    cluster = afkit.cluster(workers=1, wait=1, idle=0.1)
    cluster.close()
    # on a busy machine it takes a while until the first task is there
    cluster = afkit.cluster(workers=1, idle=5)
    future = cluster.client.submit(__import__("time").sleep, 7)
    future.result()
    assert cluster.status.name == "running"


def test_the_facility_s_lifetime_ends_it(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFKIT_DASK", '{"where": "local", "lifetime": 2}')
    cluster = afkit.cluster(workers=1)
    future = cluster.client.submit(__import__("time").sleep, 60)
    until(lambda: cluster.status.name == "closed")
    assert future.status in {"cancelled", "lost", "pending"}


def test_a_runtime_folder_that_cannot_be_written_stops_nobody(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.home / "file").write_text("")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(here.home / "file"))
    with afkit.cluster(workers=1) as cluster:
        assert cluster.client.submit(abs, -1).result() == 1
        assert registry.entries() == []
        cluster.scale(2)
        cluster.wait_for_workers(2, timeout=30)


def test_import_loads_no_dask_and_writes_nothing(place: Place) -> None:
    out = place.run(
        """
        import sys
        import afkit

        def loaded():
            heavy = {"dask", "distributed", "pydantic", "tornado", "yaml", "jupyter_core"}
            return sorted({name.partition(".")[0] for name in sys.modules} & heavy)

        print(loaded())
        print(afkit.plan(workers=1).where)
        print(sorted({*loaded()} - {"jupyter_core"}))
        """
    )
    assert out == "[]\nlocal\n[]\n"
