"""Whole facilities with a person and requests, made from a number: small enough for a brute-force reading of the contract.

Hypothesis would draw hundreds of values for one facility; a number and a seeded generator give the same in a fiftieth of the
time, so each property sees thousands of requests. Names are words that stand in no sentence, so that a test can look for
them in what people are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from afkit.facility.model import Accelerator, Choice, Entry, Facility, Image, Kubernetes, Limit, NodeSize, Option, Pool, Profile, Size
from afkit.policy.model import Inventory, PoolState, Usage, Use
from afkit.quantities import UNSET
from tests.unit.policy.facilities import GI, by_name, facility

GROUPS = ("gq1", "gq2", "gq3")
POOLS, IMAGES, SIZES = ("pq1", "pq2", "pq3"), ("iq1", "iq2", "iq3"), ("sq1", "sq2", "sq3")
OPTIONS, CHOICES, PROFILES = ("oq1", "oq2"), ("cq1", "cq2", "cq3"), ("fq1", "fq2", "fq3")
REFERENCES = ("r.org/a/x:1", "r.org/b/y/z:2", "r.org/b/q:1", "r.org/c", "s.org/a:1")
PATTERNS = ("r.org/a/*", "r.org/**", "**", "r.org/b/*")
_Thing = TypeVar("_Thing")


class World:
    """A facility, the groups of a person (and more groups), what exists now, what they run, and eight requests."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.groups = self._few(GROUPS, 0)
        self.others = self._few(GROUPS, 0)
        self.file = self._facility()
        self.inventory = Inventory({name: self._state() for name in self._few(POOLS, 0)})
        self.usage = Usage(tuple(Use(self._one(("server", "worker")), "u", 1000, GI) for _ in range(self._one((0, 0, 1, 2)))))
        self.requests = [self._request() for _ in range(8)]

    def __repr__(self) -> str:
        return f"World({self.seed})"

    def _one(self, things: Sequence[_Thing]) -> _Thing:
        return self.random.choice(things)

    def _few(self, things: Sequence[_Thing], least: int = 1) -> list[_Thing]:
        return self.random.sample(things, self.random.randint(least, len(things)))

    def _rarely(self) -> bool:
        return self.random.random() < 0.25

    def _audience(self) -> tuple[str, ...]:
        return ("everyone",) if self.random.random() < 0.6 else tuple(self._few(GROUPS)[:2])

    def _maybe(self, names: Sequence[str]) -> tuple[str, ...] | None:
        return tuple(self._few(names)) if self._rarely() else None

    def _facility(self) -> Facility:
        return facility(
            *(self._profile(name) for name in self._few(PROFILES)),
            pools=tuple(self._pool(name) for name in POOLS),
            images=tuple(self._image(name) for name in IMAGES),
            sizes=tuple(self._size(name) for name in SIZES),
            options=tuple(Option(name, f"T{name}", choices=by_name(*map(self._choice, self._few(CHOICES)))) for name in OPTIONS),
            groups=GROUPS,
            limits=self._limits(),
            kubernetes=self._one((None, Kubernetes(), Kubernetes(capacity="open"))),
        )

    def _pool(self, name: str) -> Pool:
        unit = Accelerator(
            self._one(("nvidia", "amd")), per_node=self._one((None, 2, 4)), resource="x/gpu", cuda=self._one((None, (12, 4), (12, 8)))
        )
        node = self._one((NodeSize(), NodeSize(4000, 8 * GI), NodeSize(16000, 64 * GI)))
        return Pool(name, f"T{name}", self._one(("amd64", "arm64")), node=node, accelerator=self._one((None, None, unit)))

    def _image(self, name: str) -> Image:
        arch: Any = self._one((("amd64",), ("arm64",), ("amd64", "arm64"), ("amd64", "arm64")))
        if self._rarely():
            return Image(name, f"T{name}", arch, match=tuple(self._few(PATTERNS)[:2]))
        return Image(name, f"T{name}", arch, image=f"r.org/{name}:1", cuda=self._one((None, None, (12, 4), (12, 8))))

    def _size(self, name: str) -> Size:
        units = self._one((UNSET, UNSET, 0, 1, 2))
        return Size(name, f"T{name}", cpu=self._one((1000, 4000, 8000)), memory=self._one((2 * GI, 16 * GI)), accelerators=units)

    def _choice(self, name: str) -> Choice:
        only = {"pools": self._maybe(POOLS), "images": self._maybe(IMAGES), "sizes": self._maybe(SIZES)}
        return Choice(name, f"T{name}", allow=self._audience(), default=self._rarely(), **only)

    def _entries(self, names: Sequence[str], *, pools: bool = True) -> tuple[Entry, ...]:
        return tuple(
            Entry(name, self._audience(), self._rarely(), self._rarely(), self._maybe(POOLS) if pools else None)
            for name in self._few(names)
        )

    def _profile(self, name: str) -> Profile:
        return Profile(
            name=name,
            title=f"T{name}",
            allow=self._audience(),
            advertise=self._rarely(),
            default=self._rarely(),
            pools=self._entries(POOLS, pools=False),
            images=self._entries(IMAGES),
            sizes=self._entries(SIZES),
            options=tuple(self._few(OPTIONS, 0)),
        )

    def _limits(self) -> dict[str, Limit]:
        """None, or such that every field has a value for everyone: only then more groups cannot mean less."""
        if self._one((True, False)):
            return {}
        return {name: self._limit() for name in ("everyone", *self._few(GROUPS, 0))}

    def _limit(self) -> Limit:
        return Limit(
            servers=self._one((0, 1, 2, None)),
            cpu=self._one((2000, 8000, None)),
            memory=self._one((4 * GI, 32 * GI, None)),
            accelerators={name: self._one((0, 1, 4, None)) for name in POOLS},
        )

    def _state(self) -> PoolState:
        free = self._one((None, 0, 1, 2, 8))
        return PoolState(not self._rarely(), "Gone.", free, self._one((None, min(1, free), free)) if free is not None else None)

    def _request(self) -> dict[str, str]:
        """What somebody asks who knows the facility: mostly names of one profile, some of others, some that do not exist."""
        one = self._one(list(self.file.profiles.values()))
        images = [entry.name for entry in one.images if not self.file.images[entry.name].match]
        values: dict[str, list[str]] = {
            "profile": [one.name] * 6 + [*PROFILES, "fq0"],
            "pool": [entry.name for entry in one.pools] * 4 + [*POOLS, "pq0"],
            "image": images * 4 + [*IMAGES, *REFERENCES, "iq0"],
            "size": [entry.name for entry in one.sizes] * 4 + [*SIZES, "sq0"],
        }
        values |= {name: [*self.file.options[name].choices] * 4 + [*CHOICES, "cq0"] for name in one.options or OPTIONS}
        return {key: self._one(values[key]) for key in self._few(list(values), 0)[: self._one((0, 1, 1, 2, 2, 3, 6))]}


worlds = st.integers(0, 2**40).map(World)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
keys = st.one_of(st.sampled_from(("profile", "pool", "image", "size", *OPTIONS, "server", "next")), st.text(max_size=20))
odd_requests = st.one_of(
    json_values,
    st.dictionaries(keys, json_values, max_size=4),
    st.dictionaries(keys, st.text(max_size=20) | st.sampled_from(POOLS), max_size=4),
)
"""Anything at all."""
