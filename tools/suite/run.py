"""Runs stages in lanes, each in a process group of its own, and keeps what each printed in a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.suite.reaper import HASTE
from tools.suite.stages import Stage

Outcome = Literal["good", "failed", "left out"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a stage ended.

    ``began`` counts from the start of the run, ``seconds`` is the time that it took, ``cpu`` the processor seconds that it
    used with all its processes; ``log`` has all that it printed.
    """

    stage: Stage
    outcome: Outcome
    began: float
    seconds: float
    cpu: float
    log: Path
    last: str


class Lanes:
    """Runs stages, at most ``lanes`` at a time; idle and waiting ones take no lane, one that is alone takes all of them."""

    def __init__(self, lanes: int, folder: Path, deadline: float, haste: float = HASTE) -> None:
        self.lanes = lanes
        self.haste = haste
        self.folder = folder
        self.deadline = deadline
        self.started = time.monotonic()
        self.results: dict[str, Result] = {}
        self._free = lanes
        self._active = 0
        self._changed = asyncio.Condition()
        self._running: set[asyncio.subprocess.Process] = set()

    async def run(self, stages: Sequence[Stage]) -> tuple[Result, ...]:
        """Run all stages; returns their results in the order of the stages."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        tasks = []
        waiting = list(stages)
        while waiting:
            async with self._changed:
                await self._changed.wait_for(lambda: self._next(waiting) is not None)
                stage = self._next(waiting)
                assert stage is not None
                waiting.remove(stage)
                self._free -= self._width(stage)
                self._active += 1
            tasks.append(asyncio.create_task(self._one(stage)))
        await asyncio.gather(*tasks)
        return tuple(self.results[stage.name] for stage in stages)

    def stop(self) -> None:
        """End everything that runs, and start nothing more."""
        self.deadline = 0
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    def _width(self, stage: Stage) -> int:
        return 0 if stage.idle or stage.waits else self.lanes if stage.alone else 1

    def _next(self, waiting: Sequence[Stage]) -> Stage | None:
        """The first stage, in their order, whose predecessors have ended and for which there is room."""
        for stage in waiting:
            room = self._active == 0 if stage.alone else self._width(stage) <= self._free
            if room and all(name in self.results for name in stage.after):
                return stage
        return None

    async def _one(self, stage: Stage) -> None:
        began = time.monotonic() - self.started
        log = self.folder / f"{stage.name}.log"
        outcome = await self._outcome(stage, log)
        result = Result(stage, outcome, began, time.monotonic() - self.started - began, cpu_seconds(log), log, last_line(log))
        print(f"{result.outcome:>8}  {stage.name:<16} {result.seconds:6.1f} s  {result.last}", flush=True)
        if outcome == "failed":
            print(log.read_text(errors="replace"), flush=True)
        async with self._changed:
            self.results[stage.name] = result
            self._free += self._width(stage)
            self._active -= 1
            self._changed.notify_all()

    def _needless(self, stage: Stage, log: Path) -> Outcome | None:
        """How a stage that is not run ends; None where it is to be run."""
        if stage.needs and not any(Path(stage.needs).rglob("test_*.py")):
            log.write_text(f"nothing in {stage.needs}\n")
            return "left out"
        if self._left() <= 0 or any(self.results[name].outcome == "failed" for name in stage.after):
            log.write_text("not run: " + ("no time is left" if self._left() <= 0 else "a stage that it needs failed") + "\n")
            return "failed"
        return None

    def _left(self) -> float:
        return self.deadline - (time.monotonic() - self.started)

    async def _outcome(self, stage: Stage, log: Path) -> Outcome:
        needless = self._needless(stage, log)
        if needless is not None:
            return needless
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-m",
                    "tools.suite.reaper",
                    str(log.with_suffix(".cpu")),
                    *([f"--idle={self.haste}"] if stage.idle else []),
                    *stage.command,
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **stage.environment},
                start_new_session=True,
            )
            self._running.add(process)
            try:
                await asyncio.wait_for(process.wait(), self._left())
            except TimeoutError:
                process.terminate()
                await process.wait()
                out.write(b"\nended: the whole run was out of time\n")
                return "failed"
            finally:
                self._running.discard(process)
        return "good" if process.returncode == 0 else "failed"


def cpu_seconds(log: Path) -> float:
    """What the stage of this log used, as its parent wrote it down; 0 where it was not run to its end."""
    used = log.with_suffix(".cpu")
    return float(used.read_text()) if used.exists() else 0.0


def last_line(log: Path) -> str:
    """The last line that says something, for the table."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip("= ")[:100] if lines else ""
