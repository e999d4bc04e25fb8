"""``options``, ``profiles`` and ``dask``: what people choose."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from afkit.facility.edge.base import Part, many, may, need, refuse
from afkit.facility.edge.layer import LayerKeys
from afkit.facility.edge.types import Count, Cpu, DurationOrNone, Groups, Line, Memory, Name, Names, PositiveOrNone
from afkit.quantities import UNSET


class Choice(LayerKeys):
    """One choice of an option, with the keys of `session` that it adds."""

    title: Line | None = may("Name for people.", shown="(the name)")
    description: str = may("What it does.", "")
    allow: Groups = may("Groups that may have it.", ["everyone"], shown="everyone")
    default: bool = may("Taken where the option is left open.", False)
    pools: Names | None = may("Offered only with these pools.", shown="(all)")
    images: Names | None = may("Offered only with these images.", shown="(all)")
    sizes: Names | None = may("Offered only with these sizes.", shown="(all)")


class Option(Part):
    """A further thing to choose."""

    title: Line | None = may("Name for people.", shown="(the name)")
    description: str = may("What it is about.", "")
    choices: dict[Name, Choice] = need("The choices, in the order in which they are shown.")


class PoolEntry(Part):
    """An entry of `pools`."""

    name: str = need("Name of the pool.")
    allow: Groups = may("Groups that may have it.", ["everyone"], shown="everyone")
    advertise: bool = may("Shown greyed to people who may not have it.", False)
    default: bool = may("Taken where the choice is left open.", False)


class Entry(PoolEntry):
    """An entry of `images` or `sizes`."""

    name: str = need("Name of the image or size.")
    pools: Names | None = may("Offered only in these pools.", shown="(all of the profile)")


def _entry(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        refuse("AF203", "An entry is a name, or a mapping with a name.", "Write the name, in quotes if it looks like a number.")
    return value


PoolEntries = list[Annotated[PoolEntry, BeforeValidator(_entry, json_schema_input_type=str | PoolEntry)]]
Entries = list[Annotated[Entry, BeforeValidator(_entry, json_schema_input_type=str | Entry)]]


class Worker(Part):
    """The largest worker."""

    cpu: Cpu | None = may("CPU.", shown="(no maximum)", examples=[4])
    memory: Memory | None = may("Memory.", shown="(no maximum)", examples=["16Gi"])
    accelerators: Count = may("Accelerators.", 0)


class ProfileDask(Part):
    """The Dask clusters of a profile."""

    pools: PoolEntries = need("Pools of the workers.", examples=[["cpu"]])
    max_workers: PositiveOrNone = may("Most workers of one cluster.", UNSET, shown="none", examples=[50])
    worker: Worker = need("The largest worker.", examples=[{"cpu": 4, "memory": "16Gi"}])


class Profile(LayerKeys):
    """What people choose first."""

    title: Line | None = may("Name for people.", shown="(the name)")
    description: str = may("What it is for.", "")
    allow: Groups = need("Groups that may have it.", examples=["everyone"])
    advertise: bool = may("Shown greyed to people who may not have it, with whom to ask.", False)
    default: bool = may("Taken where the profile is left open.", False)
    pools: PoolEntries = need("Pools.", examples=[["cpu"]])
    images: Entries = need("Images.", examples=[["scientific"]])
    sizes: Entries = need("Sizes.", examples=[["small"]])
    options: Names = many("Options that it offers.")
    dask: ProfileDask | None = may("Its Dask clusters.", shown="(none)")


class Scheduler(Part):
    """The scheduler of a Dask cluster."""

    cpu: Cpu = may("CPU.", 1000, shown=1)
    memory: Memory = may("Memory.", 2 * 2**30, shown="2Gi")
    pools: Names = many("Pools, the first that the profile offers the person is taken.")


class Dask(Part):
    """What all Dask clusters have in common."""

    scheduler: Scheduler = may("The scheduler.", Scheduler(), shown={})
    idle: DurationOrNone = may("Time without work after which a cluster ends, and the most that may be asked for.", 1800, shown="30m")
    lifetime: DurationOrNone = may("Longest life of a cluster, and the most that may be asked for.", 86400, shown="24h")
    image: str | None = may("Image of schedulers and workers, by name.", shown="(the asking server's)")
