"""Every route of the service over real HTTP: whatever is sent is refused in a sentence, and a foreign cluster is as if there were none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from afkit.facility.model import Facility
from afkit.names import owner
from afkit.services.dask.app import application
from afkit.services.dask.callers import Caller
from afkit.services.dask.refusal import CallerError
from tests.support.bodies import BODIES
from tests.unit.dask.asking import body
from tests.unit.dask.test_numbers import Known, Service, Slow

Client = TestClient[Any, Any]
NAMES = {
    "200 characters": "a" * 200,
    "unicode": "%C3%BCber",
    "no UTF-8": "%ff",
    "a path": "..%2F..%2Fnodes",
    "NUL": "mine%00",
    "a newline": "mine%0AINFO",
    "capitals": "Mine",
    "format syntax": "%7B0.__class__%7D",
    "right to left": "%E2%80%AEenim",
}
ODD: dict[str, Any] = {
    "a number": 7,
    "true": True,
    "a list": ["x"],
    "an object": {"x": "y"},
    "nested lists": [[[]]],
    "negative": -1,
    "a large number": 10**30,
    "a fraction": 0.5,
    "200 characters": "a" * 200,
    "unicode": "über",
    "half a surrogate": "\ud800",
    "a newline": "mine\nINFO",
    "NUL": "mine\x00",
    "a path": "../x",
    "format syntax": "{0.__class__}",
    "markup": "<script>",
}


class Named(Known):
    """Who calls is in the header."""

    async def caller(self, of: Facility, header: str) -> Caller:
        name = header.removeprefix("token ")
        if name not in ("ada", "grace"):
            raise CallerError(401, "token", "The call has no token.")
        return Caller(name, owner(of.name, "hub", name), "af-dasky-x")


def routes(name: str) -> Iterator[tuple[str, str, Any]]:
    change = {"groups": [{"name": "default", "low": 1, "high": 1}]}
    yield from (("GET", f"clusters/{name}{more}", None) for more in ("", "/access", "/logs", "?wait=1&since=0", "/logs?lines=5"))
    yield from (("PATCH", f"clusters/{name}", change), ("DELETE", f"clusters/{name}", None), ("DELETE", f"clusters/{name}?id=x", None))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """The service, in which ada has a cluster `mine`."""
    slow = Slow()
    slow.arrived.set()
    service = Service(slow)
    service.desk._callers = cast("Any", Named())
    live = service.cluster("mine", {"low": 1, "high": 1, "cores": 1000})
    async with TestClient(TestServer(application(service.desk, ("/",)))) as made:
        yield made
    # nothing of what was sent has come to anything
    assert service.keeper.records() == [live.record]
    assert service.highs() == [1]
    assert slow.written == []
    assert slow.made.empty()


async def asked(client: Client, method: str, path: str, who: str = "ada", **how: Any) -> tuple[int, dict[str, Any]]:
    url = client.make_url("/").join(URL(path, encoded=True))
    async with client.session.request(method, url, headers={"Authorization": f"token {who}"}, **how) as said:
        return said.status, json.loads(await said.text())


def refused(answer: tuple[int, dict[str, Any]]) -> bool:
    status, said = answer
    return 400 <= status < 500 and bool(said["reason"]) and bool(said["message"]) and "Traceback" not in said["message"]


@pytest.mark.parametrize("how", BODIES)
async def test_a_body_that_is_no_request_is_refused(client: Client, how: str) -> None:
    for method, path in (("POST", "clusters"), ("PATCH", "clusters/mine")):
        answer = await asked(client, method, path, data=BODIES[how])
        assert refused(answer), (method, answer)
        assert answer[1]["reason"] in ("malformed", "unknown-option"), (method, answer)


@pytest.mark.parametrize("how", ODD)
async def test_a_field_of_another_kind_is_refused(client: Client, how: str) -> None:
    good = body({"low": 1, "high": 1, "cores": 1000}, name="new")
    fields = [*good, "life", "idle", "env", "image", "python", "pool", "server", "cvmfs", "dry_run", "__class__"]
    for key in fields:
        assert refused(answer := await asked(client, "POST", "clusters", json={**good, key: ODD[how]})), (key, answer)
    for key in ("name", "low", "high", "cores", "memory", "gpus", "pool", "tags", "pod"):
        group = {**good["groups"][0], key: ODD[how]}
        assert refused(answer := await asked(client, "POST", "clusters", json={**good, "groups": [group]})), (key, answer)
    for key in ("name", "low", "high", "spec"):
        group = {"name": "default", "low": 1, "high": 1, key: ODD[how]}
        # seven workers are no bad number
        if (how, key) != ("a number", "high"):
            assert refused(answer := await asked(client, "PATCH", "clusters/mine", json={"groups": [group]})), (key, answer)


async def test_a_foreign_cluster_is_as_if_there_were_none(client: Client) -> None:
    for (method, path, sent), (_, none, _) in zip(routes("mine"), routes("nothing"), strict=True):
        foreign = await asked(client, method, path, "grace", json=sent)
        assert foreign[0] == 404, (method, path, foreign)
        assert foreign == await asked(client, method, none, "grace", json=sent)
        assert "mine" not in str(foreign)
        assert "ada" not in str(foreign)
        assert (await asked(client, method, path, "nobody", json=sent))[0] == 401
    assert (await asked(client, "GET", "clusters", "grace"))[1] == {"clusters": []}


@pytest.mark.parametrize("how", NAMES)
async def test_a_name_that_nothing_can_have_names_nothing(client: Client, how: str) -> None:
    for method, path, sent in routes(NAMES[how]):
        status, said = await asked(client, method, path, json=sent)
        assert status == 404, (method, path, said)
        assert said["message"]


@pytest.mark.parametrize("number", ["-1", "nan", "inf", "1e999", "x", "", "9" * 400, "31", "%00"])
async def test_a_wait_is_a_small_number(client: Client, number: str) -> None:
    assert refused(await asked(client, "GET", f"clusters/mine?since=0&wait={number}"))
    if number != "31":
        assert refused(await asked(client, "GET", f"clusters/mine/logs?lines={number}"))


async def test_other_methods_and_paths_are_refused(client: Client) -> None:
    for method, path in (
        ("PUT", "clusters/mine"),
        ("POST", "clusters/mine"),
        ("DELETE", "clusters"),
        ("GET", "secrets"),
        ("TRACE", "clusters"),
    ):
        assert refused(await asked(client, method, path)), (method, path)
