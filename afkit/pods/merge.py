"""Lays one part of a Pod over another, as a strategic merge patch of Kubernetes does. Pure; its arguments stay unchanged.

Source of the keys: ``patchStrategy`` and ``patchMergeKey`` in Kubernetes' ``core/v1/types.go``; lists without them are
replaced. Three rules of the facility file stand above it: an environment variable and a volume are one value (text and
secret, or two sources, never mix), required node affinity of two layers holds together, and ``null`` removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["merge_pods"]


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A list that is merged by ``key``; ``whole``: an entry of the later layer replaces the earlier one with the same key."""

    key: str
    whole: bool = False
    below: Mapping[str, Any] = field(default_factory=dict)


_CONTAINER: Final = {
    "env": _Keyed("name", whole=True),
    "ports": _Keyed("containerPort"),
    "volumeMounts": _Keyed("mountPath"),
    "volumeDevices": _Keyed("devicePath"),
}
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_TERMS: Final = "nodeSelectorTerms"
_TOGETHER: Final = object()
_POD: Final[Mapping[str, Any]] = {
    "spec": {
        "containers": _Keyed("name", below=_CONTAINER),
        "initContainers": _Keyed("name", below=_CONTAINER),
        "volumes": _Keyed("name", whole=True),
        "resourceClaims": _Keyed("name", whole=True),
        "imagePullSecrets": _Keyed("name"),
        "hostAliases": _Keyed("ip"),
        "topologySpreadConstraints": _Keyed("topologyKey"),
        "schedulingGates": _Keyed("name"),
        "affinity": {"nodeAffinity": {_REQUIRED: _TOGETHER}},
    }
}


def merge_pods(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """``later`` over ``earlier``; both are parts of a Pod (``metadata``, ``spec``) as plain data. ``None`` removes."""
    return _mappings(earlier, later, _POD)


def _mappings(earlier: Mapping[str, Any], later: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(earlier)
    for key, value in later.items():
        if value is None:
            merged.pop(key, None)
        elif key in merged:
            merged[key] = _values(merged[key], value, rules.get(key))
        else:
            merged[key] = _clean(value)
    return merged


def _values(earlier: Any, later: Any, rule: Any) -> Any:
    if rule is _TOGETHER:
        return _together(earlier, later)
    if isinstance(rule, _Keyed) and isinstance(earlier, list) and isinstance(later, list):
        return _lists(earlier, later, rule)
    if isinstance(earlier, Mapping) and isinstance(later, Mapping):
        return _mappings(earlier, later, rule if isinstance(rule, Mapping) else {})
    return _clean(later)


def _lists(earlier: Sequence[Any], later: Sequence[Any], rule: _Keyed) -> list[Any]:
    """Entries with a key that is there already are merged in their place; the others follow."""
    merged = list(earlier)
    places = {entry.get(rule.key): place for place, entry in enumerate(merged)}
    for entry in later:
        place = places.get(entry.get(rule.key))
        if place is None:
            places[entry.get(rule.key)] = len(merged)
            merged.append(_clean(entry))
        else:
            merged[place] = _clean(entry) if rule.whole else _mappings(merged[place], entry, rule.below)
    return merged


def _together(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Required node affinity that demands both: terms are alternatives, so every pair of terms becomes one."""
    first, second = earlier.get(_TERMS) or [], later.get(_TERMS) or []
    if not first or not second:
        return {_TERMS: _clean(first or second)}
    return {_TERMS: [_both(one, other) for one in first for other in second]}


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    keys = dict.fromkeys((*one, *other))
    return {
        key: [*_clean(one.get(key) or []), *(each for each in _clean(other.get(key) or []) if each not in (one.get(key) or []))]
        for key in keys
    }


def _clean(value: Any) -> Any:
    """A copy without what a ``null`` removes: in what is new there is nothing to remove."""
    if isinstance(value, str):
        return value
    if type(value) is dict or isinstance(value, Mapping):  # the look for a mapping takes long
        return {key: _clean(one) for key, one in value.items() if one is not None}
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value
