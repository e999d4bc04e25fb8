"""What pods take and nodes offer, as whole numbers: millicores for ``cpu``, bytes for memory, units for everything else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

__all__ = ["Amounts", "amounts", "pod_requests"]

Amounts = Mapping[str, int]

_SCALES: Final = {
    "": Decimal(1),
    **{unit: Decimal(10) ** power for unit, power in (("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15))},
    **{unit: Decimal(2) ** power for unit, power in (("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60))},
    "E": Decimal(10) ** 18,
}


@lru_cache(maxsize=4096)
def _amount(resource: str, text: str) -> int:
    number = text.rstrip("numkKMGTPEi")
    try:
        value = Decimal(number) * _SCALES[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return 0
    return int((value * 1000 if resource == "cpu" else value).to_integral_value(ROUND_CEILING))


def amounts(quantities: Mapping[str, Any] | None) -> dict[str, int]:
    """Quantities as Kubernetes writes them (and has checked) in whole numbers."""
    return {resource: _amount(resource, str(text)) for resource, text in (quantities or {}).items()}


def pod_requests(spec: Mapping[str, Any]) -> dict[str, int]:
    """What a pod takes of its node, as the scheduler counts it.

    The sum of the containers and of the sidecars (init containers that go on), or one init container with the sidecars that run
    by then if that is more; then what the runtime class takes. One ``pods`` is counted too. Requests of the pod as a whole win.
    """
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        wanted = _requests(container)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, wanted))
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, _sum((sidecars, wanted)))
    running = _sum((sidecars, *(_requests(container) for container in spec.get("containers") or ())))
    whole = _most(peak, running) | _requests(spec)
    return {**_sum((whole, amounts(spec.get("overhead")))), "pods": 1}


def _requests(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources") or {}
    # the API server fills requests in from limits; manifests that it has not seen yet lack them
    return amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _sum(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in many:
        for resource, amount in one.items():
            total[resource] = total.get(resource, 0) + amount
    return total


def _most(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {resource: max(left.get(resource, 0), right.get(resource, 0)) for resource in {**left, **right}}
