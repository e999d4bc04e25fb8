"""What JupyterLab's Dask sidebar asks a Jupyter server, answered by clusters that really run in kernels."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from websockets.sync.client import connect

from afkit.session.registry import Entry
from tests.lab.server import TOKEN, JupyterServer, execute, gone, until

Start = Callable[..., JupyterServer]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def kernel(jupyter: JupyterServer) -> Iterator[BlockingKernelClient]:
    with jupyter.kernel() as client:
        yield client


@pytest.fixture
def cluster(jupyter: JupyterServer, kernel: BlockingKernelClient) -> Iterator[dict[str, Any]]:
    """One cluster with two workers, made in a notebook's kernel, as the sidebar shows it."""
    execute(kernel, "import afkit; cluster = afkit.cluster(workers=2, wait=1.0)")
    until(lambda: [one["workers"] for one in jupyter.clusters()] == [2])
    (shown,) = jupyter.clusters()
    yield shown
    execute(kernel, "cluster.close()")
    until(lambda: jupyter.clusters() == [])


@pytest.mark.oldest
def test_a_cluster_of_a_kernel_appears_by_itself(jupyter: JupyterServer, cluster: dict[str, Any], kernel: BlockingKernelClient) -> None:
    assert cluster["scheduler_address"] == execute(kernel, "print(cluster.scheduler_address)").strip()
    assert cluster["name"] == execute(kernel, "print(cluster.name)").strip()
    assert (cluster["workers"], cluster["cores"], cluster["memory"]) == (2, 2, "4.00 GiB")
    assert "adapt" not in cluster
    assert jupyter.http.get(f"dask/clusters/{cluster['id']}").json() == cluster
    assert TOKEN not in json.dumps(cluster)


@pytest.mark.oldest
def test_the_dashboard_is_reached_through_the_server(jupyter: JupyterServer, cluster: dict[str, Any]) -> None:
    path = cluster["dashboard_link"].removeprefix("/user/ada/")
    assert path == f"dask/dashboard/{cluster['id']}/status"
    page = until(lambda: (answer := jupyter.http.get(path)).status_code == 200 and answer)
    assert "Dask Diagnostic UI" in page.text
    plots = jupyter.http.get(f"dask/dashboard/{cluster['id']}/individual-plots.json").json()
    assert plots["Individual Task Stream"] == "/individual-task-stream"
    # the page's live half is a websocket
    address = jupyter.url.replace("http://", "ws://") + f"dask/dashboard/{cluster['id']}/status/ws"
    with connect(address, additional_headers={"Authorization": f"token {TOKEN}"}, subprotocols=["bokeh", "no-token"]) as socket:
        assert socket.subprotocol == "bokeh"
    with pytest.raises(Exception, match="403"), connect(address, subprotocols=["bokeh", "no-token"]):
        pass
    assert httpx.get(jupyter.url + path).status_code in (302, 403)


def test_an_address_that_was_typed_in_is_checked(jupyter: JupyterServer, cluster: dict[str, Any], kernel: BlockingKernelClient) -> None:
    dashboard = execute(kernel, "print(cluster.scheduler_info['services']['dashboard'])").strip()

    def check(address: str) -> dict[str, Any]:
        answer = jupyter.http.get("dask/dashboard-check/" + quote(address, safe=""))
        assert answer.status_code == 200
        return dict(answer.json())

    found = until(lambda: (answer := check(f"http://127.0.0.1:{dashboard}/status"))["plots"] and answer)
    assert found["isActive"]
    assert "Individual Task Stream" in found["plots"]
    for address in ("http://127.0.0.1:1", "file:///etc/passwd", "http://[", "nonsense", f"{jupyter.url}api"):
        assert check(address)["isActive"] is False


