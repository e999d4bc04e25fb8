"""What can be chosen, in plain words: one tile a pool, image, size or choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from afkit.facility.model import Facility, Image, Layer, Pool, Size
from afkit.hub.form import words
from afkit.hub.form.parse import TYPED
from afkit.policy.fit import Misfit, resources_of
from afkit.policy.model import Denial, Item, OptionOffer, PoolState, Resources
from afkit.quantities import UNSET

__all__ = ["Tile", "choice_tiles", "image_tiles", "pool_tile", "reason", "size_tile", "visible"]

_ARCH = {"amd64": "AMD64", "arm64": "ARM64"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One thing to choose. ``why`` and ``ask`` say why it cannot be chosen (``enabled`` is then false).

    ``pools``, ``images``, ``sizes``: with which others it fits, for the script; ``None``: with all. ``only`` says it in words,
    where there is no script. ``idle`` and ``most`` are seconds, ``limits`` the same in words. ``patterns`` are those of
    references that may be typed here; ``names`` are the names of the entries that this tile stands for.
    """

    value: str
    title: str
    description: str = ""
    badges: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    limits: str = ""
    enabled: bool = True
    why: str = ""
    ask: str = ""
    pools: str | None = None
    images: str | None = None
    sizes: str | None = None
    only: str = ""
    idle: int | None = None
    most: int | None = None
    patterns: tuple[str, ...] = ()
    names: str = ""

    @property
    def told(self) -> bool:
        """Whether anything is said below the title."""
        return bool(self.description or self.lines or self.limits or self.only or self.why)


def visible(items: Sequence[Item]) -> list[Item]:
    """What of these this person may see."""
    return [item for item in items if item.standing != "hidden"]


def reason(denial: Denial | None) -> tuple[str, str]:
    """Why a thing is not offered, and what to do about it."""
    return (denial.message, denial.hint) if denial else ("", "")


def pool_tile(facility: Facility, item: Item, state: PoolState) -> Tile:
    """A node pool: architecture, accelerator with what its sharing isolates, and what is free of it now."""
    pool = facility.pools[item.name]
    badges = [_ARCH[pool.arch]]
    lines: list[str] = []
    if pool.spot:
        badges.append("Spot")
        lines.append("These nodes may be taken away at any time.")
    if pool.accelerator:
        kind, isolation = words.SHARING[pool.accelerator.sharing]
        lines += [words.accelerator(pool.accelerator), f"{kind}. {isolation}"]
        if item.standing == "offered" and state.free is not None:
            scattered = state.most is not None and 0 < state.most < state.free
            badges.append(f"{state.free} free now" + (f", at most {state.most} on one node" if scattered else ""))
    return replace(_tile(item, pool.layer), badges=tuple(badges), lines=tuple(lines))


def image_tiles(facility: Facility, items: Sequence[Item]) -> tuple[Tile, ...]:
    """Images with a name, then one tile for all references that may be typed, then what cannot be chosen."""
    tiles: list[Tile] = []
    typed: list[tuple[Tile, Image]] = []
    for item in visible(items):
        image = facility.images[item.name]
        tile = replace(
            _tile(item, image.layer),
            badges=tuple(_ARCH[arch] for arch in image.arch),
            description=item.description or image.description,
            only=_only(item, {"pool": facility.pools}),
        )
        if image.match and tile.enabled:
            typed.append((tile, image))
        else:
            tiles.append(tile)
    if typed:
        tiles.append(_typed(typed))
    return tuple(sorted(tiles, key=lambda tile: not tile.enabled))


def _typed(entries: Sequence[tuple[Tile, Image]]) -> Tile:
    patterns = tuple(pattern for _, image in entries for pattern in image.match)
    if len(entries) == 1:
        return replace(entries[0][0], value=TYPED, patterns=patterns)
    # which of several entries takes a reference is known only once it is typed: the script greys nothing by them
    titles = words.listing([tile.title for tile, _ in entries])
    names = " ".join(tile.names for tile, _ in entries)
    return Tile(value=TYPED, title="An image by its reference", description=titles, patterns=patterns, names=names)


def size_tile(facility: Facility, item: Item, pools: Sequence[Pool]) -> Tile:
    """A size: what a server of it has, on each of the pools where that differs."""
    size = facility.sizes[item.name]
    where: dict[tuple[str, ...], list[str]] = {}
    for pool in pools:
        amounts = resources_of(size, pool)
        if not isinstance(amounts, Misfit) and (item.only_pools is None or pool.name in item.only_pools):
            where.setdefault(_amounts(amounts), []).append(pool.title)
    if len(where) == 1:
        lines = list(next(iter(where)))
    else:
        lines = [f"{words.listing(titles, 'and')}: {', '.join(each)}" for each, titles in where.items()]
    if size.shm is not UNSET and size.shm:
        lines.append(f"{words.memory(size.shm)} shared memory (/dev/shm)")
    return replace(_tile(item, Layer()), lines=tuple(lines), only=_only(item, {"pool": facility.pools}))


def _amounts(amounts: Resources) -> tuple[str, ...]:
    """What a server has, in words; one accelerator goes without saying where the pool has them."""
    lines = (words.cpu_line(amounts.cpu, amounts.cpu_limit), words.memory_line(amounts.memory, amounts.memory_limit))
    return (*lines, f"{amounts.accelerators} accelerators") if amounts.accelerators > 1 else lines


def choice_tiles(facility: Facility, option: OptionOffer) -> tuple[Tile, ...]:
    """The choices of an option."""
    titles: dict[str, Mapping[str, Pool | Image | Size]] = {"pool": facility.pools, "image": facility.images, "size": facility.sizes}
    choices = option.option.choices
    return tuple(replace(_tile(item, choices[item.name].layer), only=_only(item, titles)) for item in visible(option.choices))


def _only(item: Item, things: Mapping[str, Mapping[str, Pool | Image | Size]]) -> str:
    """With which others an offered thing can be chosen, as a sentence; empty: with all."""
    names = {"pool": item.only_pools, "image": item.only_images, "size": item.only_sizes}
    lists = [words.listing([known[name].title for name in names[field] or ()]) for field, known in things.items()]
    said = [text for text in lists if text]
    return f"Only with {words.listing(said, 'and')}." if said and item.standing == "offered" else ""


def _tile(item: Item, layer: Layer) -> Tile:
    why, ask = reason(item.denial)
    return Tile(
        value=item.name,
        title=item.title,
        description=item.description,
        limits=words.lifetime(layer.lifetime.idle, layer.lifetime.max),
        enabled=item.standing == "offered",
        why=why,
        ask=ask,
        pools=_joined(item.only_pools),
        images=_joined(item.only_images),
        sizes=_joined(item.only_sizes),
        idle=layer.lifetime.idle,
        most=layer.lifetime.max,
        names=item.name,
    )


def _joined(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else " ".join(names)
