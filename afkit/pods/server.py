"""All objects of one server: its Pod, what goes with it, and the claims that are made for it and kept. Pure, byte-stable.

Most of a server follows from the choice alone. What is a person's (names, owner, namespace, placeholders) is left blank in a
first making, which is kept with the facility; each server after it is a copy with the blanks filled in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.pods.blanks import Filler, Slot, Writer, blank, filler, in_json, writer
from afkit.pods.built import ServerObjects as ServerObjects, built
from afkit.pods.layers import session_of
from afkit.pods.overlay import Choice
from afkit.pods.person import Person
from afkit.pods.placeholders import PLACEHOLDERS, Names
from afkit.pods.site import Site
from afkit.pods.slugs import label
from afkit.pods.storage import check_claim_name
from afkit.policy.keep import kept
from afkit.policy.model import Selection

__all__ = ["ServerObjects", "server_objects"]

_VERSIONS: Final = ("hub.jupyter.org/kubespawner-version", "hub.jupyter.org/jupyterhub-version")
"""What KubeSpawner notes of the hub: the same choice gives the same Pod after an upgrade."""
_MOST_KEPT: Final = 1024
_UNPLAIN: Final = re.compile(r"[$(]|-\Z")
"""What of a login name changes the text beside it: references of Kubernetes, a dash at the end of a name."""
_WORDS: Final = frozenset((*PLACEHOLDERS, "name", "owner", "namespace", "pod"))
_IDS: Final[Mapping[str, Callable[[Person], Any]]] = {
    "runAsUser": lambda person: person.uid,
    "runAsGroup": lambda person: person.gid,
    "fsGroup": lambda person: person.fs_gid,
    "supplementalGroups": lambda person: list(person.groups),
}
"""What of a Pod's ``securityContext`` is the person's, where it stands there."""
_ENCODE: Final = json.JSONEncoder(check_circular=False).encode
_MOST_TEXT: Final = 2**19
"""Bytes of files with which the blanks may make more than a Secret holds."""


def server_objects(
    facility: Facility, selection: Selection, person: Person, server_name: str, site: Site, *, written: bool = False
) -> ServerObjects:
    """The objects of a choice. Raises `RequestError` where placeholders or files of this person make none of them.

    ``written``: the Pod may be given as the bytes that are sent, which takes a fraction of the time.
    """
    names = person.names(server_name)
    making = _making(facility, selection, person, names, site)
    if making is not None:
        return (_written if written else _filled)(making, person, names, site)
    objects = built(Choice(facility, selection, session_of(facility, selection), person, names), site)
    _check_claims(_claim_names(objects.pod))
    _note(objects.pod["metadata"], site.base.get("metadata") or {}, person)
    return objects


def _claim_names(pod: Mapping[str, Any]) -> list[str]:
    volumes = pod["spec"]["volumes"]
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]


def _check_claims(names: Iterable[str]) -> None:
    for name in names:
        check_claim_name(name)


def _note(about: dict[str, Any], base: Mapping[str, Any], person: Person) -> None:
    """Labels and annotations of the hub's own, under those of the file."""
    labels = {**(base.get("labels") or {}), "hub.jupyter.org/username": label(person.name), **about["labels"]}
    annotations = {**(base.get("annotations") or {}), **about["annotations"]}
    about["labels"] = {key: labels[key] for key in sorted(labels)}
    about["annotations"] = {key: annotations[key] for key in sorted(annotations) if key not in _VERSIONS}


class _Blanks(Names):
    """Placeholders that stay blank. The name of a server matters where there is none."""

    __slots__ = ()

    def __getitem__(self, word: str) -> str:
        return "" if word == "servername" and not self.server else blank(word)


class _Making:
    """Servers of one kind, with blanks: as data, and as the bytes that are sent."""

    def __init__(self, made: ServerObjects) -> None:
        self._made = made
        self.data = filler([made.pod, made.claims, made.owned])

    @cached_property
    def beside(self) -> Filler:
        """What goes with a Pod that is written: its ``metadata``, the names of its claims, and the other objects."""
        return filler([self._made.pod["metadata"], _claim_names(self._made.pod), self._made.claims, self._made.owned])

    @cached_property
    def pod(self) -> Writer:
        """The Pod; ``metadata`` and the ids are slots."""
        spec = self._made.pod["spec"]
        context = {name: Slot(name) if name in _IDS else value for name, value in spec["securityContext"].items()}
        return writer({**self._made.pod, "metadata": Slot("metadata"), "spec": {**spec, "securityContext": context}})


