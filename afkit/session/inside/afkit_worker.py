"""Dask's preload for the workers of a facility's cluster (``--preload /etc/afkit/afkit_worker.py``).

A worker first asks the scheduler whether it may work: with other versions than the session's, on another architecture, or where a CVMFS
repository does not answer, it stays out and says why. Told to stop (SIGTERM: its pod ends), it lets its results move before it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import platform
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = "AFKIT_CLUSTER_FOLDER"
PLACE = "/etc/afkit"
CVMFS = "/cvmfs"

AGAIN = 5.0
"""Seconds until a worker that is kept out asks again."""

SETTLE = 2.0
"""Seconds after which a worker is surely known to its scheduler."""

GRACE = 45.0
"""Seconds from SIGTERM until a worker goes, whatever became of its results: less than its pod is given."""

ANSWER = 20.0
"""Seconds that a CVMFS repository has to answer: the first look mounts it."""

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

log = logging.getLogger("distributed.afkit")
_tasks: set[asyncio.Task[Any]] = set()


def beside(name: str) -> ModuleType:
    """A module that is mounted with this one. Dask has copied this file elsewhere, so the folder's name is told."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _folder() / f"{name}.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _folder() -> Path:
    return Path(os.environ.get(FOLDER, PLACE))


async def dask_setup(worker: Any) -> None:
    """Called by Dask before the worker makes itself known to the scheduler: it does not where this does not return."""
    cluster = json.loads((_folder() / "cluster.json").read_text())
    worker.handlers["afkit_drain"] = lambda seconds=30.0: drained(worker, seconds)
    loop = asyncio.get_running_loop()
    # as long as it works for nobody there is nothing to hand over, and maybe no scheduler that would answer
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    versions: Any = beside("afkit_versions")
    what = {
        "name": str(worker.name),
        "group": os.environ.get("AFKIT_WORKER_GROUP", "default"),
        "versions": versions.versions(),
        "arch": MACHINES.get(platform.machine(), platform.machine()),
    }
    said: dict[str, str] = {}
    while True:
        problems = await unanswered(cluster.get("cvmfs") or ())
        answer = await _ask(worker, what | {"problems": problems})
        if not answer:
            loop.add_signal_handler(signal.SIGTERM, lambda: _later(leave(worker)))
            await take_modules(worker)
            return
        if answer != said:
            log.error("%s %s", answer.get("message", ""), answer.get("hint", ""))
        said = answer
        await asyncio.sleep(AGAIN)


async def take_modules(worker: Any) -> None:
    """Have the session's own modules as the scheduler has them now, and as it sends them from now on."""
    edited: Any = beside("afkit_modules")
    modules = edited.Modules(Path(worker.local_directory) / "afkit-modules")
    worker.handlers["afkit_modules"] = modules.put

    async def take() -> None:
        with contextlib.suppress(OSError):
            modules.put(await worker.scheduler.afkit_modules())

    async def again() -> None:
        # what was sent between the question and the moment when the scheduler knows this worker
        await asyncio.sleep(SETTLE)
        await take()

    await take()
    _later(again())


async def _ask(worker: Any, what: dict[str, Any]) -> dict[str, str]:
    """Ask the scheduler, which may not be there yet."""
    while True:
        try:
            answer: dict[str, str] = await worker.scheduler.afkit_join(**what)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            return answer


async def unanswered(repositories: Any) -> list[str]:
    """A sentence for each CVMFS repository that does not answer here. Asked in other processes: the question may hang for ever."""
    answers = await asyncio.gather(*(_answers(str(name)) for name in repositories))
    return [f"the CVMFS repository {name} {answer}" for name, answer in zip(repositories, answers, strict=True) if answer]


async def _answers(repository: str) -> str:
    # in a pod the variable has the names of its repositories; only where a plain folder stands for CVMFS, that folder
    said = os.environ.get("AFKIT_CVMFS", "")
    place = f"{said if said.startswith('/') else CVMFS}/{repository}"
    code = "import os, sys; sys.exit(not os.listdir(sys.argv[1]))"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", code, place, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        return "" if await asyncio.wait_for(child.wait(), ANSWER) == 0 else "cannot be read"
    except TimeoutError:
        # it may not die before the file system answers; nobody waits for it
        child.kill()
        return f"did not answer within {ANSWER:g} seconds"


async def drained(worker: Any, seconds: float) -> list[Any]:
    """Wait until nothing runs here, for so many seconds at most. Returns the keys of all results that are here then."""
    try:
        async with asyncio.timeout(seconds):
            while worker.state.executing or worker.state.long_running:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
    except TimeoutError:
        log.warning("Tasks still run after %g seconds; they start again elsewhere.", seconds)
    return list(worker.data)


async def leave(worker: Any) -> None:
    """Hand the results over, then close."""
    log.info("Told to stop: results move first.")
    try:
        async with asyncio.timeout(GRACE):
            await worker.scheduler.afkit_leave(name=str(worker.name), seconds=GRACE / 2)
    except (OSError, TimeoutError) as error:
        log.warning("Results could not be moved: %s", type(error).__name__)
    await worker.close(executor_wait=False, reason="afkit-told-to-stop")


def _later(work: Any) -> None:
    task = asyncio.ensure_future(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
