"""Counts what a scheduler sees while somebody measures: tasks, seconds, bytes, how busy its workers and itself are.

It looks only while it is asked to: a scheduler that nobody measures is not slowed down.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

__all__ = ["Gauge", "install"]

SAMPLE = 0.25
"""Seconds between two looks at workers and queues."""

MOST_GAUGES = 16
MOST_KEYS = 1_000_000
"""Keys that are remembered to see whether they are computed again."""


def install(scheduler: Any) -> None:
    """Let clients of this scheduler measure: ``afkit_measure()`` begins and returns an id, ``afkit_measure(id=…)`` ends it."""
    gauges: dict[str, Gauge] = {}

    async def measure(id: str | None = None) -> Any:
        if id is not None:
            gauge = gauges.pop(id, None)
            return None if gauge is None else gauge.stop()
        while len(gauges) >= MOST_GAUGES:  # whoever began them never came back
            gauges.pop(next(iter(gauges))).stop()
        fresh = uuid.uuid4().hex
        gauges[fresh] = Gauge(scheduler, fresh)
        return fresh

    scheduler.handlers["afkit_measure"] = measure


class Gauge(SchedulerPlugin):  # type: ignore[misc]  # Dask's classes have no types here
    """One measurement, from its making to `stop`."""

    def __init__(self, scheduler: Any, identifier: str) -> None:
        self.scheduler = scheduler
        self.name = f"afkit-measure-{identifier}"
        self._began = time.monotonic()
        self._cpu = time.thread_time()
        self._counts = dict.fromkeys(("tasks", "failed", "recomputed"), 0)
        self._sums = dict.fromkeys(("compute", "transfer", "bytes"), 0.0)
        self._done: set[Any] = set()
        self._samples: list[dict[str, float]] = []
        scheduler.add_plugin(self, name=self.name)
        self._sampling = asyncio.ensure_future(self._sample())

    def transition(self, key: Any, start: str, finish: str, *_: Any, **more: Any) -> None:
        """Called by Dask for every step of every task."""
        if finish == "forgotten":
            self._done.discard(key)
        elif start == "processing" and finish == "erred":
            self._counts["failed"] += 1
        elif start == "processing" and finish == "memory":
            self._finished(key, more)

    def _finished(self, key: Any, more: dict[str, Any]) -> None:
        self._counts["tasks"] += 1
        if key in self._done:
            self._counts["recomputed"] += 1
        elif len(self._done) < MOST_KEYS:
            self._done.add(key)
        self._sums["bytes"] += more.get("nbytes") or 0
        for step in more.get("startstops") or ():
            kind = step["action"]
            if kind in self._sums:
                self._sums[kind] += step["stop"] - step["start"]

    async def _sample(self) -> None:
        while True:
            self._samples.append(self._look())
            await asyncio.sleep(SAMPLE)

    def _look(self) -> dict[str, float]:
        threads = busy = waiting = 0
        cores = 0.0
        network: dict[str, float] = {}
        for state in self.scheduler.workers.values():
            threads += state.nthreads
            busy += min(len(state.processing), state.nthreads)
            waiting += max(0, len(state.processing) - state.nthreads)
            cores += float(state.metrics.get("cpu") or 0) / 100
            # several workers of one host see the same network
            read = (state.metrics.get("host_net_io") or {}).get("read_bps") or 0
            network[state.host] = max(network.get(state.host, 0.0), float(read))
        waiting += len(self.scheduler.queued) + len(self.scheduler.unrunnable)
        return {
            "workers": len(self.scheduler.workers),
            "threads": threads,
            "busy": busy,
            "waiting": waiting,
            "cores": cores,
            "network": sum(network.values()),
        }

    def stop(self) -> dict[str, Any]:
        """End, and say what was seen: sums over the time, and means of what was sampled. Seconds, bytes, bytes per second."""
        self._sampling.cancel()
        self.scheduler.remove_plugin(name=self.name)
        seconds = time.monotonic() - self._began
        samples = self._samples or [self._look()]
        return {
            "seconds": seconds,
            "scheduler": (time.thread_time() - self._cpu) / seconds if seconds else 0.0,
            **self._counts,
            **self._sums,
            **{key: sum(sample[key] for sample in samples) / len(samples) for key in samples[0]},
        }
