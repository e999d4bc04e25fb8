"""What the Dask service puts into its pods, run as processes of this machine: it and a real scheduler understand each other."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Security

from afkit.pods.daskcluster import ClusterObjects, cluster_objects
from afkit.services.dask.certificates import certify
from afkit.services.dask.desk import programs
from afkit.services.dask.scheduler import Schedulers, Seen
from afkit.session.inside.afkit_versions import versions
from tests.unit.dask.asking import facility, person, plan

NAMES = ("mine-default-worker-0000000000", "mine-default-worker-1111111111")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Pods:
    """The pods of one cluster as processes: their own commands and files, at addresses of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.comm, self.http = free_port(), free_port()
        client = {"name": "afkit-1", "versions": versions()}
        granted = plan({"low": 2, "high": 2, "cores": 1000, "tags": {"big": 1}}, client=client)
        # the repositories of the facility are on no machine of the tests
        without = replace(granted, groups=tuple(replace(one, selection=replace(one.selection, storage=())) for one in granted.groups))
        self.objects: ClusterObjects = cluster_objects(facility(), without, person(), certify("mine", "ns", 3600, programs()), made=1)
        self.texts: Mapping[str, str] = self.objects.beside[0]["stringData"]
        for name, text in self.texts.items():
            (folder / name).write_text(text.replace('"cvmfs":["cms.example.org","sft.example.org"]', '"cvmfs":[]'))

    def command(self, pod: Mapping[str, Any], name: str = "") -> list[str]:
        changes = {
            "python3": sys.executable,
            "$(DASK_WORKER_NAME)": name,
            "tls://0.0.0.0": "tls://127.0.0.1",
            "8786": str(self.comm),
            ":8787": f"127.0.0.1:{self.http}",
        }
        args = [changes.get(one, one).replace("/etc/afkit/", f"{self.folder}/") for one in pod["spec"]["containers"][0]["args"]]
        return [f"tls://127.0.0.1:{self.comm}" if one.startswith("tls://mine-scheduler") else one for one in args]

    @contextmanager
    def run(self) -> Iterator[None]:
        env = {**os.environ, "AFKIT_CLUSTER_FOLDER": str(self.folder), "DASK_CONFIG": str(self.folder)}
        log = (self.folder / "log").open("w")
        begun = [subprocess.Popen(self.command(self.objects.scheduler), env=env, stdout=log, stderr=log)]
        template = self.objects.workers["default"]
        for name in NAMES:
            own = {**env, "DASK_WORKER_NAME": name, "AFKIT_WORKER_GROUP": "default"}
            begun.append(subprocess.Popen(self.command(template, name), env=own, stdout=log, stderr=log, cwd=self.folder))
        try:
            yield
        finally:
            for one in begun:
                one.kill()
                one.wait()
            log.close()

    def security(self) -> Security:
        pair = {"tls_client_cert": str(self.folder / "tls.crt"), "tls_client_key": str(self.folder / "tls.key")}
        return Security(tls_ca_file=str(self.folder / "ca.crt"), **pair, require_encryption=True)


@pytest.fixture
async def pods(tmp_path: Path) -> AsyncIterator[tuple[Pods, Schedulers]]:
    made = Pods(tmp_path)
    schedulers = Schedulers(made.http)
    with made.run():
        yield made, schedulers
    await schedulers.close()


async def until(made: Pods, schedulers: Schedulers, right: Callable[[Seen], bool], seconds: float = 60) -> Seen:
    deadline = time.monotonic() + seconds
    while True:
        seen = await schedulers.state("127.0.0.1", made.texts["token"])
        if seen is not None and right(seen):
            return seen
        assert time.monotonic() < deadline, (seen, (made.folder / "log").read_text()[-3000:])
        await asyncio.sleep(0.2)


@pytest.mark.timeout(180)
async def test_service_and_scheduler_understand_each_other(pods: tuple[Pods, Schedulers]) -> None:
    made, schedulers = pods
    seen = await until(made, schedulers, lambda seen: seen.groups.get("default") is not None and seen.groups["default"].ready == 2)
    assert seen.groups["default"].present == set(NAMES)
    assert (seen.client, seen.gone) == (False, None)
    # nobody without the token
    assert await schedulers.state("127.0.0.1", "another") is None

    async with Client(f"tls://127.0.0.1:{made.comm}", security=made.security(), asynchronous=True, name="afkit-1") as client:
        held = client.map(lambda x: bytes(100_000) + bytes([x]), range(20))
        assert [one[-1] for one in await client.gather(held)] == list(range(20))
        assert await client.submit(lambda: 7, resources={"big": 1}) == 7
        seen = await until(made, schedulers, lambda seen: seen.client)
        assert seen.gone is None
        went, stay = await schedulers.retire("127.0.0.1", made.texts["token"], [NAMES[0], "nobody"], drain=10)
        assert went == {NAMES[0]}
        assert stay == {"nobody": "unknown"}
        seen = await until(made, schedulers, lambda seen: seen.groups["default"].present == {NAMES[1]})
        # what the first one held is there
        assert [one[-1] for one in await client.gather(held)] == list(range(20))
        went, stay = await schedulers.retire("127.0.0.1", made.texts["token"], [NAMES[1]], drain=None)
        assert (went, stay) == (set(), {NAMES[1]: "results"})
    seen = await until(made, schedulers, lambda seen: seen.gone is not None and seen.gone > 1)
    assert seen.client


@pytest.mark.timeout(120)
async def test_nobody_joins_or_connects_without_the_cluster_s_own_certificate(pods: tuple[Pods, Schedulers], tmp_path: Path) -> None:
    made, schedulers = pods
    await until(made, schedulers, lambda seen: True)
    other = certify("mine", "ns", 3600, {})
    for name, text in (("x.ca", other.ca), ("x.crt", other.certificate), ("x.key", other.key)):
        (tmp_path / name).write_text(text)
    pair = {"tls_client_cert": str(tmp_path / "x.crt"), "tls_client_key": str(tmp_path / "x.key")}
    strange = Security(tls_ca_file=str(tmp_path / "x.ca"), **pair, require_encryption=True)
    for address, security in ((f"tls://127.0.0.1:{made.comm}", strange), (f"tcp://127.0.0.1:{made.comm}", None)):
        with pytest.raises((OSError, TimeoutError)):
            await Client(address, security=security, asynchronous=True, timeout=5)
