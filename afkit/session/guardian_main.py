"""The guardian: a small program that starts the workers of one cluster and ends them when the session's process is gone.

It is run by path (``python -I -S guardian_main.py FD PARENT FOLDER ENTRY``), uses the standard library alone, and is the parent of all
workers. Why it exists:

- a watching thread inside a worker cannot run while C code holds the interpreter's lock; this process always can;
- on Linux it adopts every process that a task has detached (``PR_SET_CHILD_SUBREAPER``), so that nothing gets away;
- it measures the workers' memory, as Dask's nanny would, without a second Python process for each worker.

It makes ``FOLDER`` (mode 0700: logs, spilled data, the control socket), so that there is no moment in which the folder exists and
nobody would remove it. It ends everything when the process that started it has ended, however that died (a ``pidfd``, where there
is one, the end of the socket, and a changed parent: a fork of the user's own code keeps the socket open), and then removes
``FOLDER`` and ``ENTRY``, the cluster's file in the registry.

Lines of JSON on the socket ``FD``. In: ``{"do": "write", "name", "content"}`` (a file in the folder),
``{"do": "start", "id", "argv", "env", "cwd", "memory"}``, ``{"do": "go"}`` (all workers may connect),
``{"do": "end", "id", "grace"}``, ``{"do": "limit", "id", "memory"}``, ``{"do": "quit", "grace"}``.
Out: ``{"ready": true}`` (the folder is there), ``{"failed": text}`` (this program ends), ``{"started": id, "pid"}``,
``{"ended": id, "code", "why"}``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

TICK = 0.2
"""Seconds between two looks at parent, memory and logs."""

LOG_MOST = 4 << 20
"""Bytes that the log of one worker may grow to; then only its last 64 KiB are kept."""

LOG_KEEP = 64 << 10
OOM_SCORE = 300
"""Added to the workers' badness (Linux), so that the kernel's killer takes a worker before the notebook."""


class Child:
    """A worker process: its pid, the pipe that holds it, and when it has to be gone."""

    def __init__(self, name: str, pid: int, pipe: int, log: str, memory: int) -> None:
        self.name = name
        self.pid = pid
        self.pipe = pipe
        self.log = log
        self.memory = memory
        self.kill_at = float("inf")
        self.why = ""


class Guardian:
    """The program's state. One thread, one loop."""

    def __init__(self, descriptor: int, parent: int, folder: str, entry: str) -> None:
        self.socket = socket.socket(fileno=descriptor)
        # workers and their children must not keep it open
        self.socket.set_inheritable(False)
        self.parent = parent
        self.folder = folder
        self.entry = entry
        self.buffer = b""
        self.children: dict[int, Child] = {}
        self.going = False
        self.adopted = False
        self.ended = False
        self.page = os.sysconf("SC_PAGE_SIZE")

    def run(self) -> None:
        """Serve until the parent is gone or says ``quit``; then nothing that was started here is left."""
        try:
            self.prepare()
            self.serve()
        except OSError as error:
            self.say({"failed": f"{error.strerror}: {error.filename}" if error.filename else str(error)})
            raise
        finally:
            self.clear()

    def prepare(self) -> None:
        """Make the folder; what this program itself has to complain of goes there."""
        os.mkdir(self.folder, 0o700)  # noqa: PTH102 - pathlib would double the start of this program
        output = os.open(f"{self.folder}/new.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # held for as long as this program lives, and before the file has the name that is looked for: see forgotten
        fcntl.flock(output, fcntl.LOCK_EX)
        os.rename(f"{self.folder}/new.log", f"{self.folder}/guardian.log")  # noqa: PTH104 - see above
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        self.say({"ready": True})

    def serve(self) -> None:
        """The loop: orders, ended workers, and a look at everything each `TICK`."""
        wake = wakeup()
        answers: dict[int, Callable[[], None]] = {self.socket.fileno(): self.read, wake: lambda: drain(wake)}
        watch = pidfd(self.parent)
        if watch is not None:
            answers[watch] = self.orphaned
        poll = select.poll()
        for descriptor in answers:
            poll.register(descriptor, select.POLLIN)
        next_look = 0.0
        while not self.ended and os.getppid() == self.parent:
            for descriptor, _ in poll.poll(TICK * 1000):
                answers[descriptor]()
            self.reap()
            now = time.monotonic()
            if now >= next_look:
                next_look = now + TICK
                self.look(now)

    def orphaned(self) -> None:
        """The session's process is gone."""
        self.ended = True

    def read(self) -> None:
        """Take what the session's process sent; its end means that it is gone."""
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.orphaned()
            return
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order."""
        verbs = {"write": self.write, "start": self.start, "go": self.go, "end": self.end, "limit": self.limit, "quit": self.quit}
        verbs[order["do"]](order)

    def write(self, order: dict[str, Any]) -> None:
        """Write a file of the folder, for the workers to read."""
        descriptor = os.open(f"{self.folder}/{order['name']}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(order["content"], file)

    def go(self, _: dict[str, Any]) -> None:
        """Let the workers connect, those that there are and those to come."""
        self.going = True
        for child in self.children.values():
            release(child)

    def limit(self, order: dict[str, Any]) -> None:
        """Change the bytes at which a worker is ended."""
        for child in self.children.values():
            child.memory = order["memory"] if child.name == order["id"] else child.memory

    def quit(self, order: dict[str, Any]) -> None:
        """End all workers, with ``grace`` seconds for an end of their own."""
        for child in self.children.values():
            self.stop(child, order["grace"])
        until = time.monotonic() + order["grace"]
        while self.children and time.monotonic() < until:
            time.sleep(0.005)
            self.reap()
        self.ended = True

    def start(self, order: dict[str, Any]) -> None:
        """Start one worker in a session of its own; its standard input is the pipe that tells it that this process lives."""
        read, write = os.pipe()
        log = f"{self.folder}/{order['id']}.log"
        pid = os.fork()
        if pid == 0:
            become(order, read, log)
        os.close(read)
        if not self.adopted:
            # after the first worker, whose start it would hold up
            self.adopted = True
            adopt()
        child = Child(order["id"], pid, write, log, order["memory"])
        self.children[pid] = child
        if self.going:
            release(child)
        self.say({"started": child.name, "pid": pid})

    def end(self, order: dict[str, Any]) -> None:
        """Ask one worker to stop; after ``grace`` seconds it is killed with all of its group."""
        for child in self.children.values():
            if child.name == order["id"]:
                self.stop(child, order["grace"])

    def stop(self, child: Child, grace: float) -> None:
        """Ask a worker to stop, and note when it is killed."""
        child.kill_at = min(child.kill_at, time.monotonic() + grace)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGTERM if grace > 0 else signal.SIGKILL)

    def reap(self) -> None:
        """Collect what has ended; what a dead worker left in its group is killed."""
        for pid in list(self.children):
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                done, status = pid, -signal.SIGKILL
            if done == 0:
                continue
            child = self.children.pop(pid)
            kill_group(pid)
            os.close(child.pipe)
            self.say({"ended": child.name, "code": os.waitstatus_to_exitcode(status), "why": child.why})
        if not self.children or sys.platform != "linux":
            return
        # adopted processes (their own parents are gone) must not stay as zombies
        with contextlib.suppress(ChildProcessError):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None and ended.si_pid not in self.children:
                os.waitpid(ended.si_pid, os.WNOHANG)

    def look(self, now: float) -> None:
        """Enforce the memory limits, the time for stopping and the size of logs."""
        for child in list(self.children.values()):
            if now >= child.kill_at:
                kill_group(child.pid)
            used = self.memory(child.pid) if child.memory else 0
            if used > child.memory:
                child.why = f"it used {used >> 20} MiB of memory, more than the {child.memory >> 20} MiB at which a worker is ended"
                kill_group(child.pid)
            with contextlib.suppress(OSError):
                shorten(child.log)

    def memory(self, pid: int) -> int:
        """Resident bytes of a process; 0 where this machine does not say."""
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - see above
                return int(file.read().split()[1]) * self.page
        except (OSError, IndexError, ValueError):
            return 0

    def clear(self) -> None:
        """Kill all descendants, also those that left their group, then remove what the cluster had on disk."""
        until = time.monotonic() + 3
        while time.monotonic() < until:
            left = descendants(os.getpid())
            if not left and not self.children:
                break
            for pid in [*self.children, *left]:
                kill_group(pid)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
            while True:
                try:
                    pid, _ = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    self.children.clear()
                    break
                if pid == 0:
                    break
                self.children.pop(pid, None)
        with contextlib.suppress(OSError):
            os.unlink(self.entry)  # noqa: PTH108 - see above
        import shutil

        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in forgotten(os.path.dirname(self.folder)):  # noqa: PTH120 - see above
            shutil.rmtree(folder, ignore_errors=True)

    def say(self, fact: dict[str, Any]) -> None:
        """Tell the session's process; that it is gone is noticed elsewhere."""
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(fact).encode() + b"\n")


