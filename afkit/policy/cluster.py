"""A request for a Dask cluster → what it will be, or a refusal with a reason: the resolver's answer for workers. Pure.

The asking server's own choice decides profile and options; pools, limits and capacity are those that decide on servers.
What was written is granted or refused, what was left out takes what is left (`afkit.policy.cluster_size`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from afkit.errors import IncompatibleError, LimitExceededError, NotEntitledError, RequestError, UnknownChoiceError
from afkit.facility.model import DaskOffer, Facility, Image, Pool, Size
from afkit.policy import refuse
from afkit.policy.capacity import capacity_denial, pool_denial
from afkit.policy.cluster_ask import ClusterAsk, GroupAsk
from afkit.policy.cluster_size import Room, Sized
from afkit.policy.fit import image_misfit
from afkit.policy.layers import layers_of, mounts
from afkit.policy.limits import exceeded
from afkit.policy.model import Offer, PoolState, Resources, Selection
from afkit.policy.references import is_typed, matches
from afkit.policy.text import ask as whom_to_ask, quoted, suggestion
from afkit.policy.view import may
from afkit.quantities import UNSET, format_duration

__all__ = ["ClusterPlan", "WorkerGroup", "decide_cluster", "decide_numbers", "has_dask"]

WORKER: Final = Size("worker", "Dask worker")
SCHEDULER: Final = Size("scheduler", "Dask scheduler")
"""What stands for the size of pods that have none."""


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """A group as it will be: ``low`` to ``high`` workers of one selection, with these threads and Dask resources."""

    name: str
    low: int
    high: int
    selection: Selection
    threads: int
    resources: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster that was granted. ``idle`` and ``lifetime`` in seconds (``None``: no end); ``why``: sentences about what became less."""

    ask: ClusterAsk
    groups: tuple[WorkerGroup, ...]
    scheduler: Selection
    cvmfs: tuple[str, ...]
    idle: int | None
    lifetime: int | None
    why: tuple[str, ...] = ()


def has_dask(facility: Facility) -> bool:
    """Whether any profile gives Dask clusters."""
    return any(profile.dask is not None and profile.dask.pools for profile in facility.profiles.values())


def decide_cluster(offer: Offer, server: Selection, ask: ClusterAsk) -> ClusterPlan:
    """What a request of this server leads to. ``offer`` counts everything that the person runs, the server too.

    Raises `RequestError` of every reason of the contract, and nothing else.
    """
    facility, dask = offer.facility, server.profile.dask
    pools = _granted(offer, dask)
    if dask is None or not pools:
        raise NotEntitledError(
            f"{server.profile.title} gives no Dask clusters.",
            "Start a server with a profile that does, or ask the facility.",
            rule=("profiles", server.profile.name, "dask"),
        )
    _check_number(offer)
    image, reference = _image(offer, server, ask)
    cvmfs = _repositories(facility, ask)
    scheduler = _scheduler(offer, server, pools, image, reference)
    room = Room(offer, dask, scheduler.resources)
    groups: list[WorkerGroup] = []
    why: list[str] = []
    for number, group in enumerate(ask.groups):
        pool = _pool(offer, server, pools, image, group)
        sized = room.give(group, pool, ask.groups[number + 1 :], dask)
        why += sized.why
        groups.append(_group(offer, server, group, pool, image, reference, sized))
    idle, notes = _idle(facility, ask)
    return ClusterPlan(ask, tuple(groups), scheduler, cvmfs, idle, facility.dask.lifetime, (*why, *notes))


def decide_numbers(offer: Offer, profile: str, scheduler: Mapping[str, int], groups: Sequence[tuple[str, str, int, int, int, int]]) -> None:
    """Whether the groups of a cluster may have other numbers. ``offer`` does not count this cluster.

    ``groups``: (name, pool, millicores, bytes, GPUs of each worker, most workers). Raises `LimitExceededError` where it is too much.
    """
    found = offer.facility.profiles.get(profile)
    # a profile that the file has no more leaves what its clusters have; the person's limits hold all the same
    rules = found.dask if found is not None and found.dask is not None else DaskOffer(())
    room = Room(offer, rules, Resources(scheduler["cpu"], scheduler["memory"], None, None))
    for name, pool, cpu, memory, gpus, number in groups:
        if number:
            room.take(GroupAsk(name, number, number, cpu, memory, gpus), pool)


def _granted(offer: Offer, dask: DaskOffer | None) -> tuple[Pool, ...]:
    groups = frozenset(offer.entitlements.groups)
    return tuple(offer.facility.pools[entry.name] for entry in dask.pools if may(entry.allow, groups)) if dask else ()


