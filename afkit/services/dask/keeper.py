"""Keeps every cluster as it is wanted: makes what is missing, scales, and sees to its end. One task for each cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from afkit.errors import AfkitError, DeadlineError, KubernetesError
from afkit.facility.model import Facility
from afkit.kube.pending import Pending, explain_refusal
from afkit.names import WANTED_ANNOTATION
from afkit.services.dask.decisions import End, Facts, Steps, end_of, steps_of, wanted_of
from afkit.services.dask.live import Live, Refusal
from afkit.services.dask.maker import Maker, worker_name
from afkit.services.dask.records import Group, Key, Record, is_over, is_server, record_of
from afkit.services.dask.scheduler import Schedulers
from afkit.services.dask.view import View

__all__ = ["Keeper"]

Object = Mapping[str, Any]
logger = logging.getLogger("afkit.services.dask")

LOOK: Final = 1.0
"""Seconds between two questions to a scheduler."""
DRAIN: Final = 30.0
_PAUSE: Final = 2.0
_KEPT: Final = 600.0
"""Seconds for which a cluster that has ended still says why."""
_QUICKLY: Final = 60.0
_TOO_OFTEN: Final = 3
"""So many workers of a cluster that end within a minute without being asked to make the next one wait."""
_LONGEST_WAIT: Final = 60.0
_LOG_LINES: Final = 20


class Keeper:
    """All clusters of the facility. ``current`` gives the facility as its file stands."""

    def __init__(self, view: View, maker: Maker, schedulers: Schedulers, current: Callable[[], Facility]) -> None:
        self._view = view
        self._maker = maker
        self._schedulers = schedulers
        self._current = current
        self.lives: dict[Key, Live] = {}
        self.ended: dict[tuple[str, str], Live] = {}
        """By owner and name: clusters that have ended not long ago."""
        self._tasks: set[asyncio.Task[None]] = set()
        view.on_pod(self._wake)
        view.roots.subscribe(self._root)
        view.pods.subscribe(self._server)

    # finding

    def records(self) -> list[Record]:
        """All clusters that are not on their way out."""
        return [live.record for live in self.lives.values() if live.ended is None]

    def find(self, owner: str, name: str) -> Live | None:
        """A person's cluster of that name, or one that has ended not long ago."""
        for live in self.lives.values():
            if live.record.owner == owner and live.record.name == name:
                return live
        live_ = self.ended.get((owner, name))
        return live_ if live_ is not None and time.monotonic() - live_.ended_at < _KEPT else None

    def of(self, owner: str) -> list[Live]:
        """A person's clusters, oldest first."""
        found = [live for live in self.lives.values() if live.record.owner == owner and live.ended is None]
        return sorted(found, key=lambda live: (live.record.made, live.record.name))

    # beginning

    def hold(self, record: Record) -> Live:
        """Count a cluster from now on, before anything of it is made."""
        live = Live(record)
        self.lives[record.key] = live
        self.ended.pop((record.owner, record.name), None)
        return live

    def drop(self, live: Live) -> None:
        """Nothing came of it."""
        if self.lives.get(live.record.key) is live:
            del self.lives[live.record.key]

    def tend(self, live: Live) -> None:
        """Look after a cluster from now on."""
        task = asyncio.create_task(self._tend(live), name=f"cluster {live.record.key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def resume(self) -> None:
        """Look after the clusters that a service before this one has made."""
        for root in list(self._view.roots.objects.values()):
            self._adopt(root)

    async def close(self) -> None:
        """Look after nothing any more; the clusters go on."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _adopt(self, root: Object) -> None:
        record = record_of(root)
        if record is not None and record.key not in self.lives and not record.deleting:
            live = self.hold(record)
            live.had_scheduler = record.phase == "Running"
            self.tend(live)

    def _root(self, change: str, root: Object) -> None:
        live = self.lives.get((root["metadata"]["namespace"], root["metadata"]["name"]))
        leaving = "deletionTimestamp" in root["metadata"]
        goes = change == "DELETED" or leaving
        if leaving and change != "DELETED":
            self._start(self._release(record_of(root)))
        if live is None or live.record.uid != root["metadata"].get("uid"):
            return
        if goes and live.ended is None:
            # Kubernetes collects it with its server, maybe before its own task looks
            deleted = End("deleted", "Somebody with rights in the cluster has deleted it, or the namespace goes.", "")
            live.ended = live.asked_to_end or end_of(live.record, self._facts(live)) or deleted
        live.wake.set()

    async def _release(self, record: Record | None) -> None:
        """Let go of a root that an operator would hold for ever."""
        if record is None or not record.finalizers:
            return
        with contextlib.suppress(KubernetesError, DeadlineError):
            await self._maker.release(record)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _server(self, change: str, pod: Object) -> None:
        """The clusters of a server that is gone look at once."""
        if change == "DELETED" and is_server(pod, self._current().name):
            for live in self.lives.values():
                if live.record.pod[1] == pod["metadata"]["uid"]:
                    live.wake.set()

    def _wake(self, key: Key) -> None:
        live = self.lives.get(key)
        if live is not None:
            live.wake.set()

    # looking after

    async def _tend(self, live: Live) -> None:
        while not live.gone:
            live.wake.clear()
            pause = LOOK
            try:
                await self._once(live)
            except AfkitError as error:
                logger.warning("cluster %s/%s: %s", *live.record.key, error)
                pause = _PAUSE
            except Exception:
                # a fault of ours in one cluster must not leave it alone, nor any other
                logger.exception("cluster %s/%s", *live.record.key)
                pause = _PAUSE
            live.refresh(self._view, self._current())
            if not live.gone:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await live.wake.wait()
                await asyncio.sleep(0.02)  # news of many pods come together

    async def _once(self, live: Live) -> None:
        if live.ended is not None:
            await self._finish(live)
            return
        if live.made is None and not await self._recover(live):
            return
        await self._ask(live)
        end = end_of(live.record, self._facts(live))
        if end is not None:
            await self.end(live, end)
            return
        for name in live.record.groups:
            await self._scale(live, name)

    def _facts(self, live: Live) -> Facts:
        scheduler = live.scheduler(self._view)
        live.had_scheduler = live.had_scheduler or scheduler is not None
        return Facts(time.time(), live.seen, live.answered, scheduler, live.had_scheduler, self._server_runs(live))

    def _server_runs(self, live: Live) -> bool:
        name, uid = live.record.pod
        pod = self._view.pods.objects.get((live.record.key[0], name))
        return pod is not None and pod["metadata"]["uid"] == uid and not is_over(pod)

    async def _recover(self, live: Live) -> bool:
        """After a restart: what the Secret keeps, and all that a service which died meanwhile did not come to make."""
        live.made = await self._maker.made(live.record)
        if live.made is None:
            await self.end(
                live, End("restart", "The facility's Dask service was begun anew while it was made.", "Make it again.", failed=True)
            )
            return False
        if not live.had_scheduler and live.scheduler(self._view) is None:
            await self._maker.beside([*live.made.beside, live.made.scheduler], {"metadata": _reference(live.record)})
        return True

    async def _ask(self, live: Live) -> None:
        """What the scheduler says, at most once a second."""
        pod = live.scheduler(self._view)
        host = (pod or {}).get("status", {}).get("podIP")
        now = time.monotonic()
        if not host or live.made is None or now - live.asked < LOOK * 0.9:
            return
        live.asked = now
        seen = await self._schedulers.state(host, live.made.token)
        if seen is None:
            return
        live.seen = seen
        if live.answered is None:
            live.answered = time.time()
            await self._maker.phase(live.record, "Running")

    # numbers

    async def numbers(self, live: Live, numbers: Mapping[str, tuple[int, int]]) -> None:
        """Other numbers of workers: group → low, high. They stand in the object before anything is done."""
        changed = {}
        for name, (low, high) in numbers.items():
            wanted = high if low == high else min(max(live.record.groups[name].wanted, low), high)
            changed[name] = (low, high, wanted)
            live.refusals.pop(name, None)
        await self._note(live, live.record.with_wanted(changed))
        live.stay = {}
        live.wake.set()
        live.refresh(self._view, self._current())

    async def _note(self, live: Live, record: Record) -> None:
        # counted at once, so that a second request does not see the room that this one takes
        before, live.record = live.record, record
        try:
            # one after the other, and always what counts by then: the last one written is what a service begun anew goes by
            async with live.noting:
                await self._maker.annotate(live.record, WANTED_ANNOTATION, live.record.wanted_note())
        except AfkitError:
            if live.record is record:
                live.record = before
            raise

    async def _scale(self, live: Live, name: str) -> None:
        # its owner may change the numbers whenever something is waited for: they are read anew each time
        await self._sweep(live, live.record.groups[name])
        group = live.record.groups[name]
        seen = live.seen.groups.get(name) if live.seen is not None else None
        wanted = wanted_of(group, seen)
        if wanted != group.wanted:
            await self._note(live, live.record.with_wanted({name: (group.low, group.high, wanted)}))
            group = live.record.groups[name]
        pods = [pod for pod in live.names(self._view, name) if pod not in live.retiring]
        await self._step(live, group, steps_of(group, pods, seen, live.seen.kept if live.seen is not None else frozenset()))

    async def _step(self, live: Live, group: Group, steps: Steps) -> None:
        if steps.make:
            await self._make(live, group, steps.make)
        if steps.remove:
            await self._remove(live, steps.remove, grace=1)
        if steps.retire and not live.retiring:
            live.retiring |= set(steps.retire)
            self._start(self._retire(live, list(steps.retire), DRAIN if steps.drain else None))

    async def _sweep(self, live: Live, group: Group) -> None:
        """Remove pods that have ended; those that nobody had asked to are counted."""
        over = [pod for pod in live.all_workers(self._view, group.name) if is_over(pod) and "deletionTimestamp" not in pod["metadata"]]
        for pod in over:
            name = pod["metadata"]["name"]
            if name not in live.leaving and name not in live.retiring:
                live.ends.append(time.monotonic())
                logger.info("a worker has ended unasked", extra={"pod": name, "namespace": live.record.key[0]})
                self._note_end(live, group, await self._last_words(pod))
            await self._maker.pod(pod, grace=0)

    async def _last_words(self, pod: Object) -> str:
        text = await self._maker.log(pod, _LOG_LINES)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""

    def _note_end(self, live: Live, group: Group, words: str) -> None:
        now = time.monotonic()
        live.ends = [at for at in live.ends if now - at < _QUICKLY]
        if len(live.ends) < _TOO_OFTEN:
            return
        wait = min(_LONGEST_WAIT, 2.0 ** (len(live.ends) - _TOO_OFTEN + 1))
        message = f"{len(live.ends)} workers have ended within a minute" + (f"; the last one said: {words}" if words else "") + "."
        why = Pending("ended", message, "Look at the logs, and whether the image has Dask in the same version.")
        live.refusals[group.name] = Refusal(why, time.time(), now + wait)

    async def _make(self, live: Live, group: Group, number: int) -> None:
        refusal = live.refusals.get(group.name)
        if live.made is None or (refusal is not None and time.monotonic() < refusal.again):
            return
        template = live.made.workers[group.name]
        names = [worker_name(live.record.key[1], group.name) for _ in range(number)]
        now = time.monotonic()
        live.making |= dict.fromkeys(names, now)
        root = {"metadata": _reference(live.record)}
        results = await asyncio.gather(*(self._maker.owned(template, root, name) for name in names), return_exceptions=True)
        failure = None
        for name, result in zip(names, results, strict=True):
            if isinstance(result, BaseException):
                live.making.pop(name, None)
                failure = result
        if failure is None:
            live.refusals.pop(group.name, None)
        elif isinstance(failure, KubernetesError):
            self._refused(live, group.name, failure)
        else:
            raise failure

    def _refused(self, live: Live, group: str, error: KubernetesError) -> None:
        known = live.refusals.get(group)
        times = known.times + 1 if known else 1
        wait = min(_LONGEST_WAIT, 2.0**times)
        why = explain_refusal(error, self._current().contact)
        # a quota may have room again by itself
        why = replace(why, final=why.final and why.code not in ("quota", "no-answer"))
        live.refusals[group] = Refusal(why, known.since if known else time.time(), time.monotonic() + wait, times)

    async def _remove(self, live: Live, names: tuple[str, ...], *, grace: int) -> None:
        live.leaving |= set(names)
        pods = [pod for pod in live.pods(self._view) if pod["metadata"]["name"] in names]
        await asyncio.gather(*(self._maker.pod(pod, grace=grace) for pod in pods))

    async def _retire(self, live: Live, names: list[str], drain: float | None) -> None:
        """Ask workers to go, and remove those that went; those that stay keep their work or their results."""
        try:
            pod = live.scheduler(self._view)
            host = (pod or {}).get("status", {}).get("podIP")
            if not host or live.made is None:
                return
            went, stay = await self._schedulers.retire(host, live.made.token, names, drain=drain)
            live.stay = stay
            unknown = {name for name, why in stay.items() if why == "unknown"}
            await self._remove(live, tuple(went | unknown), grace=5)
        except AfkitError as error:
            logger.warning("cluster %s/%s: %s", *live.record.key, error)
        finally:
            live.retiring -= set(names)
            live.wake.set()

    # ending

    async def end(self, live: Live, end: End) -> None:
        """End a cluster. Returns once everything of it is asked to go; where that fails it is tried again."""
        if live.ended is None:
            live.ended = end
            logger.info("cluster ends", extra={"namespace": live.record.key[0], "cluster": live.record.name, "why": end.reason})
        live.refresh(self._view, self._current())
        live.wake.set()
        await self._finish(live)

    async def close_down(self, live: Live, end: End) -> None:
        """End a cluster, and return once that stands in the API server: what is left of it is removed by its own task."""
        # the watch may tell that the root goes before the answer is here
        live.asked_to_end = live.asked_to_end or end
        await self._maker.close_down(live.record, live.pods(self._view))
        if live.ended is None:
            live.ended = end
            logger.info("cluster ends", extra={"namespace": live.record.key[0], "cluster": live.record.name, "why": end.reason})
        live.refresh(self._view, self._current())
        live.wake.set()

    async def _finish(self, live: Live) -> None:
        await self._maker.remove(live.record, live.pods(self._view))
        live.gone = True
        live.ended_at = time.monotonic()
        self.drop(live)
        self._forget()
        self.ended[live.record.owner, live.record.name] = live
        live.refresh(self._view, self._current())
        self._start(self._rest(live))

    async def _rest(self, live: Live) -> None:
        """Pods that were on their way in while the cluster went: they are asked to go too."""
        for _ in range(10):
            await asyncio.sleep(1)
            with contextlib.suppress(AfkitError):
                left = [pod for pod in live.pods(self._view) if "deletionTimestamp" not in pod["metadata"]]
                await asyncio.gather(*(self._maker.pod(pod, grace=1) for pod in left))

    def _forget(self) -> None:
        now = time.monotonic()
        self.ended = {key: live for key, live in self.ended.items() if now - live.ended_at < _KEPT}


def _reference(record: Record) -> dict[str, str]:
    return {"namespace": record.key[0], "name": record.key[1], "uid": record.uid}
