"""The session's side of the guardian (`afkit.session.guardian_main`): start it, order workers, hear what became of them.

Standard library alone, so that the workers are already starting while this process still imports Dask.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from afkit.errors import DaskStartError

__all__ = ["Ended", "Guardian"]

_PROGRAM = Path(__file__).with_name("guardian_main.py")
_SEND_SECONDS = 5.0
_TAIL = 16 << 10


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker process that is gone: its name, exit code (negative: the signal) and the guardian's reason (empty: none of ours)."""

    name: str
    code: int
    why: str

    def cause(self) -> str:
        """What happened, as part of a sentence."""
        if self.why:
            return self.why
        if self.code < 0:
            return f"it was killed by signal {-self.code}"
        return f"it ended with exit code {self.code}"


class Guardian:
    """One guardian process and the folder of its cluster (mode 0700: logs, spilled data, the control socket).

    ``environ`` and ``directory`` are those of the workers, ``entry`` is the cluster's file in the registry. Only the process that made
    it may use it: in a fork every method does nothing. The guardian makes the folder; it is there when `ready` is true.
    """

    def __init__(self, *, environ: Mapping[str, str], directory: str, entry: Path) -> None:
        self.folder = _temporary() / f"afkit-{secrets.token_hex(6)}"
        self.failure = ""
        self.pids: dict[str, int] = {}
        self.ready = False
        self._environ = dict(environ)
        self._directory = directory
        self._owner = os.getpid()
        self._buffer = b""
        ours, theirs = socket.socketpair()
        ours.settimeout(_SEND_SECONDS)
        self._socket = ours
        arguments = [sys.executable, "-I", "-S", str(_PROGRAM), str(theirs.fileno()), str(os.getpid()), str(self.folder), str(entry)]
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            ours.close()
            raise DaskStartError(
                f"No process for the cluster could be started: {error.strerror}.", "Check the limit of processes (ulimit -u)."
            ) from error
        finally:
            theirs.close()

    def fileno(self) -> int:
        """Readable when there is something for `heard`."""
        return self._socket.fileno()

    @property
    def usable(self) -> bool:
        """Whether this is the process that made it, and it has not been closed."""
        return os.getpid() == self._owner and self._socket.fileno() >= 0

    @property
    def alive(self) -> bool:
        """Whether the guardian's process runs."""
        return self._process.poll() is None

    def write(self, name: str, content: object) -> None:
        """Have a file written into the folder, as JSON."""
        self._send({"do": "write", "name": name, "content": content})

    def start(self, name: str, arguments: Sequence[str], *, memory: int = 0, environ: Mapping[str, str] | None = None) -> None:
        """Start a worker process. ``memory``: bytes at which it is ended (0: never). ``environ`` is laid over the workers' own."""
        order = {
            "do": "start",
            "id": name,
            "argv": list(arguments),
            "env": self._environ | dict(environ or {}),
            "cwd": self._directory,
            "memory": memory,
        }
        self._send(order)

    def go(self) -> None:
        """Let the workers connect; later ones need not be told."""
        self._send({"do": "go"})

    def end(self, name: str, grace: float) -> None:
        """Stop a worker; after ``grace`` seconds it is killed with its group."""
        self._send({"do": "end", "id": name, "grace": grace})

    def limit(self, name: str, memory: int) -> None:
        """Change the bytes at which a worker is ended (0: never)."""
        self._send({"do": "limit", "id": name, "memory": memory})

    def log(self, name: str) -> Path:
        """Where a worker's standard output and error are kept (the last 64 KiB to 4 MiB of them)."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 6) -> str:
        """The last lines of what a worker wrote."""
        try:
            with self.log(name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])

    def heard(self) -> list[Ended] | None:
        """The workers that ended since the last call; ``None`` when the guardian itself is gone. Call it when `fileno` is readable."""
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        ended = []
        for line in lines:
            fact = json.loads(line)
            if "ready" in fact:
                self.ready = True
            elif "failed" in fact:
                self.failure = fact["failed"]
            elif "started" in fact:
                self.pids[fact["started"]] = fact["pid"]
            else:
                self.pids.pop(fact["ended"], None)
                ended.append(Ended(fact["ended"], fact["code"], fact["why"]))
        return ended

    def quit(self, grace: float) -> None:
        """Have all workers and the guardian end; `heard` gives ``None`` when they have."""
        self._send({"do": "quit", "grace": grace})

    def close(self, grace: float = 0.5) -> None:
        """End all workers and the guardian, and remove the folder. Returns when they are gone (at most ``grace`` and 4 seconds)."""
        if not self.usable:
            return
        self.quit(grace)
        try:
            self._process.wait(grace + 4)
        except subprocess.TimeoutExpired:
            # the workers see that their parent is gone and end by themselves
            self._process.kill()
            self._process.wait()
        self._socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _send(self, order: Mapping[str, object]) -> None:
        if not self.usable:
            return
        # a guardian that is gone is noticed by `heard`
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(order).encode() + b"\n")


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir()).resolve()
    except OSError as error:
        raise DaskStartError("There is no folder for temporary files that can be written.", "Free some space, or set TMPDIR.") from error
