"""The session's half in a real facility: behind the hub and its proxy, with the hub's own idea of the session's end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.secrets import Secrets
from tests.up.running import CLUSTER, Up, until

IDLE = 12
FILE = f"""\
version: 1
facility: {{name: short}}
identity: {{local: {{users: {{ada: {{groups: [physicists]}}}}}}}}
groups: {{physicists: {{description: People}}}}
session: {{lifetime: {{idle: {IDLE}s, max: 1h}}}}
pools: {{amd64: {{arch: amd64}}, arm64: {{arch: arm64}}}}
images: {{science: {{image: "registry.example.org/science:1", arch: [amd64, arm64]}}}}
sizes: {{small: {{cpu: 2, memory: 4Gi}}}}
profiles:
  analysis:
    allow: [physicists]
    pools: [amd64, arm64]
    images: [science]
    sizes: [small]
    dask: {{pools: [amd64, arm64], max_workers: 4, worker: {{cpu: 1, memory: 2Gi}}}}
"""


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Up]:
    """A facility whose servers end after `IDLE` seconds in which nothing happens."""
    folder = tmp_path_factory.mktemp("short")
    (folder / "facility.yaml").write_text(FILE)
    run = Up(folder / "state", str(folder / "facility.yaml"))
    try:
        yield run.start().ready()
    finally:
        run.kill()
        secrets_seen.add(*run.facility.get("users", {}).values(), run.facility.get("token", ""))
        secrets_seen.watch(*(run.state / "logs").glob("*"))


def test_the_tutorials_lie_in_a_new_home_and_what_is_thrown_away_stays_away(facility: Up) -> None:
    facility.serve()

    def names() -> list[str]:
        answer = facility.request("GET", "user/ada/api/contents/tutorials")
        return sorted(one["name"] for one in answer.json()["content"]) if answer.status_code == 200 else []

    assert names() == ["administrator.ipynb", "tutorial.ipynb"]
    assert facility.request("DELETE", "user/ada/api/contents/tutorials/administrator.ipynb").status_code == 204
    facility.api("DELETE", "/users/ada/server")
    until(lambda: not facility.state_of(), "the server's end")
    facility.serve()
    assert names() == ["tutorial.ipynb"]


def test_a_cluster_is_in_the_sidebar_and_its_dashboard_behind_the_hub(facility: Up) -> None:
    facility.serve()
    facility.execute(CLUSTER)
    (shown,) = facility.request("GET", "user/ada/dask/clusters").json()
    assert shown["dashboard_link"].startswith("/user/ada/dask/dashboard/")
    page = until(
        lambda: (answer := facility.request("GET", shown["dashboard_link"].lstrip("/"))).status_code == 200 and answer, "the dashboard"
    )
    assert "Dask Diagnostic UI" in page.text
    assert facility.request("DELETE", f"user/ada/dask/clusters/{shown['id']}").status_code == 204
    assert facility.request("GET", "user/ada/dask/clusters").json() == []


@pytest.mark.slow("waits for an idle limit twice")
def test_the_warning_and_the_hub_agree_on_when_an_idle_session_ends(facility: Up) -> None:
    facility.serve()

    def warned() -> float:
        # an open page reads all the time, which is no activity
        facility.request("GET", "user/ada/api/kernels")
        answer = facility.request("GET", "user/ada/afkit/lifetime")
        return sum(one["ends"] for one in answer.json()["warnings"] if one["kind"] == "idle") if answer.status_code == 200 else 0.0

    until(warned, "the warning", IDLE + 20)
    answer = facility.request("POST", "user/ada/afkit/lifetime")
    assert answer.json()["warnings"] == []
    kept = time.time()
    ends = until(warned, "the second warning", IDLE + 20)
    assert ends == pytest.approx(kept + IDLE, abs=2)
    until(lambda: not facility.state_of(), "the hub ends the session", 2 * IDLE)
    # never before the moment that the warning names, and soon after it
    assert -1 < time.time() - ends < 10


def test_a_session_that_computes_is_not_ended(facility: Up, tmp_path: Path) -> None:
    server = facility.serve()
    done = tmp_path / "done"
    # no output, no page, longer than the limit
    code = f"import time, pathlib\nbegan = time.time()\nwhile time.time() - began < {IDLE + 4}: pass\npathlib.Path({str(done)!r}).touch()"
    facility.execute(f"import subprocess, sys\n{code}")
    assert done.exists()
    assert facility.server() == server
