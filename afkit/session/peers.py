"""Lets only this user's processes in: other people of a shared machine can reach a loopback port, and a Dask port runs what it is sent.

Dask's plain ``tcp`` has no login, and TLS would need a second Dask setting for `distributed.Client` to find the cluster without arguments,
and costs half of the throughput. So the listeners of scheduler and workers ask the kernel who holds the other end of each new connection
(``/proc/net/tcp``: the socket's owner), before a byte is read from it. Where the kernel does not say (no ``/proc``), everybody is let in,
as with Dask's own LocalCluster.

Standard library alone: workers load this file by its path.
"""

from __future__ import annotations

import os
import socket
from typing import Any

__all__ = ["allowed", "guarded", "owner"]

_ESTABLISHED = "01"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def guarded(kind: type) -> type:
    """A subclass of a Dask server class (``Scheduler``, ``Worker``) whose ports let only this user in."""

    class Guarded(kind):  # type: ignore[misc]  # the class is an argument
        async def listen(self, *args: Any, **kwargs: Any) -> None:
            await super().listen(*args, **kwargs)
            # the loop has accepted nothing in between: no step of starting a listener waits
            for listener in self.listeners:
                _guard(listener.tcp_server)

        def start_http_server(self, *args: Any, **kwargs: Any) -> None:
            super().start_http_server(*args, **kwargs)
            _guard(self.http_server)

    Guarded.__name__ = Guarded.__qualname__ = kind.__name__
    Guarded.__module__ = kind.__module__
    return Guarded


def allowed(link: socket.socket) -> bool:
    """Whether the other end of an accepted connection belongs to this user, or the kernel does not say."""
    if not os.path.exists(_TABLES[0]):  # noqa: PTH110 - see above
        return True
    try:
        return owner(link.getpeername(), link.getsockname()) == os.geteuid()
    except OSError:
        # it is closed already
        return False


def owner(peer: tuple[Any, ...], own: tuple[Any, ...]) -> int | None:
    """The user id that holds the connection's end ``peer``; ``None`` when there is no such open connection on this machine.

    A connection that its owner has closed is shown with owner 0, so only established ones count.
    """
    wanted = (_written(peer), _written(own))
    for table in _TABLES:
        try:
            with open(table) as file:  # noqa: PTH123 - see above
                next(file)
                for line in file:
                    words = line.split()
                    if words[3] == _ESTABLISHED and (_short(words[1]), _short(words[2])) == wanted:
                        return int(words[7])
        except OSError:
            continue
    return None


def _guard(server: Any) -> None:
    inner = server.handle_stream
    if getattr(inner, "afkit", False):
        return

    def handle_stream(stream: Any, address: Any) -> Any:
        if not allowed(stream.socket):
            stream.close()
            return None
        return inner(stream, address)

    handle_stream.afkit = True  # type: ignore[attr-defined]  # a mark of our own
    server.handle_stream = handle_stream


def _written(end: tuple[Any, ...]) -> str:
    """An address as the kernel's table has it: bytes in the machine's order, hexadecimal."""
    host, port = end[0], end[1]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.inet_pton(family, host)
    words = [raw[index : index + 4] for index in range(0, len(raw), 4)]
    return _short("".join(f"{int.from_bytes(word, _ORDER):08X}" for word in words) + f":{port:04X}")


def _short(end: str) -> str:
    """An IPv4 address that stands in the table of IPv6 is the same address."""
    host, _, port = end.partition(":")
    return f"{host[24:] if len(host) == 32 and host[:24] == _MAPPED else host}:{port}"


_ORDER: Any = __import__("sys").byteorder
_MAPPED = "".join(f"{int.from_bytes(word, _ORDER):08X}" for word in (b"\0\0\0\0", b"\0\0\0\0", b"\0\0\xff\xff"))
