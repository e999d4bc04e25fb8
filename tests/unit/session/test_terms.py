"""What a session grants, read from its environment; what this machine has, read from its files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from afkit.errors import IncompatibleError, LimitExceededError, NoCapacityError, NotEntitledError, PlatformError
from afkit.session import machine
from afkit.session.cluster import _DEFAULTS
from afkit.session.environment import SET, worker_environment
from afkit.session.groups import parse_request
from afkit.session.plan import Plan, decide, examine
from afkit.session.terms import Terms, read_terms

GRANTED: dict[str, Any] = {
    "where": "local",
    "pools": ["here", "gpu"],
    "max_workers": 8,
    "worker": {"cpu": 2000, "memory": 4 << 30, "accelerators": 0},
    "clusters": 2,
    "workers": 10,
    "idle": 600,
    "lifetime": 3600,
    "accelerators": 0,
}


def session(**changes: Any) -> dict[str, str]:
    return {
        "CPU_LIMIT": "4.0",
        "MEM_LIMIT": str(8 << 30),
        "AFKIT_DASK": json.dumps(GRANTED | changes),
        "AFKIT_POOL": "here",
        "AFKIT_ARCH": "arm64",
        "AFKIT_PROFILE": "analysis",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
    }


def decided(environ: dict[str, str] | None = None, address: str | None = None, **arguments: Any) -> Plan:
    environ = session() if environ is None else environ
    request, terms = parse_request(_DEFAULTS | arguments), read_terms(environ)
    return decide(request, terms, (), examine(request, terms, address, environ))


def test_a_session_s_terms() -> None:
    terms = read_terms(session())
    assert (terms.cores, terms.memory, terms.arch, terms.of, terms.session) == (4000, 8 << 30, "arm64", "this session", "/user/ada/")
    assert (terms.max_workers, terms.worker_cores, terms.worker_memory, terms.worker_gpus) == (8, 2000, 4 << 30, 0)
    assert (terms.clusters, terms.workers, terms.idle, terms.lifetime, terms.pool) == (2, 10, 600, 3600, "here")


def test_outside_any_session_the_machine_is_the_limit() -> None:
    terms = read_terms({})
    assert (terms.cores, terms.memory, terms.of) == (machine.cores(), machine.memory(), "this machine")
    assert not terms.in_session
    assert str(os.getpid()) in terms.session


def test_a_profile_without_dask() -> None:
    with pytest.raises(NotEntitledError, match="'analysis' of this session gives no Dask"):
        read_terms(session() | {"AFKIT_DASK": "null"})


@pytest.mark.parametrize("text", ["{", "[]", "7"])
def test_terms_that_cannot_be_read(text: str) -> None:
    with pytest.raises(PlatformError, match="AFKIT_DASK"):
        read_terms({"AFKIT_DASK": text})


@pytest.mark.parametrize(("cpu", "memory"), [("much", "x"), ("nan", ""), ("-1", "-5"), ("0", "0")])
def test_limits_that_are_no_numbers_are_none(cpu: str, memory: str) -> None:
    terms = read_terms({"CPU_LIMIT": cpu, "MEM_LIMIT": memory})
    assert (terms.cores, terms.memory) == (machine.cores(), machine.memory())


def test_this_machine() -> None:
    assert 100 <= machine.cores() <= 1000 * (os.cpu_count() or 1)
    assert 64 << 20 < machine.memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("files", "membership", "cores", "memory"),
    [
        ({"a/b/cpu.max": "150000 100000", "a/memory.max": "268435456"}, "0::/a/b", 1500, 268435456),
        ({"cpu.max": "max 100000", "memory.max": "max"}, "0::/elsewhere", None, None),
        ({"cpu.max": "50000 100000"}, "0::/gone/in/this/container", 500, None),
        (
            {"cpu/x/cpu.cfs_quota_us": "100000", "cpu/x/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "536870912"},
            "2:cpu:/x\n3:memory:/",
            1000,
            536870912,
        ),
        ({"cpu/cpu.cfs_quota_us": "-1", "memory/memory.limit_in_bytes": "9223372036854771712"}, "2:cpu:/\n3:memory:/", None, None),
    ],
)
def test_control_groups(
    files: dict[str, str], membership: str, cores: int | None, memory: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    whole = machine.memory()
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_text", lambda path, real=machine._text: membership if str(path) == "/proc/self/cgroup" else real(path))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert machine.cores() == (64_000 if cores is None else cores)
    if memory is not None:
        assert machine.memory() == memory
    else:
        assert machine.memory() >= whole


def test_gpus_of_the_session_are_counted_by_its_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda _: ("0", "1", "2"))
    assert read_terms(session(accelerators=1)).gpus == ("0",)
    assert read_terms(session(accelerators=0)).gpus == ()
    assert read_terms({}).gpus == ("0", "1", "2")


def test_an_address_wins_over_this_machine_only_where_nothing_was_asked_for() -> None:
    assert decided(address="tcp://s:1").where == "tcp://s:1"
    assert "scheduler-address" in decided(address="tcp://s:1").why
    assert decided(address="tcp://s:1", where="local").where == "local"
    assert decided(address="tcp://s:1", where="tcp://t:2").where == "tcp://t:2"


def test_a_facility_s_service_is_not_replaced_by_this_machine() -> None:
    with pytest.raises(PlatformError, match="Dask service is not known") as caught:
        decided(session(where="facility"))
    assert 'where="local"' in caught.value.hint
    assert decided(session(where="facility"), where="local").where == "local"
    with pytest.raises(PlatformError, match="in no facility"):
        decided(where="facility")


@pytest.mark.parametrize("life", ["server", "detached"])
def test_a_cluster_here_lives_as_long_as_its_process(life: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        decided(life=life)
    assert caught.value.field == "life"


def test_another_machine_s_pool() -> None:
    assert decided(pool="here").where == "local"
    for pool in ("gpu", "elsewhere"):
        with pytest.raises(NoCapacityError, match=f"not in the pool '{pool}'"):
            decided(pool=pool)
    with pytest.raises(NoCapacityError) as caught:
        decided(pool="her")
    assert "'here'" in caught.value.hint
    with pytest.raises(NoCapacityError):
        decided({}, pool="here")


def test_idle_is_at_most_the_facility_s() -> None:
    assert decided(idle="5m").idle == 300
    plan = decided()
    assert plan.idle == 600
    assert "10m" in plan.why
    assert plan.lifetime == 3600
    for idle in ("1h", None):
        with pytest.raises(LimitExceededError, match="10m"):
            decided(idle=idle)
    assert decided({}, idle=None).idle is None


def test_an_image_is_not_applied_here_and_that_is_said() -> None:
    assert "image analysis is not applied" in decided(image="analysis").why


def test_repositories_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cms.example").mkdir()
    (tmp_path / "cms.example" / "file").touch()
    environ = session() | {"AFKIT_CVMFS": str(tmp_path)}
    assert decided(environ, cvmfs=["cms.example"]).cvmfs == ("cms.example",)
    with pytest.raises(NoCapacityError, match=r"atlas\.example"):
        decided(environ, cvmfs="atlas.example")


@pytest.mark.parametrize(
    ("workers", "wait", "needed"), [(4, 0.3, 2), (1, 0.3, 1), (10, 0.3, 3), (4, 0, 0), (4, 1, 4), ((0, 9), 1, 0), ((2, 9), 0.3, 1)]
)
def test_how_many_have_to_be_ready(workers: Any, wait: float, needed: int) -> None:
    environ = {"CPU_LIMIT": "64", "MEM_LIMIT": str(64 << 30)}
    assert decided(environ, workers=workers, wait=wait).needed == needed


def test_the_session_s_environment_is_not_copied() -> None:
    secrets = {
        "JUPYTERHUB_API_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "k",
        "MY_PASSWORD": "p",
        "AFKIT_DASK": "{}",
        "DASK_SCHEDULER_ADDRESS": "tcp://x:1",
    }
    passed = {
        "HOME": "/home/ada",
        "PATH": "/bin",
        "LC_ALL": "C",
        "BEARER_TOKEN_FILE": "/tmp/t",
        "X509_USER_PROXY": "/tmp/x",
        "LD_LIBRARY_PATH": "/l",
    }
    assert worker_environment(secrets | passed, {"MINE": "1", "OMP_NUM_THREADS": "2"}) == passed | SET | {
        "MINE": "1",
        "OMP_NUM_THREADS": "2",
    }


def test_a_plan_prints_itself() -> None:
    text = repr(decided(workers=2, cores=1, memory="1GiB"))
    assert "default: 2 × 1 core, 1GiB" in text
    assert "left    4 cores" in text
    assert "why     On this machine" in text


def test_terms_are_plain_data() -> None:
    assert read_terms(session()) == read_terms(session())
    assert isinstance(read_terms({}), Terms)
