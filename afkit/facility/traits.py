"""Checks ``kubespawner`` against KubeSpawner itself, which only the caller may know."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, Protocol

from afkit.facility.pod_rules import HUB_TRAITS, OWNED_TRAITS
from afkit.facility.references import layer_data
from afkit.facility.report import Report
from afkit.facility.rules import Data, mapping
from afkit.facility.tree import Document, Place


class Traits(Protocol):
    """KubeSpawner as far as this file concerns it."""

    @property
    def names(self) -> Collection[str]:
        """Its configurable traits."""

    def refusal(self, name: str, value: Any) -> str | None:
        """Why a trait does not take a value, in one line; ``None``: it does."""


def check_traits(data: Data, document: Document, report: Report, traits: Traits | Literal["missing"] | None) -> None:
    """Check every trait of every layer; with ``missing`` there is one warning, with ``None`` nobody asked."""
    if traits is None:
        return
    for path, layer in layer_data(data):
        for trait, value in mapping(layer, "kubespawner").items():
            if trait in OWNED_TRAITS or trait in HUB_TRAITS:
                continue
            here = (*path, "kubespawner", trait)
            if traits == "missing":
                message = "The keys of `kubespawner` were not checked: KubeSpawner is not installed here."
                report.add("AF410", document.key_place(here), message, "Install afkit[kubernetes] and check again.")
                return
            _check_trait(trait, value, (document.key_place(here), document.place(here)), report, traits)


def _check_trait(trait: str, value: Any, places: tuple[Place, Place], report: Report, traits: Traits) -> None:
    """``places``: of the key, and of its value."""
    if trait not in traits.names:
        close = report.near(trait, traits.names)
        hint = f"Did you mean {close!r}?" if close else "Look it up in KubeSpawner's documentation."
        report.add("AF407", places[0], f"KubeSpawner has no trait {trait[:60]!r}.", hint)
        return
    why = None if value is None else traits.refusal(trait, value)
    if why is not None:
        report.add("AF408", places[1], f"KubeSpawner refuses this value of {trait}: {why}", "Write what the trait takes.")
