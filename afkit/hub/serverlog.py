"""What a server prints, kept in one file a server, and how it ended, in words.

The file belongs to the hub's user alone, has a bounded size, and one predecessor. What a page shows of it has no secrets.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Final

__all__ = ["MOST_BYTES", "exit_cause", "open_log", "redact", "tail", "trim"]

MOST_BYTES: Final = 8 * 2**20
"""A log that has grown beyond this is cut to its last quarter."""

_TAIL_BYTES: Final = 32 * 1024
_HIDDEN: Final = "[hidden]"
_SECRETS: Final = (
    re.compile(
        r"(?i)(\b[\w-]*(?:token|password|passwd|secret|api[_-]?key|authorization|cookie)[\w-]*[\"']?\s*[=:]\s*)(?:(?:bearer|token|basic)\s+)?\S+"
    ),
    re.compile(r"(?i)(\b(?:bearer|token)\s+)[\w.~+/-]{16,}=*"),
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"()\b[0-9a-fA-F]{32,}\b"),
    re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)"),
)
_ENDINGS: Final = {
    signal.SIGKILL: "by somebody, or by the system because memory ran out",
    signal.SIGTERM: "by somebody",
    signal.SIGINT: "by somebody",
    signal.SIGSEGV: "because of an error in compiled code",
    signal.SIGBUS: "because of an error in compiled code",
    signal.SIGABRT: "because compiled code gave up",
}


def open_log(path: Path) -> int:
    """A descriptor to append to the log of a server that starts; the last server's is kept beside it as ``.1``.

    Raises ``OSError`` where it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def trim(path: Path, most: int = MOST_BYTES) -> bool:
    """Cut a log that is too long, while the server goes on writing at its end; whether it was."""
    try:
        if path.stat().st_size <= most:
            return False
        kept = _end_of(path, most // 4)
        # the server's descriptor appends, so it goes on behind what is written here
        with path.open("r+b") as file:
            file.write(kept)
            file.truncate()
    except OSError:
        return False
    return True


def tail(path: Path, lines: int = 20) -> tuple[str, ...]:
    """The last lines of a log, without secrets; empty where there is none."""
    try:
        end = _end_of(path, _TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(redact(line.rstrip())[:400] for line in end.splitlines() if line.strip())[-lines:]


def redact(text: str) -> str:
    """``text`` without what looks like a secret: values of tokens, passwords, cookies, long hexadecimal words, JWTs."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_HIDDEN}", text)
    return text


def exit_cause(status: int | None) -> str:
    """How a server ended, as a sentence. ``status`` as Python has it (negative: a signal); ``None``: nobody was there to see it."""
    if status is None:
        return "The server ended while the hub was not running."
    if status < 0:
        try:
            number = signal.Signals(-status)
        except ValueError:
            return f"The server was ended by signal {-status}."
        return f"The server was ended by {number.name}, {_ENDINGS.get(number, 'a signal')}."
    return "The server ended by itself." if status == 0 else f"The server ended with exit code {status}."


def _end_of(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - size, 0))
        data = file.read(size)
    return data if length <= size else data.partition(b"\n")[2]
