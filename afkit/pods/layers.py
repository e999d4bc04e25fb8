"""What a server gets from all layers of ``session`` keys together. Pure.

The layers are laid over each other in the order session, pool, image, profile, choices: mappings merge, a later scalar wins,
of ``lifetime`` the shorter, lists of names join, ``null`` removes what earlier layers gave. A secret, a file's text and a
trait's value are one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from afkit.facility.model import Facility, Layer, Lifetime, Removed, SecretKey
from afkit.pods.merge import merge_pods
from afkit.policy.keep import kept
from afkit.policy.layers import layers_of, shortest
from afkit.policy.model import Selection
from afkit.quantities import UNSET

__all__ = ["Session", "session_of"]

_MOST_KEPT: Final = 4096
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Session:
    """What all layers of a choice give its server. Placeholders are not yet filled in; nothing here may be changed.

    ``storage`` are names of shared mounts that the person may have, ``cvmfs`` names of repositories, both in the order of
    the file. ``default_url`` is empty where no layer says one.
    """

    env: Mapping[str, str | SecretKey] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    lifetime: Lifetime = field(default_factory=Lifetime)
    default_url: str = ""
    storage: tuple[str, ...] = ()
    cvmfs: tuple[str, ...] = ()
    pod: Mapping[str, Any] = field(default_factory=dict)
    kubespawner: Mapping[str, Any] = field(default_factory=dict)


def session_of(facility: Facility, selection: Selection) -> Session:
    """The session of a selection. Equal choices share one record, which is kept with the facility."""
    sessions = kept(facility, _Sessions).made
    key = (
        selection.profile.name,
        selection.pool.name,
        selection.image.name,
        selection.storage,
        tuple((option.name, choice.name) for option, choice in selection.choices),
    )
    session = sessions.get(key)
    if session is None:
        if len(sessions) >= _MOST_KEPT:
            sessions.clear()
        layers = layers_of(facility, selection.pool, selection.image, selection.profile, selection.choices)
        session = sessions[key] = merged(facility, layers, selection.storage)
    return session


class _Sessions:
    """The sessions of one facility that were asked for."""

    def __init__(self, _facility: Facility) -> None:
        self.made: dict[tuple[object, ...], Session] = {}


def merged(facility: Facility, layers: tuple[Layer, ...], storage: tuple[str, ...] = ()) -> Session:
    """All layers in one, in their order."""
    repositories = _joined(layers, "cvmfs", lambda layer: () if layer.cvmfs is UNSET else layer.cvmfs)
    known = facility.cvmfs.repositories if facility.cvmfs else {}
    return Session(
        env=_flat(layers, "env", lambda layer: layer.env),
        files=_flat(layers, "files", lambda layer: layer.files),
        lifetime=shortest(layers),
        default_url=_default_url(layers),
        storage=storage,
        cvmfs=(*(name for name in known if name in repositories), *(name for name in repositories if name not in known)),
        pod=_pod(layers),
        kubespawner=_flat(layers, "kubespawner", lambda layer: layer.kubespawner),
    )


def _flat(layers: Iterable[Layer], key: str, of: Callable[[Layer], Mapping[str, _Value | Removed]]) -> Mapping[str, _Value]:
    """A mapping of values that are each one value in a merge."""
    result: dict[str, _Value] = {}
    for layer in layers:
        if key in layer.removed:
            result.clear()
        for name, value in of(layer).items():
            if value is None or isinstance(value, Removed):
                result.pop(name, None)
            else:
                result[name] = value
    return result


def _joined(layers: Iterable[Layer], key: str, of: Callable[[Layer], tuple[str, ...]]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for layer in layers:
        if key in layer.removed:
            names.clear()
        names.update(dict.fromkeys(of(layer)))
    return tuple(names)


def _default_url(layers: Iterable[Layer]) -> str:
    url = ""
    for layer in layers:
        if isinstance(layer.default_url, Removed):
            url = ""
        elif layer.default_url is not UNSET:
            url = layer.default_url
    return url


def _pod(layers: Iterable[Layer]) -> dict[str, Any]:
    pod: dict[str, Any] = {}
    for layer in layers:
        if "pod" in layer.removed:
            pod = {}
        if layer.pod:
            pod = merge_pods(pod, layer.pod)
    return pod
