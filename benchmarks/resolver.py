"""A choice of thirty profiles with three options each, beside KubeSpawner's: options → selection → Pod, CPU of one start.

KubeSpawner validates the options and lays the profile over its traits (``load_user_options``), then makes the Pod
(``get_pod_manifest``). afkit makes the person's offer of this moment (limits and what runs now included), judges the options
and merges the layers of the choice. ``first`` is without anything kept, with the tables of the whole file made anew, as once
after each change of the file.

``Pod`` is with home, scratch, data and CVMFS on both sides: as plain data beside KubeSpawner's model of one, and as the bytes
that are sent.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from afkit.facility.model import (
    Choice,
    Cvmfs,
    Entry,
    Facility,
    Group,
    Image,
    Kubernetes,
    Layer,
    Lifetime,
    Limit,
    Mount,
    Option,
    Pool,
    Profile,
    Size,
    Storage,
)
from afkit.pods.layers import Session, session_of
from afkit.pods.person import person_of
from afkit.pods.server import ServerObjects, server_objects
from afkit.pods.site import stock_site
from afkit.policy.entitle import from_groups
from afkit.policy.model import Identity, Inventory, Offer, PoolState, Usage, Use
from afkit.policy.offer import offer
from afkit.policy.select import select
from benchmarks.form import NO_CLUSTER
from benchmarks.table import Row, alternate, show

PROFILES, OPTIONS, CHOICES = 30, 3, 4
REQUESTS = 180
"""Different choices of `asked`, until it begins anew."""
GI = 2**30
MOUNTS = ("home", "scratch", "data", "cvmfs")
ENV = {"TZ": "Europe/Zurich", "XCACHE": "cache.example.org", "SCRATCH": "/scratch/{username}"}


def facility() -> Facility:
    """Thirty profiles with three options of four choices, besides pool, image and size; layers with environment and Pod parts."""
    names = [f"choice-{number}" for number in range(CHOICES)]
    choices = {name: Choice(name, f"Choice {name}", default=name == names[0], layer=Layer(env={"CHOICE": name})) for name in names}
    options = {f"option-{n}": Option(f"option-{n}", f"Option {n}", choices=choices) for n in range(OPTIONS)}
    side = {"spec": {"containers": [{"name": "notebook", "env": [{"name": "A", "value": "1"}]}]}}
    profile = Profile(
        "p",
        "P",
        ("group",),
        (Entry("cpu"), Entry("arm")),
        (Entry("one"), Entry("two")),
        (Entry("small"), Entry("large")),
        options=tuple(options),
    )
    profiles = {
        f"p{n}": replace(profile, name=f"p{n}", title=f"Profile {n}", layer=Layer(env={"PROFILE": f"p{n}"}, pod=side))
        for n in range(PROFILES)
    }
    return Facility(
        name="bench",
        title="Bench",
        pools={"cpu": Pool("cpu", "AMD64", "amd64"), "arm": Pool("arm", "ARM64", "arm64", layer=Layer(lifetime=Lifetime(3600, None)))},
        images={name: Image(name, name, ("amd64", "arm64"), image=f"example.org/{name}:1") for name in ("one", "two")},
        sizes={"small": Size("small", "Small", 1000, 2 * GI), "large": Size("large", "Large", 8000, 32 * GI)},
        profiles=profiles,
        options=options,
        groups={f"group{n}": Group(f"group{n}") for n in range(5)} | {"group": Group("group")},
        session=Layer(env=ENV, lifetime=Lifetime(86400, 604800), pod={"metadata": {"annotations": {"a": "b"}}}, cvmfs=("cms.example.org",)),
        limits={"group": Limit(servers=3, cpu=64000, memory=256 * GI)},
        url="https://bench.example.org/",
        cvmfs=Cvmfs("csi", repositories={"cms.example.org": {}}),
        storage=Storage(
            Mount("home", "/home/jovyan", size=20 * GI),
            Mount("scratch", "/scratch", size=50 * GI),
            {"data": Mount("data", "/data", claim="data", access="ReadOnlyMany", read_only=True)},
        ),
        kubernetes=Kubernetes(namespace="hub"),
    )


def asked() -> Callable[[], dict[str, str]]:
    """One request after the other, of every profile and with every choice in turn."""
    numbers = itertools.count()

    def one() -> dict[str, str]:
        number = next(numbers)
        options = {f"option-{n}": f"choice-{number // 3**n % CHOICES}" for n in range(OPTIONS)}
        return {"profile": f"p{number % PROFILES}", **options}

    return one


def whole_offer(described: Facility, used: int) -> Offer:
    """The offer of one person at one moment; ``used`` makes every moment another."""
    return offer(described, from_groups(described, "ada", ("group",)), Inventory(), Usage((Use("server", "x", 1000, used, "cpu"),)))


def afkit_start() -> Callable[[], Session]:
    """One start: the person's offer, the judgement, the layers."""
    described, request, memory = facility(), asked(), itertools.count(GI)

    def start() -> Session:
        return session_of(described, select(whole_offer(described, next(memory)), request()))

    return start


