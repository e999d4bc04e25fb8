"""Who has which cluster: one JSON file (mode 0600) for each live cluster in ``$JUPYTER_RUNTIME_DIR/afkit/``.

Kernels write, everybody in the session reads: other kernels count what is held, the Jupyter server shows clusters in its sidebar and
controls them. An entry whose process is gone (no such pid, or another start time) is removed by whoever reads it. An entry of another
host (a shared home) is neither shown nor touched.

Standard library alone; `jupyter_core` is asked for the folder where it is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afkit.errors import AfkitError, DeadlineError, PlatformError, RequestError
from afkit.session.left import Held

if TYPE_CHECKING:
    import asyncio

__all__ = ["Entry", "call", "call_async", "entries", "folder", "lock", "process_start", "remove", "write"]

_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One cluster. ``scheduler`` is empty while it starts; ``dashboard`` is the plain local address, empty where there is none.

    ``workers``, ``cores`` (millicores) and ``memory`` (bytes) are what runs now, ``held`` is the most that the cluster may grow to.
    ``adaptive`` is ``(low, high)`` or ``None``. ``control`` is a path (a Unix socket) or ``HOST:PORT``, opened by ``token``.
    ``started`` is the start time of process ``pid`` as this host counts it, ``made`` when the cluster was made (epoch seconds).
    """

    id: str
    name: str
    pid: int
    started: str
    host: str
    session: str
    made: float
    held: Held
    scheduler: str = ""
    dashboard: str = ""
    control: str = ""
    token: str = field(default="", repr=False)
    workers: int = 0
    cores: int = 0
    memory: int = 0
    adaptive: tuple[int, int] | None = None
    groups: tuple[str, ...] = ()


def folder(create: bool = False) -> Path:
    """The folder of the entries. With ``create`` it is made, mode 0700; one that belongs to somebody else is a `PlatformError`."""
    place = _runtime() / "afkit"
    if create:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            seen = place.stat()
        except OSError as error:
            raise PlatformError(f"{place} cannot be made: {error.strerror}.", "Set JUPYTER_RUNTIME_DIR to a folder of your own.") from error
        if seen.st_uid != os.getuid():
            raise PlatformError(f"{place} belongs to somebody else.", "Set JUPYTER_RUNTIME_DIR to a folder of your own.")
        if stat.S_IMODE(seen.st_mode) & 0o077:
            place.chmod(0o700)
    return place


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Held while what is left is counted and a new entry is written, so that two kernels never both take the last core.

    Where the folder cannot be used nothing is locked (and nothing is listed): clusters work all the same.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, PlatformError):
            file = stack.enter_context((folder(create=True) / ".lock").open("a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write(entry: Entry) -> Path:
    """Write or replace an entry, in one step. Returns its file."""
    place = folder(create=True)
    path = place / f"{entry.id}.json"
    fresh = place / f".{entry.id}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(entry), file)
    fresh.replace(path)
    return path


def remove(identifier: str) -> None:
    """Take an entry out; that it is gone already is fine."""
    with contextlib.suppress(OSError):
        (folder() / f"{identifier}.json").unlink()


def entries(*, starting: bool = False) -> list[Entry]:
    """The live clusters of this user on this host, oldest first; with ``starting`` also those without a scheduler yet."""
    found = []
    for path in folder().glob("*.json") if folder().is_dir() else ():
        entry = _read(path)
        if entry is None or entry.host != socket.gethostname():
            continue
        if process_start(entry.pid) != entry.started:
            with contextlib.suppress(OSError):
                path.unlink()
        elif entry.scheduler or starting:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.made)


def process_start(pid: int) -> str:
    """When a process started, as text that no later process with this pid has; empty when there is none."""
    try:
        # field 22 counts from boot; fields before it may hold any character in the parentheses
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return ""
    with contextlib.suppress(Exception):  # psutil comes with distributed; without it, or for a process that is gone: unknown
        import psutil

        return str(psutil.Process(pid).create_time())
    return ""


def call(entry: Entry, verb: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:
    """Ask a cluster to do something: ``scale`` (``n``, ``group``), ``adapt`` (``minimum``, ``maximum``, ``group``), ``close``, ``state``.

    Blocks for at most ``timeout`` seconds. Raises what the cluster raised (`RequestError`, `PlatformError`), `DeadlineError` when it does
    not answer, `PlatformError` when it is gone.
    """
    order = _order(entry, verb, arguments)
    try:
        with _connect(entry.control, timeout) as link:
            link.sendall(order)
            answer = link.makefile("rb").readline(_MOST)
    except TimeoutError as error:
        raise DeadlineError(f"The cluster {entry.name!r} did not answer within {timeout:g} seconds.", "Its kernel may be busy.") from error
    except OSError as error:
        raise _gone(entry) from error
    return _answer(entry, answer)


async def call_async(entry: Entry, verb: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:  # noqa: ASYNC109 - one deadline
    """`call` for an event loop."""
    import asyncio  # an analyst's process needs it later; the workers start sooner without

    order = _order(entry, verb, arguments)
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _open(entry.control)
            try:
                writer.write(order)
                await writer.drain()
                answer = await reader.readline()
            finally:
                writer.close()
    except TimeoutError as error:
        raise DeadlineError(f"The cluster {entry.name!r} did not answer within {timeout:g} seconds.", "Its kernel may be busy.") from error
    except OSError as error:
        raise _gone(entry) from error
    return _answer(entry, answer)


def _runtime() -> Path:
    try:
        from jupyter_core.paths import jupyter_runtime_dir
    except ImportError:
        written = os.environ.get("JUPYTER_RUNTIME_DIR")
        if written:
            return Path(written)
        data = os.environ.get("JUPYTER_DATA_DIR") or os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local/share")) + "/jupyter"
        return Path(data) / "runtime"
    return Path(jupyter_runtime_dir())


def _read(path: Path) -> Entry | None:
    try:
        raw = json.loads(path.read_text())
        held = Held(**raw.pop("held") | {})
        held = replace(held, gpus=tuple(held.gpus))
        adaptive = tuple(raw.pop("adaptive") or ()) or None
        return Entry(**raw | {"groups": tuple(raw.get("groups", ()))}, held=held, adaptive=adaptive)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        # half-written, or of another version: not ours to show
        return None


def _order(entry: Entry, verb: str, arguments: dict[str, Any]) -> bytes:
    return json.dumps({"token": entry.token, "do": verb, **arguments}).encode() + b"\n"


def _connect(control: str, timeout: float) -> socket.socket:
    if control.startswith("/"):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(timeout)
        link.connect(control)
        return link
    host, _, port = control.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


async def _open(control: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    import asyncio

    if control.startswith("/"):
        return await asyncio.open_unix_connection(control, limit=_MOST)
    host, _, port = control.rpartition(":")
    return await asyncio.open_connection(host, int(port), limit=_MOST)


def _gone(entry: Entry) -> PlatformError:
    return PlatformError(f"The cluster {entry.name!r} is gone.", "Make a new one.")


def _answer(entry: Entry, line: bytes) -> dict[str, Any]:
    if not line:
        raise _gone(entry)
    answer: dict[str, Any] = json.loads(line)
    if "error" not in answer:
        return answer
    kinds: dict[str, type[AfkitError]] = {kind.reason: kind for kind in RequestError.__subclasses__()}
    raise kinds.get(answer["error"], PlatformError)(answer["message"], answer["hint"])