@pytest.mark.oldest
def test_more_and_fewer_workers(jupyter: JupyterServer, cluster: dict[str, Any]) -> None:
    path = f"dask/clusters/{cluster['id']}"
    answer = jupyter.http.patch(path, json=cluster | {"workers": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == cluster["id"]
    until(lambda: jupyter.clusters()[0]["workers"] == 1)
    jupyter.http.patch(path, json=cluster | {"workers": 2, "adapt": None}).raise_for_status()
    until(lambda: jupyter.clusters()[0]["workers"] == 2)


@pytest.mark.oldest
def test_a_cluster_that_follows_its_load(jupyter: JupyterServer, cluster: dict[str, Any]) -> None:
    path = f"dask/clusters/{cluster['id']}"
    answer = jupyter.http.patch(path, json=cluster | {"adapt": {"minimum": 0, "maximum": 2}})
    assert answer.status_code == 200, answer.text
    until(lambda: jupyter.clusters()[0].get("adapt") == {"minimum": 0, "maximum": 2})
    until(lambda: jupyter.clusters()[0]["workers"] == 0)
    jupyter.http.patch(path, json=cluster | {"workers": 1}).raise_for_status()
    until(lambda: (shown := jupyter.clusters()[0])["workers"] == 1 and "adapt" not in shown)


def test_more_than_the_limits_leave_is_refused_with_the_reason(jupyter: JupyterServer, cluster: dict[str, Any]) -> None:
    for body in ({"workers": 10_000}, {"adapt": {"minimum": 0, "maximum": 10_000}}):
        answer = jupyter.http.patch(f"dask/clusters/{cluster['id']}", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["reason"] == "limit-exceeded"
        assert "left" in answer.json()["message"] or "most" in answer.json()["message"], answer.json()
    assert jupyter.clusters()[0]["workers"] == 2


NO_SIZES = (b"", b"{", b"[]", b"7", b"null", b'"x"', b"{}", b"[" * 10_000, b"\xff", b'{"adapt": 3}', b'{"adapt": {"minimum": 0}}')
NO_NUMBERS = ("-1", "1.5", "true", "NaN", '"3"', "null", "[]", "1e400")


def test_a_body_that_is_no_size_is_refused(jupyter: JupyterServer, cluster: dict[str, Any]) -> None:
    bodies = [*NO_SIZES, b'{"adapt": {"minimum": 2, "maximum": 1}}', *(f'{{"workers": {number}}}'.encode() for number in NO_NUMBERS)]
    for body in bodies:
        answer = jupyter.http.patch(f"dask/clusters/{cluster['id']}", content=body)
        assert answer.status_code == 400, (body[:40], answer.text)
        assert answer.json()["reason"] == "malformed"


def test_what_is_not_there_is_said_to_be_not_there(jupyter: JupyterServer) -> None:
    path = f"dask/clusters/{UNKNOWN}"
    for answer in (jupyter.http.get(path), jupyter.http.delete(path), jupyter.http.patch(path, json={"workers": 1})):
        assert answer.status_code == 404
        assert "no such Dask cluster" in answer.json()["message"]
    assert jupyter.http.get(f"dask/dashboard/{UNKNOWN}/status").status_code == 404
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        assert jupyter.http.request(method, f"dask/dashboard/{UNKNOWN}/status").status_code == 405


def test_stop_ends_a_cluster_of_a_kernel(jupyter: JupyterServer, kernel: BlockingKernelClient) -> None:
    execute(kernel, "import afkit; other = afkit.cluster(workers=1, name='other')")
    (shown,) = until(lambda: [one for one in jupyter.clusters() if one["name"] == "other"])
    assert jupyter.http.delete(f"dask/clusters/{shown['id']}").status_code == 204
    until(lambda: jupyter.clusters() == [])
    until(lambda: execute(kernel, "print(other.status.name)").strip() == "closed")


def test_a_kernel_that_is_killed_takes_its_cluster_off_the_list(jupyter: JupyterServer) -> None:
    with jupyter.kernel() as client:
        pid = int(execute(client, "import afkit, os; cluster = afkit.cluster(workers=1); print(os.getpid())"))
        until(lambda: len(jupyter.clusters()) == 1)
        os.kill(pid, signal.SIGKILL)
        until(lambda: jupyter.clusters() == [], within=5)


def entries(server: JupyterServer) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (server.runtime / "afkit").glob("*.json")]


def test_new_makes_a_cluster_that_lives_as_long_as_the_server(start_jupyter: Start) -> None:
    server = start_jupyter()
    answer = server.http.put("dask/clusters")
    assert answer.status_code == 200, answer.text
    assert [one["id"] for one in server.clusters()] == [answer.json()["id"]]
    (entry,) = entries(server)
    assert "token" in Entry.__slots__  # what is checked in the next line is in the file
    assert entry["token"] not in answer.text + server.log()
    # another is made and stopped: its process ends too
    other = server.http.put("dask/clusters")
    if other.status_code == 200:
        pid = next(one["pid"] for one in entries(server) if one["id"] == other.json()["id"])
        assert server.http.delete(f"dask/clusters/{other.json()['id']}").status_code == 204
        until(lambda: gone(pid))
    server.stop(signal.SIGKILL)
    until(lambda: gone(entry["pid"]), within=10)
    until(lambda: entries(server) == [], within=10)


def test_new_says_why_it_is_refused(start_jupyter: Start) -> None:
    server = start_jupyter(
        AFKIT_FACILITY="test",
        AFKIT_PROFILE="analysis",
        AFKIT_SERVICES="http://127.0.0.1:1",
        AFKIT_DASK="null",
        CPU_LIMIT="1",
        MEM_LIMIT="1073741824",
    )
    answer = server.http.put("dask/clusters")
    assert answer.status_code == 400, answer.text
    assert "Dask" in answer.json()["message"]
    assert answer.json()["reason"] == "not-entitled"
    assert server.clusters() == []


def test_new_makes_a_new_one_although_another_address_is_configured(start_jupyter: Start) -> None:
    server = start_jupyter(DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:9")
    answer = server.http.put("dask/clusters")
    assert answer.status_code == 200, answer.text
    assert server.http.delete(f"dask/clusters/{answer.json()['id']}").status_code == 204
    assert server.clusters() == []
