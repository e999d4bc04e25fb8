"""Free ports on the loopback address."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Final

from afkit.errors import PlatformError

__all__ = ["DEFAULT", "HOST", "choose_port", "free_ports"]

HOST: Final = "127.0.0.1"
"""The only address that anything of a facility on this machine listens on."""

DEFAULT: Final = 8000


def choose_port(asked: int | None) -> int:
    """The port to listen on: ``asked`` or an error; else `DEFAULT`, one of the next twenty, or any that is free (0: any).

    Raises `PlatformError` where ``asked`` is taken or may not be used.
    """
    if asked is not None:
        return _asked(asked)
    for port in range(DEFAULT, DEFAULT + 21):
        with contextlib.suppress(OSError), _bound(port):
            return port
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """That many different free ports, as the operating system gives them."""
    with contextlib.ExitStack() as stack:
        return [int(stack.enter_context(_bound(0)).getsockname()[1]) for _ in range(count)]


def _asked(port: int) -> int:
    try:
        with _bound(port) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} is taken by another program."
            hint = "Name another with --port N, or leave --port out to have a free one chosen."
        else:
            message, hint = f"Port {port} cannot be used: {error.strerror}.", "Name a port above 1023 with --port N."
        raise PlatformError(message, hint) from error


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # a port that only waits for late packets of an earlier run is free; one that somebody listens on is not
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except BaseException:
        listener.close()
        raise
    return listener