def _check_number(offer: Offer) -> None:
    if offer.remaining.clusters == 0:
        most = offer.allowance.clusters or 0
        raise LimitExceededError(
            f"You have {most} Dask cluster{'' if most == 1 else 's'} already, and that is all that you may have."
            if most
            else "You may not start Dask clusters.",
            "Close one of them first: afkit.clusters() lists them." if most else whom_to_ask(offer.facility),
            field="name",
        )


def _image(offer: Offer, server: Selection, ask: ClusterAsk) -> tuple[Image, str]:
    """The image of scheduler and workers, and its whole reference."""
    facility = offer.facility
    if ask.image is None:
        default = facility.images[facility.dask.image] if facility.dask.image else server.image
        return (server.image, server.reference) if default.image is None else (default, default.image)
    mine = _images(offer, server)
    named = {name: image for name, image in mine.items() if not image.match}
    if is_typed(ask.image):
        return _typed(server, ask.image, mine), ask.image
    if ask.image not in named:
        names = list(named)
        raise UnknownChoiceError(f"There is no image {quoted(ask.image)}.", suggestion(ask.image, names, names), field="image")
    image = named[ask.image]
    return image, image.image or ""


def _images(offer: Offer, server: Selection) -> Mapping[str, Image]:
    """The images of the server's profile that this person may have."""
    groups = frozenset(offer.entitlements.groups)
    return {entry.name: offer.facility.images[entry.name] for entry in server.profile.images if may(entry.allow, groups)}


def _typed(server: Selection, reference: str, mine: Mapping[str, Image]) -> Image:
    """The image whose patterns take a reference that was typed."""
    found = next((image for image in mine.values() if matches(reference, image.match)), None)
    if found is None:
        message = f"{server.profile.title} does not take the image {quoted(reference)}."
        raise UnknownChoiceError(message, suggestion(reference, [], [name for name, one in mine.items() if not one.match]), field="image")
    return found


def _repositories(facility: Facility, ask: ClusterAsk) -> tuple[str, ...]:
    """The repositories that were asked for beside the session's own."""
    known = list(facility.cvmfs.repositories) if facility.cvmfs and facility.cvmfs.driver in ("csi", "host") else []
    for name in ask.cvmfs:
        if name not in known:
            raise UnknownChoiceError(
                f"Workers of this facility have no CVMFS repository {quoted(name)}.", suggestion(name, known, known), field="cvmfs"
            )
    return ask.cvmfs


def _pool(offer: Offer, server: Selection, pools: tuple[Pool, ...], image: Image, group: GroupAsk) -> Pool:
    """The pool that was asked for; else the server's own, else the first, that suits and can run something now."""
    if group.pool is not None:
        named = {pool.name: pool for pool in pools}
        if group.pool not in named:
            hint = suggestion(group.pool, list(named), list(named))
            raise UnknownChoiceError(f"There is no pool {quoted(group.pool)} for Dask workers.", hint, field="pool")
        refusal = _refusal(offer, named[group.pool], image, group)
        if refusal is not None:
            raise refusal
        return named[group.pool]
    ordered = sorted(pools, key=lambda pool: pool.name != server.pool.name)
    refusals = [(pool, _refusal(offer, pool, image, group)) for pool in ordered]
    for pool, refusal in refusals:
        if refusal is None:
            return pool
    # where every pool refuses, the one that came furthest says why
    order = ("incompatible", "limit-exceeded", "no-capacity")
    raise max((one for _, one in refusals if one is not None), key=lambda one: order.index(one.reason))


def _refusal(offer: Offer, pool: Pool, image: Image, group: GroupAsk) -> RequestError | None:
    """Why the workers of a group cannot be on a pool; limits are looked at later."""
    misfit = image_misfit(image, pool)
    if misfit is not None:
        return IncompatibleError(f"{misfit.message[:1].upper()}{misfit.message[1:]}.", "Choose another pool or image.", field="pool")
    unit = pool.accelerator
    if group.gpus and unit is None:
        hint = "Leave gpus out, or ask for a pool that has them."
        return IncompatibleError(f"Pool {pool.name} has no GPUs.", hint, field="gpus")
    if not group.gpus and unit is not None:
        hint = "Write gpus=1, or ask for another pool."
        return IncompatibleError(f"Pool {pool.name} is for workers with GPUs.", hint, field="pool")
    if unit is not None and unit.per_node is not None and group.gpus > unit.per_node:
        message = f"A node of pool {pool.name} has {unit.per_node} GPU{'' if unit.per_node == 1 else 's'}, not {group.gpus}."
        return IncompatibleError(message, f"Ask for gpus={unit.per_node} or less for each worker.", field="gpus")
    return _no_capacity(offer, pool, group)


