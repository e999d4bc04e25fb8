"""What KubeSpawner says of the facility file's ``kubespawner`` keys (`afkit.facility.traits.Traits`)."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from functools import cached_property
from typing import Any

__all__ = ["KubeSpawnerTraits"]


class KubeSpawnerTraits:
    """KubeSpawner's configurable traits. It takes two seconds to import, so it is imported when a file has a trait to check."""

    @cached_property
    def _spawner(self) -> Any:
        return importlib.import_module("kubespawner").KubeSpawner

    @cached_property
    def names(self) -> Collection[str]:
        """The names of all traits."""
        return frozenset(self._spawner.class_traits(config=True))

    def refusal(self, name: str, value: Any) -> str | None:
        """Why the trait does not take the value, in one line; ``None``: it does."""
        # an object whose constructor, which wants a hub and a cluster, has not run; its traits are there all the same
        blank = self._spawner.__new__(self._spawner)
        try:
            # what assignment does, without telling the observers, which want a hub too
            self._spawner.class_traits()[name]._validate(blank, value)
        except Exception as error:  # noqa: BLE001 - validators are foreign code; those that need a hub cannot judge here
            if type(error).__name__ == "TraitError":
                return " ".join(str(error).split())[:200]
        return None
