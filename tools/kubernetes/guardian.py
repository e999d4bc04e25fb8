"""The process beside a cluster: starts the holder in new namespaces, and tidies up when it has ended, for whatever reason.

``guardian STATE [LIFELINE]``. With a lifeline (a descriptor) the cluster ends as soon as whoever holds its other end does.
When the guardian itself is killed, the holder is too: it has asked the kernel for that.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tools.kubernetes import cgroups
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import Process, namespaces

ROOT = Path(__file__).resolve().parent.parent.parent
UNSHARE = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "-m",
    "-n",
    "-p",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
)
PATIENCE = 10.0
"""Seconds for the last process of a cgroup to be gone."""


def main(arguments: list[str]) -> int:
    """Hold one cluster until it ends."""
    layout = Layout(Path(arguments[0]))
    lifeline = int(arguments[1]) if len(arguments) > 1 else None
    lock = (layout.state / "guarded").open("w")  # held as long as this process lives: whoever ends the cluster looks at it
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    cgroups.make(layout.name)
    ready, told = os.pipe()
    command = [*UNSHARE, sys.executable, "-m", "tools.kubernetes.holder", str(layout.state), str(told)]
    unshare = subprocess.Popen(command, pass_fds=[told], stdin=subprocess.DEVNULL, cwd=ROOT)
    os.close(told)
    if os.read(ready, 1):
        write_down(layout, unshare.pid)
        print("ready", flush=True)
        wait(Process.of(child_of(unshare.pid)), lifeline)
    code = unshare.wait()
    deadline = time.monotonic() + PATIENCE
    while cgroups.remove(layout.name) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel tells nobody that a cgroup of version 1 is empty
    if lifeline is not None:
        shutil.rmtree(layout.state, ignore_errors=True)
    return code


def write_down(layout: Layout, unshare: int) -> None:
    """Note who holds the cluster, so that whoever ends it later ends nothing else."""
    holder = child_of(unshare)
    processes = {"guardian": os.getpid(), "unshare": unshare, "holder": holder}
    found = {name: process for name, pid in processes.items() if (process := Process.of(pid))}
    content = {"processes": {name: asdict(process) for name, process in found.items()}, "namespaces": namespaces(holder)}
    layout.holder.with_suffix(".new").write_text(json.dumps(content))
    layout.holder.with_suffix(".new").replace(layout.holder)


def child_of(pid: int) -> int:
    """The only child of a process with one thread."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def wait(holder: Process | None, lifeline: int | None) -> None:
    """Wait until the holder ends; end it where the lifeline is cut first."""
    if holder is None:
        return
    handle = os.pidfd_open(holder.pid)
    readable, _, _ = select.select([handle, *([lifeline] if lifeline is not None else [])], [], [])
    if handle not in readable:
        holder.send(signal.SIGKILL)
    os.close(handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