class _Kept:
    """The makings of one facility. ``None``: servers of this kind are made one by one; the first of a kind always is."""

    def __init__(self, _facility: Facility) -> None:
        self.makings: dict[tuple[object, ...], _Making | None] = {}
        self.once: set[tuple[object, ...]] = set()

    def get(self, key: tuple[object, ...], make: Callable[[], _Making | None]) -> _Making | None:
        """The making of this kind, made when the second server of it is asked for."""
        try:
            return self.makings[key]
        except KeyError:
            if key in self.once:
                made = self.makings[key] = make()
                return made
        if len(self.once) >= _MOST_KEPT:
            self.once.clear()
            self.makings.clear()
        self.once.add(key)
        return None


def _making(facility: Facility, selection: Selection, person: Person, names: Names, site: Site) -> _Making | None:
    """The making with blanks for servers like this one; ``None``: this one is made by itself."""
    if _UNPLAIN.search(person.name):
        return None
    spec = site.base.get("spec")
    key = (
        selection.profile.name,
        selection.pool.name,
        selection.reference,
        selection.image.name,
        selection.size.name,
        selection.storage,
        *[choice.name for _, choice in selection.choices],
        person.facility_groups,
        person.root,
        person.uid == 0,
        person.fs_gid is None,
        not person.groups,
        not names.server,
        site.port,
        _ENCODE(spec) if spec else "",
    )
    return kept(facility, _Kept).get(key, lambda: _with_blanks(facility, selection, person, names, site))


def _with_blanks(facility: Facility, selection: Selection, person: Person, names: Names, site: Site) -> _Making | None:
    nobody = replace(person, name=blank("name"), owner=blank("owner"), namespace=blank("namespace"))
    choice = Choice(facility, selection, session_of(facility, selection), nobody, _Blanks("", names.server))
    base = site.base.get("spec") or {}
    made = built(choice, Site(blank("pod"), {"spec": base}, site.port))
    theirs = any(container.get("volumeMounts") for container in base.get("containers") or ())
    # the same path, once with a placeholder, is the same only for some
    alike = theirs and any("\0" in mount["mountPath"] for mount in made.pod["spec"]["containers"][0]["volumeMounts"])
    large = sum(map(len, choice.session.files.values())) > _MOST_TEXT
    prepared = _Making(made)
    return None if alike or large or not prepared.data.words <= _WORDS else prepared


def _filled(making: _Making, person: Person, names: Names, site: Site) -> ServerObjects:
    pod, claims, owned = making.data.fill(_values(making, person, names, site))
    context = pod["spec"]["securityContext"]
    for name in _IDS.keys() & context.keys():
        context[name] = _IDS[name](person)
    _check_claims(_claim_names(pod))
    _note(pod["metadata"], site.base.get("metadata") or {}, person)
    return ServerObjects(pod, tuple(claims), owned[0], tuple(owned))


def _written(making: _Making, person: Person, names: Names, site: Site) -> ServerObjects:
    values = _values(making, person, names, site)
    about, claim_names, claims, owned = making.beside.fill(values)
    _check_claims(claim_names)
    _note(about, site.base.get("metadata") or {}, person)
    # numbers and lists of numbers are in Python what they are in JSON
    slots = {name: str(_IDS[name](person)) for name in making.pod.slots if name in _IDS}
    body = making.pod.write(values, {**slots, "metadata": in_json(about)})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
    return ServerObjects(pod, tuple(claims), owned[0], tuple(owned), body)


def _values(making: _Making, person: Person, names: Names, site: Site) -> dict[str, str]:
    values = {"name": person.name, "owner": person.owner, "namespace": person.namespace, "pod": site.pod_name}
    for word in making.data.words:
        if word not in values:
            values[word] = names[word]
    return values
