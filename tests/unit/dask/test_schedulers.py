"""A scheduler is its user's own program: whatever it answers, the service reads bounded JSON, executes nothing and goes on."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from afkit.services.dask.scheduler import MOST_ANSWER, Schedulers

STATE = {
    "client": {"seen": True, "connected": 1, "gone_s": None},
    "clients": 1,
    "idle_s": 3.5,
    "groups": {"default": {"ready": 2, "present": ["a"]}},
}


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.write_text, (self.path, "executed")


@asynccontextmanager
async def answering(handle: Callable[[web.Request], Any], seconds: float = 1.0) -> AsyncIterator[Schedulers]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app, host="127.0.0.1") as server:
        schedulers = Schedulers(server.port or 0, seconds)
        try:
            yield schedulers
        finally:
            await schedulers.close()


async def test_a_scheduler_is_asked_with_its_token() -> None:
    asked = []

    async def handle(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, request.headers["Authorization"], await request.text()))
        if request.path.endswith("retire"):
            return web.json_response({"retired": ["a", "c", "x"], "kept": {"b": "busy", "c": "results", "y": "busy"}})
        return web.json_response(STATE)

    async with answering(handle) as schedulers:
        seen = await schedulers.state("127.0.0.1", "the token")
        assert seen is not None
        assert (seen.client, seen.gone, seen.idle, seen.groups["default"].ready) == (True, None, 3.5, 2)
        went, stay = await schedulers.retire("127.0.0.1", "the token", ["a", "b", "c"], drain=None)
    # only what was asked for counts, and what is said to stay has not gone
    assert (went, stay) == ({"a"}, {"b": "busy", "c": "results"})
    assert asked[0] == ("GET", "/afkit/v1/state", "Bearer the token", "")
    assert json.loads(asked[1][3]) == {"workers": ["a", "b", "c"], "busy": "leave", "seconds": 0}


async def drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(100):
        await answer.write(b" ")
        await asyncio.sleep(0.1)
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * (1 << 20))


def said(**how: Any) -> Callable[[web.Request], Any]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(**how)

    return handle


async def elsewhere(request: web.Request) -> web.Response:
    if request.path == "/stolen":
        return web.json_response(STATE)
    raise web.HTTPFound("/stolen")


ANSWERS: dict[str, Callable[[web.Request], Any]] = {
    "an error": said(status=500, text=json.dumps(STATE)),
    "not allowed": said(status=401),
    "no JSON": said(text="<html>"),
    "nothing": said(body=b""),
    "no UTF-8": said(body=b'{"a": "\xff"}'),
    "too deep": said(body=b"[" * 100_000),
    "too large": said(body=b'"' + b"x" * (MOST_ANSWER + 1) + b'"'),
    "a large number": said(body=b"9" * 100_000),
    "packed": said(body=gzip.compress(json.dumps(STATE).encode()), headers={"Content-Encoding": "gzip"}),
    "never ends": endless,
    "slow": drip,
    "sends elsewhere": elsewhere,
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_a_wrong_answer_is_none(how: str) -> None:
    begun = time.monotonic()
    async with answering(ANSWERS[how]) as schedulers:
        assert await schedulers.state("127.0.0.1", "t") is None
        assert await asyncio.wait_for(schedulers.state("127.0.0.1", "t"), 5) is None
    assert time.monotonic() - begun < 10


async def test_nobody_there() -> None:
    schedulers = Schedulers(1, 1.0)
    assert await schedulers.state("127.0.0.1", "t") is None
    assert await schedulers.retire("127.0.0.1", "t", ["a"], drain=None) == (set(), {})
    await schedulers.close()


async def test_a_pickle_is_executed_nowhere(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(tmp_path / "file"))
    async with answering(said(body=evil)) as schedulers:
        assert await schedulers.state("127.0.0.1", "t") is None
    assert not (tmp_path / "file").exists()
    pickle.loads(evil)
    assert (tmp_path / "file").exists(), "the trap works"


def test_the_service_does_not_even_load_dask() -> None:
    code = "import sys, afkit.services.dask.__main__ as _; print(sorted({'dask', 'distributed', 'cloudpickle'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.strip() == "[]"