def pod_start(*, written: bool = False) -> Callable[[], ServerObjects]:
    """One start up to the Pod with all its volumes, and whatever else is made for it; ``written``: as the bytes that are sent."""
    described, request, memory = facility(), asked(), itertools.count(GI)
    who = Identity("ada", "local", "ada")

    def start() -> ServerObjects:
        offered = whole_offer(described, next(memory))
        person = person_of(described, who, offered.entitlements)
        return server_objects(described, select(offered, request()), person, "", stock_site("ada"), written=written)

    return start


def first_start() -> Callable[[], Session]:
    """One start with nothing kept: of a file that was just read."""
    request, described = asked(), facility()

    def start() -> Session:
        fresh = replace(described)
        return session_of(fresh, select(whole_offer(fresh, GI), request()))

    return start


async def _kubespawner() -> Any:
    """A KubeSpawner; it wants a running loop to be made."""
    from kubespawner import KubeSpawner

    return KubeSpawner(_mock=True)


def _choices() -> dict[str, Any]:
    """The choices of one option, as a file of values has them: written out for each."""
    names = [f"choice-{number}" for number in range(CHOICES)]
    return {name: {"display_name": f"Choice {name}", "kubespawner_override": {"environment": {"CHOICE": name}}} for name in names}


def kubespawner_start() -> tuple[Any, Callable[[], Any]]:
    """One start of KubeSpawner: the same number of profiles, options and choices; returns the spawner and the start."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        config.write(json.dumps(NO_CLUSTER))
        config.flush()
        os.environ["KUBECONFIG"] = config.name
        spawner = asyncio.run(_kubespawner())
    spawner.profile_list = [
        {
            "slug": f"p{n}",
            "display_name": f"Profile {n}",
            "profile_options": {f"option-{m}": {"display_name": f"Option {m}", "choices": _choices()} for m in range(OPTIONS)},
            "kubespawner_override": {"image": "example.org/one:1", "cpu_guarantee": 1, "mem_guarantee": "2G"},
        }
        for n in range(PROFILES)
    ]
    spawner.environment = dict(ENV)
    # as many mounts as a facility of high-energy physics has: home, scratch, data and CVMFS
    spawner.volumes = {name: {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{{username}}"}} for name in MOUNTS}
    spawner.volume_mounts = {name: {"name": name, "mountPath": f"/{name}"} for name in MOUNTS}
    request = asked()

    async def start() -> Any:
        spawner.user_options = request()
        await spawner.load_user_options()
        return await spawner.get_pod_manifest()

    return spawner, start


def model_bytes(spawner: Any, start: Callable[[], Any]) -> Callable[[], Any]:
    """KubeSpawner's start up to what its client sends."""

    async def sent() -> bytes:
        return json.dumps(spawner.api.api_client.sanitize_for_serialization(await start())).encode()

    return sent


def timed(start: Callable[[], Any], count: int = 400, warm: int = 2 * REQUESTS) -> Callable[[], float]:
    """Microseconds of CPU of one start, after so many others."""
    for _ in range(warm):
        start()

    def measure() -> float:
        started = time.process_time()
        for _ in range(count):
            start()
        return (time.process_time() - started) * 1e6 / count

    return measure


def timed_async(start: Callable[[], Any], count: int = 40) -> Callable[[], float]:
    """Microseconds of CPU of one start that is awaited; the loop runs already."""

    async def many() -> float:
        await start()
        started = time.process_time()
        for _ in range(count):
            await start()
        return (time.process_time() - started) * 1e6 / count

    return lambda: asyncio.run(many())


def kilobytes_each(people: int = 1000) -> float:
    """Memory that one more person's offer takes: a thousand people in five groups, each with another use."""
    described = facility()
    pools = Inventory({"cpu": PoolState(free=None)})

    def one(number: int) -> Offer:
        person = from_groups(described, f"user-{number}", ("group", f"group{number % 5}"))
        return offer(described, person, pools, Usage((Use("server", "x", 1000, GI + number, "cpu"),)))

    warm = [one(number) for number in range(5)]
    tracemalloc.start()
    kept = [one(number) for number in range(people)]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / 1000 / (len(kept) + len(warm) - 5)


def rows() -> list[Row]:
    """CPU of one start beside KubeSpawner's, kept and first; the memory of one person's offer."""
    spawner, theirs = kubespawner_start()
    afkit, peer = alternate(timed(afkit_start()), timed_async(theirs))
    cold, _ = alternate(timed(first_start(), 20, 1), timed_async(theirs), 3)
    pod, pod_peer = alternate(timed(pod_start()), timed_async(theirs))
    sent, sent_peer = alternate(timed(pod_start(written=True)), timed_async(model_bytes(spawner, theirs)))
    what = f"options → selection → overlay, {PROFILES} x {OPTIONS}"
    return [
        Row(what, "KubeSpawner 7.1, aim of 20 times less", "us", afkit, peer, 0.05),
        Row(what, "KubeSpawner 7.1, aim of 50 times less", "us", afkit, peer, 0.02),
        Row("the same, file just read", "KubeSpawner 7.1", "us", cold, peer),
        Row("options → Pod with all volumes", "KubeSpawner 7.1", "us", pod, pod_peer, 0.05),
        Row("the same, as bytes on both sides", "KubeSpawner 7.1", "us", sent, sent_peer, 0.05),
        Row(
            "memory of one person's offer", "its profile list as JSON", "kB", kilobytes_each(), len(json.dumps(spawner.profile_list)) / 1000
        ),
    ]


def main() -> None:
    """Print the table."""
    print(show(rows()))
