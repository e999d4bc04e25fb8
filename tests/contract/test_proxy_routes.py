"""The pure-Python proxy tells when it last forwarded something; the hub must not take that for activity."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jupyterhub.proxy import ConfigurableHTTPProxy

from afkit.hub.routes import QuietProxy

TOKEN = "0" * 32
ROUTE = "/user/ada/"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def api() -> AsyncIterator[str]:
    """The address of the API of a real proxy."""
    port, api_port = free_port(), free_port()
    command = [str(Path(sys.executable).with_name("configurable-http-proxy")), f"--port={port}", f"--api-port={api_port}"]
    command += ["--ip=127.0.0.1", "--api-ip=127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*command, env={"CONFIGPROXY_AUTH_TOKEN": TOKEN})
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    (await asyncio.open_connection("127.0.0.1", api_port))[1].close()
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{api_port}"
    finally:
        process.terminate()
        await process.wait()


async def routes(kind: type[ConfigurableHTTPProxy], api: str) -> dict[str, dict[str, object]]:
    proxy = kind(api_url=api, auth_token=TOKEN, should_start=False)
    await proxy.add_route(ROUTE, "http://127.0.0.1:9", {"user": "ada", "server_name": ""})
    return {path: route["data"] for path, route in (await proxy.get_all_routes()).items()}


async def test_traffic_is_no_activity(api: str) -> None:
    assert "last_activity" in (await routes(ConfigurableHTTPProxy, api))[ROUTE], "the proxy tells it no longer: QuietProxy can go"
    quiet = (await routes(QuietProxy, api))[ROUTE]
    assert {key: quiet.get(key) for key in ("user", "server_name", "last_activity")} == {
        "user": "ada",
        "server_name": "",
        "last_activity": None,
    }
