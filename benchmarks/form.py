"""The form of 30 profiles with three options each, beside KubeSpawner's: what one page costs, and how large it is.

KubeSpawner renders its template from its profile list (what its ``options_form`` does for each page); afkit makes an offer for
the person (limits and free accelerators of this moment included) and renders that. Both show a saved choice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from afkit.facility.model import Choice, Entry, Facility, Group, Image, Limit, Option, Pool, Profile, Size
from afkit.hub.form import render
from afkit.policy.entitle import from_groups
from afkit.policy.model import Inventory, Usage, Use
from afkit.policy.offer import offer
from benchmarks.table import Row, alternate, show

PROFILES, OPTIONS, CHOICES = 30, 3, 4
GI = 2**30
NO_CLUSTER = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:9"}}],
    "users": [{"name": "none", "user": {}}],
}
"""A kubeconfig of no cluster: KubeSpawner asks for one when it is made, and no page needs it."""


def facility() -> Facility:
    """Thirty profiles with three options of four choices, besides pool, image and size; limits for the group."""
    names = [f"choice-{number}" for number in range(CHOICES)]
    choices = {name: Choice(name, f"Choice {name}", default=name == names[0]) for name in names}
    options = {f"option-{n}": Option(f"option-{n}", f"Option {n}", choices=choices) for n in range(OPTIONS)}
    base = Profile(
        "p", "P", ("group",), (Entry("cpu"), Entry("arm")), (Entry("one"),), (Entry("small"), Entry("large")), options=tuple(options)
    )
    profiles = {f"p{n}": replace(base, name=f"p{n}", title=f"Profile {n}", description=f"The profile {n}") for n in range(PROFILES)}
    return Facility(
        name="bench",
        title="Bench",
        pools={"cpu": Pool("cpu", "AMD64", "amd64"), "arm": Pool("arm", "ARM64", "arm64")},
        images={"one": Image("one", "One", ("amd64", "arm64"), image="example.org/one:1")},
        sizes={"small": Size("small", "Small", 1000, 2 * GI), "large": Size("large", "Large", 8000, 32 * GI)},
        profiles=profiles,
        options=options,
        groups={"group": Group("group")},
        limits={"group": Limit(servers=3, cpu=64000, memory=256 * GI)},
        digest="bench",
    )


def afkit_page() -> Callable[[], str]:
    """One page for one person: their offer of this moment, then the form."""
    described = facility()
    person = from_groups(described, "ada", ("group",))
    memory = itertools.count(GI)
    chosen = {"profile": "p3", "pool": "arm", "option-1": "choice-2"}

    def page() -> str:
        usage = Usage((Use("server", "other", 1000, next(memory), "cpu"),))
        return render(offer(described, person, Inventory(), usage), chosen=chosen)

    return page


async def _kubespawner() -> Any:
    """A KubeSpawner; it wants a running loop to be made."""
    from kubespawner import KubeSpawner

    return KubeSpawner(_mock=True)


def kubespawner_page() -> Callable[[], str]:
    """One page of KubeSpawner: the same number of profiles, options and choices."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        config.write(json.dumps(NO_CLUSTER))
        config.flush()
        os.environ["KUBECONFIG"] = config.name
        spawner = asyncio.run(_kubespawner())
    names = [f"choice-{number}" for number in range(CHOICES)]
    choices = {name: {"display_name": f"Choice {name}", "kubespawner_override": {"image": f"example.org/{name}"}} for name in names}
    fields = {f"option-{n}": {"display_name": f"Option {n}", "choices": choices} for n in range(OPTIONS)}
    profiles: list[dict[str, Any]] = [
        {"slug": f"p{n}", "display_name": f"Profile {n}", "description": f"The profile {n}", "profile_options": fields}
        for n in range(PROFILES)
    ]
    spawner.profile_list = profiles
    spawner.user_options = {"profile": "p3", "option-1": "choice-2"}
    return lambda: str(spawner._render_options_form(profiles))


def timed(page: Callable[[], str], count: int = 20) -> Callable[[], float]:
    """Milliseconds of CPU of one page."""
    page()

    def measure() -> float:
        started = time.process_time()
        for _ in range(count):
            page()
        return (time.process_time() - started) * 1000 / count

    return measure


def rows() -> list[Row]:
    """CPU of one page, beside KubeSpawner and beside the aim of one millisecond; the size of the page."""
    ours, theirs = afkit_page(), kubespawner_page()
    afkit, peer = alternate(timed(ours), timed(theirs))
    what = f"form, {PROFILES} profiles x {OPTIONS} options"
    return [
        Row(what, "KubeSpawner 7.1", "ms", afkit, peer, 0.1),
        Row(what, "one millisecond", "ms", afkit, 1.0, 1.0),
        Row(f"{what}, HTML", "KubeSpawner 7.1", "kB", len(ours()) / 1000, len(theirs()) / 1000),
    ]


def main() -> None:
    """Print the table."""
    print(show(rows()))