def _no_capacity(offer: Offer, pool: Pool, group: GroupAsk) -> RequestError | None:
    """Why the pool cannot run the first workers of the group now."""
    state = offer.inventory.pools.get(pool.name, PoolState())
    denial = pool_denial(offer.facility, pool, state)
    if denial is None and group.gpus:
        first = group.gpus * max(1, group.low or 1)
        denial = capacity_denial(offer.facility, pool, state, Resources(0, 0, None, None, accelerators=first))
    return None if denial is None else refuse.raised(denial, "gpus" if group.gpus else "pool")


def _group(offer: Offer, server: Selection, asked: GroupAsk, pool: Pool, image: Image, reference: str, sized: Sized) -> WorkerGroup:
    needs = Resources(sized.cpu, sized.memory, sized.cpu, sized.memory, shm=sized.memory // 2, accelerators=asked.gpus)
    threads = max(1, sized.cpu // 1000)
    resources = {pool.arch: float(threads), **({"GPU": float(asked.gpus)} if asked.gpus else {}), **asked.tags}
    selection = _selection(offer, server, pool, image, reference, WORKER, needs)
    return WorkerGroup(asked.name, sized.low, sized.high, selection, threads, resources)


def _selection(offer: Offer, server: Selection, pool: Pool, image: Image, reference: str, size: Size, needs: Resources) -> Selection:
    """The server's choice with another pool and image: profile and options are its own."""
    layers = layers_of(offer.facility, pool, image, server.profile, server.choices)
    storage, left_out = mounts(offer.facility, layers, frozenset(offer.entitlements.groups))
    return replace(server, pool=pool, image=image, reference=reference, size=size, resources=needs, storage=storage, left_out=left_out)


def _scheduler(offer: Offer, server: Selection, pools: tuple[Pool, ...], image: Image, reference: str) -> Selection:
    """The scheduler's own selection. Its CPU has no limit: it works in bursts, and everybody in the cluster waits for it."""
    facility = offer.facility
    rules = facility.dask
    pool = _scheduler_pool(offer, server, pools, image)
    needs = Resources(rules.cpu, rules.memory, None, rules.memory)
    denial = exceeded(facility, offer.entitlements, offer.allowance, replace(offer.remaining, servers=None), pool.name, needs)
    if denial is not None:
        raise LimitExceededError(
            f"There is no room for the cluster's scheduler: {denial.message[:1].lower()}{denial.message[1:]}",
            "Close a cluster or stop a server first.",
            rule=denial.rule,
        )
    refusal = pool_denial(facility, pool, offer.inventory.pools.get(pool.name, PoolState()))
    if refusal is not None:
        raise refuse.raised(refusal, "pool")
    return _selection(offer, server, pool, image, reference, SCHEDULER, needs)


def _scheduler_pool(offer: Offer, server: Selection, pools: tuple[Pool, ...], image: Image) -> Pool:
    """A pool of the facility's list that this person has, else the server's; no GPU, and no spot node if another can be had."""
    facility = offer.facility
    groups = frozenset(offer.entitlements.groups)
    own = {entry.name for entry in server.profile.pools if may(entry.allow, groups)}
    granted = {*own, *(pool.name for pool in pools)}
    listed = [facility.pools[name] for name in facility.dask.pools if name in granted]
    others = [server.pool, *pools, *(facility.pools[name] for name in sorted(own))]
    candidates = [pool for pool in (*listed, *others) if image_misfit(image, pool) is None]
    if not candidates:
        raise IncompatibleError(
            f"The scheduler cannot run image {image.name} on any pool of yours.", "Choose another image.", field="image"
        )
    return min(candidates, key=lambda one: (one.spot, one not in listed, one.accelerator is not None))


def _idle(facility: Facility, ask: ClusterAsk) -> tuple[int | None, Iterable[str]]:
    """Seconds without work after which the cluster closes. What was left out is the facility's; more than that is refused."""
    most = facility.dask.idle
    if ask.idle is UNSET:
        return most, ()
    if most is not None and (ask.idle is None or ask.idle > most):
        raise LimitExceededError(
            f"In this facility a cluster closes after at most {format_duration(most)} without work.",
            f'Write idle="{format_duration(most)}" or less.',
            field="idle",
            rule=("dask", "idle"),
        )
    return ask.idle, ()
