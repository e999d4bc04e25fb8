"""Where requests are judged and carried out: the same resolver as the hub's, then the objects."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any, Final

from afkit.errors import AfkitError, IncompatibleError, KubernetesError, PlatformError, RequestError, UnknownChoiceError
from afkit.facility.model import Facility, Pool
from afkit.kube.nodes import NodeUse, nodes_of
from afkit.kube.pending import explain_refusal
from afkit.names import CHOICE_ANNOTATION
from afkit.pods.daskcluster import ClusterObjects, cluster_objects, object_name
from afkit.pods.person import Person
from afkit.pods.server_person import person_from_pod
from afkit.policy.cluster import ClusterPlan, decide_cluster, decide_numbers
from afkit.policy.cluster_ask import ClusterAsk, parse_cluster, parse_numbers
from afkit.policy.model import Entitlements, Inventory, Offer, PoolState, Selection, Usage
from afkit.policy.offer import offer
from afkit.policy.select import select
from afkit.policy.text import quoted
from afkit.services.dask.callers import Caller, Callers, server_of
from afkit.services.dask.certificates import certify
from afkit.services.dask.decisions import End
from afkit.services.dask.keeper import Keeper
from afkit.services.dask.live import Live
from afkit.services.dask.maker import Made, Maker
from afkit.services.dask.records import Key, record_of, server_name, usage_of
from afkit.services.dask.refusal import NoClusterError
from afkit.services.dask.view import View

__all__ = ["Desk", "programs"]

logger = logging.getLogger("afkit.services.dask")

_PLENTY: Final = 10**6
_MOST_LINES: Final = 2000


def programs() -> Mapping[str, str]:
    """What runs in the pods beside Dask, as text: it belongs to the session, and nothing of it runs here."""
    folder = files("afkit.session").joinpath("inside")
    return {one.name: one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".py") and one.name != "__init__.py"}


class Desk:
    """Everything that a request leads to."""

    def __init__(self, view: View, callers: Callers, keeper: Keeper, maker: Maker, current: Callable[[], Facility]) -> None:
        self.current = current
        self._view = view
        self._callers = callers
        self._keeper = keeper
        self._maker = maker
        self._programs = programs()

    async def caller(self, header: str) -> Caller:
        """Whoever has sent this ``Authorization``."""
        return await self._callers.caller(self.current(), header)

    def find(self, caller: Caller, name: str) -> Live:
        """The caller's cluster of that name. Raises `NoClusterError`."""
        live = self._keeper.find(caller.owner, name)
        if live is None:
            raise NoClusterError
        return live

    def running(self, caller: Caller, name: str) -> Live:
        """The same, of those that have not ended."""
        live = self.find(caller, name)
        if live.ended is not None:
            raise NoClusterError
        return live

    def all(self, caller: Caller) -> list[dict[str, Any]]:
        """The caller's clusters as they look."""
        return [self.state(live) for live in self._keeper.of(caller.owner)]

    def state(self, live: Live) -> dict[str, Any]:
        """How a cluster looks to its owner."""
        return live.state(self._view, self.current())

    # making

    async def create(self, caller: Caller, body: object) -> tuple[dict[str, Any], bool]:
        """A cluster as it looks, and whether this call made it."""
        facility = self.current()
        ask = parse_cluster(body)
        if ask.dry_run:
            return await self._tried(facility, caller, ask), False
        known = self._keeper.find(caller.owner, ask.name)
        if known is not None and (known.ended is None or known.record.id == ask.id):
            return self._again(known, ask), False
        pod = server_of(self._view, facility, caller, ask.server)
        entitlements = await self._callers.entitlements(facility, caller)
        whole = await self._server(pod)
        person = person_from_pod(whole, entitlements)
        # no wait from here until it is held: two requests at once never see the same room
        known = self._keeper.find(caller.owner, ask.name)
        if known is not None and known.ended is None:
            return self._again(known, ask), False
        plan = self._decide(facility, entitlements, caller, whole, ask)
        objects = self._objects(facility, plan, person, whole)
        return await self._make(facility, objects), True

    def _again(self, live: Live, ask: ClusterAsk) -> dict[str, Any]:
        if live.record.id != ask.id:
            raise IncompatibleError(
                f"There is a cluster {quoted(ask.name)} already.", f'Use it: afkit.connect("{ask.name}"), or leave name out.', field="name"
            )
        return self.state(live)

    async def _tried(self, facility: Facility, caller: Caller, ask: ClusterAsk) -> dict[str, Any]:
        pod = server_of(self._view, facility, caller, ask.server)
        entitlements = await self._callers.entitlements(facility, caller)
        whole = await self._server(pod)
        plan = self._decide(facility, entitlements, caller, whole, ask)
        objects = self._objects(facility, plan, person_from_pod(whole, entitlements), whole)
        record = record_of(objects.root)
        if record is None:
            raise PlatformError("The plan of this cluster cannot be read back.", "")
        state = Live(record).state(self._view, facility)
        shown = [_without_secrets(one) for one in objects.all()]
        return {**state, "objects": shown, "expected_s": None, "capacity": self._capacity(self._offer(facility, entitlements, caller))}

    async def _server(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        """The server's pod as the API server has it now: what it runs as is not in the view."""
        about = pod["metadata"]
        found = await self._view.kube.find("Pod", about["name"], about["namespace"])
        if found is None or found["metadata"]["uid"] != about["uid"]:
            raise PlatformError("The server that asks is just ending.", "Start it again.")
        return found

    def _decide(
        self, facility: Facility, entitlements: Entitlements, caller: Caller, pod: Mapping[str, Any], ask: ClusterAsk
    ) -> ClusterPlan:
        server = self._selection(facility, entitlements, pod)
        try:
            plan = decide_cluster(self._offer(facility, entitlements, caller), server, replace(ask, server=server.server))
        except RequestError as error:
            logger.info("refused", extra={"user": caller.name, "cluster": ask.name, "reason": error.reason, "sentence": error.message})
            raise
        logger.info("granted", extra={"user": caller.name, "cluster": ask.name, "facility": facility.digest})
        return plan

    def _selection(self, facility: Facility, entitlements: Entitlements, pod: Mapping[str, Any]) -> Selection:
        """The choice that the asking server was made from, judged anew: what a person has lost since then counts for nothing."""
        about = pod["metadata"]
        try:
            chosen = json.loads((about.get("annotations") or {})[CHOICE_ANNOTATION])
        except (KeyError, ValueError):
            raise IncompatibleError(
                "This server is from before the facility had Dask clusters.", "Stop it and start it again.", field="server"
            ) from None
        # it runs: whether there is room for it is no question any more
        there = Inventory({name: PoolState(free=_PLENTY) for name in facility.pools})
        return select(offer(facility, entitlements, there, Usage()), chosen, server_name(pod))

    def _offer(self, facility: Facility, entitlements: Entitlements, caller: Caller, without: Key | None = None) -> Offer:
        records = [record for record in self._keeper.records() if record.key != without]
        usage = usage_of(facility, self._view.pods.objects.values(), records, caller.owner)
        return offer(facility, entitlements, self._view.stock.inventory(facility), usage)

    def _objects(self, facility: Facility, plan: ClusterPlan, person: Person, pod: Mapping[str, Any]) -> ClusterObjects:
        material = certify(object_name(facility, person.owner, plan.ask.name), person.namespace, plan.lifetime, self._programs)
        about = pod["metadata"]
        owner = None if plan.ask.life == "detached" else {"name": about["name"], "uid": about["uid"]}
        return cluster_objects(facility, plan, person, material, made=int(time.time()), owner=owner)

    async def _make(self, facility: Facility, objects: ClusterObjects) -> dict[str, Any]:
        record = record_of(objects.root)
        if record is None:
            raise PlatformError("The plan of this cluster cannot be read back.", "")
        live = self._keeper.hold(record)
        try:
            root, ours = await self._maker.root(objects.root)
            found = record_of(root)
            if found is None or found.owner != record.owner or found.id != record.id or found.deleting:
                raise IncompatibleError(
                    "A cluster of this name is just ending.", "Take another name, or try again in a moment.", field="name"
                )
        except BaseException as error:
            self._keeper.drop(live)
            if isinstance(error, KubernetesError):
                raise self._failure(facility, error) from error
            raise
        # its owner may have changed the numbers since: those count
        live.record = found if live.record is record else replace(found, groups=live.record.groups)
        if ours:
            await self._make_beside(facility, live, objects, root)
        self._keeper.tend(live)
        return self.state(live)

    async def _make_beside(self, facility: Facility, live: Live, objects: ClusterObjects, root: Mapping[str, Any]) -> None:
        """What the root owns; where that is refused, the cluster ends with the cause."""
        live.made = _made(objects)
        try:
            await self._maker.beside([*objects.beside, objects.scheduler], root)
        except KubernetesError as error:
            failure = self._failure(facility, error)
            await self._keeper.end(live, End("refused", failure.message, failure.hint, failed=True))
            raise failure from error

    def _failure(self, facility: Facility, error: KubernetesError) -> AfkitError:
        """Why the API server did not take an object of the cluster."""
        if error.status == 404 and error.kind == "DaskCluster":
            return PlatformError(
                "This Kubernetes does not know DaskCluster objects yet.", "The administrators have to apply what `afkit render` writes."
            )
        if error.status == 403 and " cannot " in error.message:
            return PlatformError(
                "The facility's Dask service has no rights in your namespace yet.",
                "Stop your server and start it again; then try once more.",
            )
        why = explain_refusal(error, facility.contact)
        return PlatformError(f"The cluster could not be made. {why.sentence}", why.hint)

    # changing

    async def change(self, caller: Caller, name: str, body: object) -> dict[str, Any]:
        """Other numbers of workers: all of them, or none."""
        numbers = parse_numbers(body)
        facility = self.current()
        live = self.running(caller, name)
        entitlements = await self._callers.entitlements(facility, caller)
        unknown = next((one.name for one in numbers if one.name not in live.record.groups), None)
        if unknown is not None:
            known = ", ".join(live.record.groups)
            raise UnknownChoiceError(f"The cluster has no group {quoted(unknown)}.", f"It has {known}.", field="groups")
        said = {one.name: one for one in numbers}
        asked = [
            (group.name, group.pool, group.cpu, group.memory, group.gpus, said[group.name].high if group.name in said else group.high)
            for group in live.record.groups.values()
        ]
        left = self._offer(facility, entitlements, caller, without=live.record.key)
        decide_numbers(left, live.record.profile, live.record.scheduler, asked)
        await self._keeper.numbers(live, {one.name: (one.low, one.high) for one in numbers})
        return self.state(live)

    async def delete(self, caller: Caller, name: str, identifier: str = "") -> None:
        """End a cluster (with an id: that one, and no later one of its name); the answer does not wait for its pods."""
        live = self.running(caller, name)
        if identifier and live.record.id != identifier:
            raise NoClusterError
        await self._keeper.close_down(live, End("closed", "It was closed.", ""))

    # telling

    async def access(self, caller: Caller, name: str) -> dict[str, Any]:
        """What connects to a cluster."""
        live = self.running(caller, name)
        made = live.made or await self._maker.made(live.record)
        if made is None:
            raise NoClusterError
        state = self.state(live)
        return {**{key: state[key] for key in ("name", "id", "address", "dashboard")}, **made.access}

    async def logs(self, caller: Caller, name: str, lines: int) -> dict[str, Any]:
        """The last lines of scheduler and workers."""
        live = self.running(caller, name)
        lines = min(max(lines, 1), _MOST_LINES)
        scheduler = live.scheduler(self._view)
        workers = {}
        for group in live.record.groups:
            for pod in live.all_workers(self._view, group):
                workers[pod["metadata"]["name"]] = await self._maker.log(pod, lines)
        return {"scheduler": await self._maker.log(scheduler, lines) if scheduler else "", "workers": workers}

    async def capacity(self, caller: Caller) -> dict[str, Any]:
        """What exists now of the pools, and what the caller's limits leave."""
        facility = self.current()
        return self._capacity(self._offer(facility, await self._callers.entitlements(facility, caller), caller))

    def _capacity(self, offered: Offer) -> dict[str, Any]:
        left, facility = offered.remaining, offered.facility
        nodes = self._view.stock.nodes()
        pools = {}
        for name in sorted(
            {entry.name for profile in facility.profiles.values() for entry in (profile.dask.pools if profile.dask else ())}
        ):
            pool, state = facility.pools[name], offered.inventory.pools.get(name, PoolState())
            pools[name] = {"title": pool.title, "arch": pool.arch, "available": state.available, "why": state.why}
            pools[name]["free"] = None if nodes is None else _free(pool, nodes, state)
        return {
            "pools": pools,
            "left": {
                "clusters": left.clusters,
                "workers": left.workers,
                "cpu": left.cpu,
                "memory": left.memory,
                "accelerators": dict(left.accelerators),
            },
        }


def _free(pool: Pool, nodes: tuple[NodeUse, ...], state: PoolState) -> dict[str, Any]:
    usable = [node for node in nodes_of(pool, nodes) if node.usable]
    return {
        "cpu": sum(node.free("cpu") for node in usable),
        "memory": sum(node.free("memory") for node in usable),
        "accelerators": state.free,
    }


def _made(objects: ClusterObjects) -> Made:
    """What the Secret keeps, without reading it back."""
    return Made(objects.beside[0]["stringData"])


def _without_secrets(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**obj, "stringData": dict.fromkeys(obj["stringData"], "…")} if "stringData" in obj else obj
