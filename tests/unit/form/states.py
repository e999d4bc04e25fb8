"""The form in every state in which it is tested and looked at: who asks, what exists, what is marked, what was refused."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from afkit.errors import RequestError
from afkit.facility.load import load_facility
from afkit.facility.model import Choice, Facility, Option
from afkit.hub.form import render
from afkit.policy.entitle import from_groups
from afkit.policy.laptop import not_applied
from afkit.policy.model import Inventory, Offer, PoolState, Usage, Use
from afkit.policy.offer import offer
from afkit.policy.select import select

GI = 2**30
FACILITY = Path(__file__).with_name("facility.yaml")
BUSY = "All 8 shares of the NVIDIA T4 are taken."
INVENTORY = Inventory({"a100": PoolState(free=3), "a100-slice": PoolState(free=7), "t4": PoolState(False, BUSY, 0)})
USAGE = Usage((Use("server", "fits", 4000, 32 * GI, "a100", 1),))


@functools.cache
def facility() -> Facility:
    """The facility of tests/unit/form/facility.yaml."""
    return load_facility(FACILITY)


def offer_to(*groups: str, inventory: Inventory = INVENTORY, usage: Usage = USAGE, of: Facility | None = None) -> Offer:
    """What the resolver offers to somebody in these groups."""
    of = of or facility()
    return offer(of, from_groups(of, "ada", groups), inventory, usage)


def ada() -> Offer:
    """A physicist."""
    return offer_to("physicists")


def grace() -> Offer:
    """A physicist who may have accelerators."""
    return offer_to("physicists", "accelerated")


@functools.cache
def many_profiles(count: int = 30) -> Facility:
    """A facility of many profiles with three options of four choices each."""
    base = facility()
    choices = {f"choice-{k}": Choice(f"choice-{k}", f"Choice {k}", default=k == 0) for k in range(4)}
    options = {f"option-{n}": Option(f"option-{n}", f"Option {n}", choices=choices) for n in range(3)}
    model = base.profiles["analysis"]
    profiles = {
        f"profile-{n}": replace(
            model, name=f"profile-{n}", title=f"Profile {n}", description=f"Analysis {n}.", options=tuple(options), default=n == 0
        )
        for n in range(count)
    }
    return replace(base, profiles=profiles, options=options, digest=f"many-{count}")


@dataclass(frozen=True)
class State:
    """What `render` gets; what is marked is judged by the resolver where no refusal is given."""

    offer: Offer
    chosen: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def refusal(self) -> RequestError | None:
        """What the resolver says of what is marked."""
        try:
            select(self.offer, dict(self.chosen))
        except RequestError as error:
            return error
        return None

    @property
    def form(self) -> str:
        """The form in this state."""
        return render(self.offer, chosen=self.chosen, refusal=self.refusal, notes=self.notes)


def states() -> dict[str, State]:
    """The states by name; in the gallery they are people."""
    full = Usage((Use("server", "one", 1000, 2 * GI, "cpu"), Use("server", "two", 1000, 2 * GI, "cpu")))
    own = "registry.example.org/groups/higgs/fit:2.1"
    return {
        "ada": State(ada(), notes=not_applied(facility())),
        "grace": State(grace()),
        "grace-gpu": State(grace(), {"profile": "training"}),
        "grace-own": State(grace(), {"profile": "analysis", "image": own}),
        "refused": State(ada(), {"profile": "analysis", "size": "large"}),
        "wrong-image": State(grace(), {"profile": "analysis", "image": "docker.example.org/someone/else:1"}),
        "gone": State(ada(), {"profile": "analysys", "pool": "cpu"}),
        "misfit": State(grace(), {"profile": "analysis", "pool": "arm", "size": "eighth"}),
        "full": State(offer_to("physicists", usage=full)),
        "many": State(offer_to("physicists", "accelerated", of=many_profiles())),
        "nobody": State(offer_to("students")),
        "slow": State(ada()),
        "keyboard": State(ada()),
        "no-scripts": State(grace()),
        "unlucky": State(ada()),
        "idle": State(ada()),
        "root-of-all": State(ada()),
    }
