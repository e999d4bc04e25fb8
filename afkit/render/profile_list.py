"""``--target profile-list``: what people of some groups may choose, as a plain KubeSpawner profile list for a hub without afkit. Pure.

An entry is a profile on one pool. Its one field lists every combination of image, size and options that fits there, each with all
that it changes: nothing depends on how KubeSpawner merges, and no pair is offered that does not fit. What such a list cannot
say is said beside it.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from afkit.errors import CallError, RequestError
from afkit.facility.model import Facility
from afkit.pods.blanks import blank
from afkit.pods.layers import session_of
from afkit.pods.layout import section
from afkit.pods.overlay import Choice, files_of, finish, overlay
from afkit.pods.person import Person
from afkit.pods.placeholders import Names
from afkit.policy.capacity import declared
from afkit.policy.model import Entitlements, Item, Offer, ProfileOffer, Selection
from afkit.policy.offer import offer
from afkit.policy.select import select
from afkit.render.spawner_traits import FILES, Traits, fixed_ids

__all__ = ["ProfileList", "profile_list"]

Object = dict[str, Any]

_MOST: Final = 500
"""Combinations of one entry: more are no choice."""
_FIELD: Final = "choice"


@dataclass(frozen=True, slots=True)
class ProfileList:
    """The list, and what it cannot say, a sentence each."""

    entries: tuple[Object, ...]
    notes: tuple[str, ...]


def profile_list(facility: Facility, entitlements: Entitlements) -> ProfileList:
    """What people with these entitlements may choose. Raises `CallError` where KubeSpawner cannot make such a server."""
    # a list knows nothing of what is free
    one = replace(facility, kubernetes=replace(section(facility), user_namespaces="shared", capacity="open"))
    offered = offer(one, entitlements, declared(one))
    notes: dict[str, None] = dict.fromkeys(_of_the_whole(one))
    entries = []
    for profile in offered.profiles:
        if profile.standing == "offered":
            pools = [pool for pool in profile.pools if pool.standing == "offered"]
            made = [_entry(offered, profile, pool, len(pools) > 1, notes) for pool in pools]
            entries += [entry for entry in made if entry is not None]
    if not entries:
        raise CallError("People of these groups may choose nothing.", "Name groups that have a profile: --groups NAME,…")
    return ProfileList(tuple(entries), tuple(notes))


def _of_the_whole(facility: Facility) -> Iterator[str]:
    if facility.limits:
        yield "limits: a profile list counts nothing; a ResourceQuota of the namespace can."
    if any(profile.dask is not None for profile in facility.profiles.values()):
        yield "dask: clusters are granted by afkit's own service."
    yield from fixed_ids(facility)[1]


def _entry(offered: Offer, profile: ProfileOffer, pool: Item, several: bool, notes: dict[str, None]) -> Object | None:
    """One profile on one pool; ``None`` where nothing of it can be made."""
    name = profile.profile.name
    unit = offered.facility.pools[pool.name].accelerator
    if unit is not None and unit.device_class is not None:
        notes[f"pool {pool.name}: KubeSpawner makes no claims of devices ({unit.device_class})."] = None
        return None
    chosen = _selections(offered, profile, pool)
    if not chosen:
        return None
    if len(chosen) > _MOST:
        raise CallError(f"The profile {name!r} has {len(chosen)} combinations on the pool {pool.name!r}.", f"A list takes {_MOST} at most.")
    title = f"{profile.profile.title}: {pool.title}" if several else profile.profile.title
    entry: Object = {"display_name": html.escape(title), "slug": f"{name}-{pool.name}"}
    if profile.profile.description:
        entry["description"] = html.escape(profile.profile.description)
    if profile.default and pool.default:
        entry["default"] = True
    first = _selected(offered, {"profile": name, "pool": pool.name})
    choices = {key: _choice(offered, selection, selection == first, notes) for key, selection in chosen.items()}
    return entry | {"profile_options": {_FIELD: {"display_name": "Image and size", "choices": choices}}}


def _choice(offered: Offer, selection: Selection, default: bool, notes: dict[str, None]) -> Object:
    titles = [selection.image.title, selection.size.title, *(choice.title for _, choice in selection.choices)]
    made: Object = {"display_name": html.escape(" · ".join(titles)), **({"default": True} if default else {})}
    return made | {"kubespawner_override": _override(offered, selection, notes)}


def _selections(offered: Offer, profile: ProfileOffer, pool: Item) -> dict[str, Selection]:
    """Every combination that fits on the pool, in the order of the file."""
    images = [image for image in _offered(profile.images) if not offered.facility.images[image or ""].match]
    fields: dict[str, list[str | None]] = {"image": images, "size": _offered(profile.sizes)}
    for each in profile.options:
        # where nothing of an option fits, it is left out
        fields[each.option.name] = [*_offered(each.choices), None]
    found: dict[str, Selection] = {}
    for values in itertools.product(*fields.values()):
        asked = {key: value for key, value in zip(fields, values, strict=True) if value is not None}
        selection = _selected(offered, {"profile": profile.profile.name, "pool": pool.name, **asked})
        if selection is not None:
            found.setdefault(_key(selection), selection)
    return found


def _offered(items: tuple[Item, ...]) -> list[str | None]:
    return [item.name for item in items if item.standing == "offered"]


def _selected(offered: Offer, asked: dict[str, str]) -> Selection | None:
    try:
        return select(offered, asked)
    except RequestError:
        return None


def _key(selection: Selection) -> str:
    return "--".join((selection.image.name, selection.size.name, *(choice.name for _, choice in selection.choices)))


def _override(offered: Offer, selection: Selection, notes: dict[str, None]) -> Object:
    facility = offered.facility
    ids, _ = fixed_ids(facility)
    person = Person(
        name=blank("unescaped_username"),
        issuer="",
        key="",
        owner=blank("owner"),
        namespace="",
        facility_groups=frozenset(offered.entitlements.groups),
        **ids,
    )
    choice = Choice(facility, selection, session_of(facility, selection), person, _Words("", "", person.uid, person.gid))
    made = overlay(choice, files_of(choice, FILES), {})
    traits = Traits(choice, finish(choice, made.pod, made.hows))
    override = traits.all()
    notes |= dict.fromkeys(traits.notes)
    for image in (image for image in facility.images.values() if image.match):
        notes[f"image {image.name}: a list has no references that people type."] = None
    return override


class _Words(Names):
    """Placeholders that KubeSpawner fills in; ids are numbers."""

    __slots__ = ()

    def __getitem__(self, word: str) -> str:
        return Names.__getitem__(self, word) if word in ("uid", "gid") else blank(word)
