"""The process that holds a cluster: the first one in namespaces of its own. When it ends, everything in them ends with it.

Run by ``guardian`` under ``unshare``. It starts programs, collects what ends, and forwards ports, as it is asked on a
socket in the state folder (``control``); what to start and when is decided by whoever asks.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.kubernetes.layout import HIDDEN, NODE_ADDRESS, Layout

MESSAGE = 1 << 17
TUNABLES = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""Settings of the whole machine that a kubelet changes: it is given files of its own instead."""


@dataclass(slots=True)
class Program:
    """One program: how it is started, and the process while there is one."""

    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Holder:
    """Takes requests, each a JSON object (with ``do``), and answers each with one; an answer with ``error`` is a sentence."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.programs: dict[str, Program] = {}
        self._forwards: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: list[int] = []

    async def serve(self, ready: int) -> None:
        """Take requests for ever; says so on the descriptor ``ready`` first."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            os.chdir(self.layout.state)  # the path of a socket is short, that of a state folder need not be
            listener.bind(self.layout.control.name)
            listener.listen(64)
            listener.setblocking(False)
            os.write(ready, b"!")
            os.close(ready)
            while True:
                connection, _ = await loop.sock_accept(listener)
                task = asyncio.create_task(self._converse(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def reap(self) -> None:
        """Collect every process that has ended; orphans of all programs are ours."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for program in self.programs.values():
                    if program.process is not None and program.process.pid == ended[0]:
                        program.process.returncode = os.waitstatus_to_exitcode(ended[1])
                        program.ended.set()

    async def _converse(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection:
            while True:
                await readable(connection)
                content, descriptors, _, _ = socket.recv_fds(connection, MESSAGE, 1)
                if not content:
                    return
                try:
                    answer = await self._answer(json.loads(content), descriptors)
                except (OSError, ValueError, KeyError) as error:
                    answer = {"error": f"{type(error).__name__}: {error}"}
                with contextlib.suppress(BrokenPipeError):
                    await loop.sock_sendall(connection, json.dumps(answer).encode())

    async def _answer(self, asked: Mapping[str, Any], descriptors: list[int]) -> Mapping[str, Any]:
        match asked["do"]:
            case "start":
                return self.start(asked["name"], asked.get("command"), asked.get("environment"))
            case "signal":
                return self.signal(asked["name"], asked["number"])
            case "wait":
                await asyncio.wait_for(self.programs[asked["name"]].ended.wait(), asked["seconds"])
                return self.state()
            case "forward":
                return await self.forward(socket.socket(fileno=descriptors[0]), asked["host"], asked["port"])
            case "keep":
                # a lock that somebody took belongs to whoever has the file open
                self._kept += descriptors
                return {}
            case "state":
                return self.state()
        raise ValueError(f"unknown request {asked['do']!r}")

    def start(self, name: str, command: list[str] | None, environment: dict[str, str] | None) -> Mapping[str, Any]:
        """Start a program; without a command as it was started before. Its output is appended to its log."""
        program = self.programs.get(name)
        if program is not None and not program.ended.is_set():
            raise ValueError(f"{name} runs already")
        if command is not None:
            program = Program(command, environment or {})
        elif program is None:
            raise ValueError(f"{name} was never started")
        program.ended.clear()
        with (self.layout.logs / f"{name}.log").open("ab") as log:
            program.process = subprocess.Popen(
                program.command, env=program.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        self.programs[name] = program
        return {"pid": program.process.pid}

    def signal(self, name: str, number: int) -> Mapping[str, Any]:
        """Send a program a signal; one that has ended takes none."""
        program = self.programs[name]
        if program.process is not None and not program.ended.is_set():
            os.kill(program.process.pid, number)
        return {}

    def state(self) -> Mapping[str, Any]:
        """Every program with its number inside and, once it has ended, its exit code."""
        return {
            name: {"pid": program.process.pid, "code": program.process.returncode}
            for name, program in self.programs.items()
            if program.process is not None
        }

    async def forward(self, listener: socket.socket, host: str, port: int) -> Mapping[str, Any]:
        """Connect whoever comes to the listener, which is of the machine's network, to an address of the cluster's."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_connection(host, port)
            except OSError:
                writer.transport.abort()
                return
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
            far_writer.close()
            writer.close()

        listener.setblocking(False)
        self._forwards.append(await asyncio.start_server(connected, sock=listener))
        return {}


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes, and that no more comes; where either side breaks, break the other."""
    try:
        while content := await reader.read(1 << 16):
            writer.write(content)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


async def readable(connection: socket.socket) -> None:
    """Wait until something can be read."""
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()

    def tell() -> None:
        if not arrived.done():
            arrived.set_result(None)

    loop.add_reader(connection, tell)
    try:
        await arrived
    finally:
        loop.remove_reader(connection)


def prepare(layout: Layout) -> None:
    """Make the namespaces a place of our own: folders over the machine's, settings that nobody else sees, one network card."""
    run("mount", "--make-rshared", "/")
    for hidden, own in HIDDEN.items():
        run("mount", "--bind", str(layout.state / own), hidden)
        # else every mount in it is made a second time below the state folder, and what it covers cannot be removed
        run("mount", "--make-private", hidden)
        run("mount", "--make-shared", hidden)
    settings = layout.state / "settings"
    for name in TUNABLES:
        setting = Path("/proc/sys", name)
        if setting.exists():
            own_setting = settings / name.replace("/", ".")
            settings.mkdir(exist_ok=True)
            own_setting.write_text(setting.read_text())
            run("mount", "--bind", str(own_setting), str(setting))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    run("ip", "link", "set", "lo", "up")
    # no dummy device in every kernel: a pair whose other end stays here does as well
    run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node0p")
    run("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", "node0")
    run("ip", "link", "set", "node0p", "up")
    run("ip", "link", "set", "node0", "up")
    run("ip", "route", "add", "default", "via", NODE_ADDRESS, "dev", "node0")


def run(*command: str) -> None:
    """Run one command to its end; a failure ends the holder and says what failed."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    """``holder STATE READY``: hold the cluster of this state folder, and write to the descriptor READY once requests are taken."""
    layout = Layout(Path(arguments[0]))
    prepare(layout)
    asyncio.run(Holder(layout).serve(int(arguments[1])))
    return 0


def send(connection: socket.socket, message: Mapping[str, Any], descriptor: int | None = None) -> Mapping[str, Any]:
    """Ask a holder something and wait for its answer (the other side of ``Holder``)."""
    attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
    connection.sendmsg([json.dumps(message).encode()], attached)
    answer: Mapping[str, Any] = json.loads(connection.recv(MESSAGE) or b'{"error": "the holder has ended"}')
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
