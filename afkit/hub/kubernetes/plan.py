"""What is decided of a start before anything is made: the choice, the person, and the hub's part of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.hub.kubernetes.making import Marks
from afkit.hub.running import Running, lifetime_setting
from afkit.pods.person import Person
from afkit.policy.model import Selection

__all__ = ["Plan", "hub_environment"]

_NOT_OURS: Final = frozenset(
    ("CPU_GUARANTEE", "CPU_LIMIT", "JUPYTER_IMAGE", "JUPYTER_IMAGE_SPEC", "JUPYTERHUB_DEFAULT_URL", "MEM_GUARANTEE", "MEM_LIMIT")
)
"""What the hub would say of the choice: the Pod says it already."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A start that was granted: by which facility, what, for whom."""

    facility: Facility
    selection: Selection
    person: Person

    @property
    def marks(self) -> Marks:
        """Whose the objects of the server have to be."""
        return Marks(self.facility.name, self.person.owner)


def hub_environment(spawner: Any, running: Running, dask: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """What only the hub knows, for the Secret; and what an administrator's own code gives, as Kubernetes writes it.

    The administrator's ``environment`` without code is in the configured Pod already.
    """
    given: Mapping[str, Any] = spawner.get_env()
    computed = {name for name, value in spawner.environment.items() if callable(value)}
    others = {*spawner.environment, *_NOT_OURS}
    secret = {name: str(value) for name, value in given.items() if name not in others and not isinstance(value, dict | list)}
    secret |= {"AFKIT_LIFETIME": lifetime_setting(running), "AFKIT_DASK": dask}
    own = [_variable(name, given[name]) for name in sorted(computed) if given.get(name) is not None]
    return secret, own


def _variable(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, **value} if isinstance(value, dict) else {"name": name, "value": str(value)}
