"""Asks about folders that may never answer: one child for each, which is left alone when its time is over.

A process that waits for an answer of a file system whose server has already taken the question cannot be killed. So no child is
ever waited for, and the end of the pipe that is read here is closed at the deadline, whoever holds the other one.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Answer", "ask"]

_PROBE = Path(__file__).with_name("cvmfs_probe.py")
_LEFT: list[subprocess.Popen[bytes]] = []
"""Children that did not answer: taken notice of when they have ended at last."""


@dataclass(slots=True)
class Answer:
    """What one child said: ``found`` is its last line (``None``: it never came to it), ``step`` what it did last (empty: nothing)."""

    found: Mapping[str, Any] | None = None
    step: str = ""
    seconds: float = 0.0
    rest: bytes = b""


def ask(folder: str, repositories: Sequence[str], seconds: float) -> list[Answer]:
    """Look at the repositories below a folder (an empty name: at the folder itself), all at once, for so many seconds at most."""
    _LEFT[:] = [process for process in _LEFT if process.poll() is None]
    began = time.monotonic()
    answers = [Answer() for _ in repositories]
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as ends:
        for answer, repository in zip(answers, repositories, strict=True):
            pipe, write = os.pipe()
            ends.callback(os.close, pipe)
            try:
                ends.callback(_leave, _start(folder, repository, write))
            finally:
                os.close(write)
            selector.register(pipe, selectors.EVENT_READ, answer)
        while selector.get_map() and (left := began + seconds - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if _read(key.fd, key.data, began):
                    selector.unregister(key.fd)
    return answers


def _start(folder: str, repository: str, write: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [_python(folder), "-I", "-S", str(_PROBE), folder, repository],
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.DEVNULL,  # whoever waits for the end of this process' output must not wait for the child
        cwd="/",
        env=_environment(folder),
    )


def _read(pipe: int, answer: Answer, began: float) -> bool:
    """Take what the child wrote; true where nothing more comes."""
    piece = os.read(pipe, 65536)
    *lines, answer.rest = (answer.rest + piece).split(b"\n")
    for line in lines:
        said = json.loads(line)
        if "step" in said:
            answer.step = said["step"]
        else:
            answer.found, answer.seconds = said, time.monotonic() - began
    return not piece or answer.found is not None


def _leave(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(OSError):
            child.kill()
        _LEFT.append(child)


def _python(folder: str) -> str:
    """An interpreter that does not lie below the folder: starting one there would wait as well, and could not be given up."""
    below = folder.rstrip("/") + "/"
    if not any(place.startswith(below) for place in (sys.executable, sys.base_prefix, sys.prefix)):
        return sys.executable
    return shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or sys.executable


def _environment(folder: str) -> dict[str, str]:
    kept = [place for place in os.environ.get("LD_LIBRARY_PATH", "").split(":") if place and not place.startswith(folder)]
    return {"LD_LIBRARY_PATH": ":".join(kept)} if kept else {}
