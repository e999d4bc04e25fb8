"""The program of one worker process on this machine: ``PYTHON worker_main.py FOLDER NAME``.

It is run by path, because the workers' interpreter need not have afkit. It starts importing Dask at once and connects when its
parent, the guardian, says ``go`` on standard input; then it reads ``FOLDER/common.json`` (the scheduler's address, Dask settings)
and ``FOLDER/NAME.json`` (threads, memory, resources).

A thread of its own sees when the guardian is gone (the pipe's end, or a changed parent) and kills this process with its group,
children of tasks included.
"""

from __future__ import annotations

import sys

# run by path: this folder's own modules must not hide others
sys.path[0] = ""

import json  # noqa: E402 - see above
import os  # noqa: E402 - see above
import select  # noqa: E402 - see above
import signal  # noqa: E402 - see above
import threading  # noqa: E402 - see above
from typing import Any  # noqa: E402 - see above

LOOK = 0.5
"""Seconds between two looks at the parent."""


def watch(pipe: int, parent: int, go: threading.Event) -> None:
    """Wait for the word ``go``; when the guardian is gone, kill this process and its group."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while os.getppid() == parent:
        if poll.poll(LOOK * 1000):
            if not os.read(pipe, 64):
                break
            go.set()
    os.killpg(0, signal.SIGKILL)


def peers() -> Any:
    """The module beside this one that lets only this user in; by its path, for afkit need not be installed here."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("afkit_peers", os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.py"))  # noqa: PTH100, PTH118, PTH120 - see main
    module = module_from_spec(spec)  # type: ignore[arg-type]  # the file is there
    spec.loader.exec_module(module)  # type: ignore[union-attr]  # the file is there
    return module


def serve(common: dict[str, Any], own: dict[str, Any]) -> None:
    """Run Dask's worker until the scheduler or the guardian ends it."""
    import asyncio
    import atexit

    import dask
    from distributed import Worker

    guarded = peers().guarded

    settings = common["settings"]
    dask.config.update(dask.config.config, settings, priority="new")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        worker = guarded(Worker)(common["address"], host="127.0.0.1", dashboard=False, local_directory=common["local_directory"], **own)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: asyncio.ensure_future(worker.close(timeout=1, executor_wait=False, reason="stopped")))
        await worker
        await worker.finished()
        # what libraries have registered for the end is run; taking the interpreter itself down costs a third of a second, for nothing
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    asyncio.run(run())


def main(folder: str, name: str) -> None:
    """Start watching, import, wait for the word, serve."""
    import faulthandler

    faulthandler.enable()
    parent = os.getppid()
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    go = threading.Event()
    threading.Thread(target=watch, args=(pipe, parent, go), name="afkit-watch", daemon=True).start()
    with open(os.path.join(folder, "launch.json")) as file:  # noqa: PTH118, PTH123 - pathlib is imported by Dask, later
        launch = json.load(file)
    if launch["path"] is not None:
        sys.path[:] = launch["path"]
    import distributed  # noqa: F401 - while the session's process still imports it too

    go.wait()
    with open(os.path.join(folder, "common.json")) as file:  # noqa: PTH118, PTH123 - see above
        common = json.load(file)
    with open(os.path.join(folder, f"{name}.json")) as file:  # noqa: PTH118, PTH123 - see above
        own = json.load(file)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    serve(common, own)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
