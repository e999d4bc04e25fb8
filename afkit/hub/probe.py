"""Whether a server answers: asked by the spawner while it starts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

__all__ = ["answers"]

_PATIENCE: Final = 5.0


async def answers(host: str, port: int, path: str) -> bool:
    """Whether an HTTP server answers there with anything but an error of its own (as the hub asks: any status below 500)."""
    with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                return int((await reader.readline()).split()[1]) < 500
            finally:
                writer.close()
    return False