def become(order: dict[str, Any], read: int, log: str) -> None:
    """Turn this fork into the worker. Never returns."""
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(read, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - see above
            file.write(str(OOM_SCORE))
        with contextlib.suppress(OSError):
            os.chdir(order["cwd"])
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - that is what this program is for
    except OSError as error:
        os.write(2, f"{order['argv'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def release(child: Child) -> None:
    """Let a worker connect: the scheduler's address is written down."""
    with contextlib.suppress(OSError):
        os.write(child.pipe, b"go\n")


def shorten(log: str) -> None:
    """Keep only the end of a log that has grown too large (workers append, so they go on behind it)."""
    if os.stat(log).st_size > LOG_MOST:  # noqa: PTH116 - see above
        with open(log, "r+b") as file:  # noqa: PTH123 - see above
            file.seek(-LOG_KEEP, os.SEEK_END)
            end = file.read()
            file.seek(0)
            file.write(end)
            file.truncate()


def forgotten(place: str) -> list[str]:
    """Folders beside ours whose guardian was killed together with its session: this user's, and nobody holds their lock."""
    found = []
    for name in os.listdir(place):  # noqa: PTH208 - see above
        folder = f"{place}/{name}"
        if not name.startswith("afkit-"):
            continue
        with contextlib.suppress(OSError):
            lock = os.open(f"{folder}/guardian.log", os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(lock, "rb") as file:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    found.append(folder)
    return found


def kill_group(pid: int) -> None:
    """Kill a worker's whole process group; that it is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """All processes below ``root``, from ``/proc``; without ``/proc`` an empty list (then groups alone are killed)."""
    parents: dict[int, int] = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - see above
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - see above
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    found: list[int] = []
    level = {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += level
    return found


def wakeup() -> int:
    """A descriptor that becomes readable when a child has ended."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def drain(descriptor: int) -> None:
    """Empty the descriptor of `wakeup`."""
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)


def pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, where the system has such things."""
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return int(opener(pid))
    except OSError:
        return None


def adopt() -> None:
    """Become the parent of every orphan below (Linux: ``PR_SET_CHILD_SUBREAPER`` = 36). Elsewhere groups must do."""
    if sys.platform == "linux":
        with contextlib.suppress(Exception):  # no libc by that name, no ctypes: the groups are killed all the same
            import ctypes

            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Guardian(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]).run()
