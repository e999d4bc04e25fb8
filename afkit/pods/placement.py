"""Where a Pod may run and what it takes there: a pool and its resources as parts of a Pod. Pure.

Derived, never written by hand: the architecture's selector, tolerations for the pool's taints and for the taint that clouds
put on ARM64 nodes, ``NVIDIA_VISIBLE_DEVICES=void`` where no NVIDIA GPU was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afkit.facility.model import Accelerator, Pool
from afkit.policy.model import Resources
from afkit.quantities import format_cpu, format_memory

__all__ = ["DEVICES", "PRODUCT_LABELS", "accelerator_env", "container_resources", "device_template", "node_labels", "placement"]

ARCH_LABEL: Final = "kubernetes.io/arch"
PRODUCT_LABELS: Final = {"nvidia": "nvidia.com/gpu.product", "amd": "amd.com/gpu.product-name", "intel": "gpu.intel.com/product"}
"""The label with which each vendor's feature discovery names the product of a node."""
DEVICES: Final = "accelerator"
"""Name of the Pod's claim of devices, and of the request in it."""
_ARM64: Final = {"key": ARCH_LABEL, "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}


def node_labels(pool: Pool) -> dict[str, str]:
    """The labels of the nodes of a pool; all of them are selected."""
    labels = {**pool.node_selector, ARCH_LABEL: pool.arch}
    unit = pool.accelerator
    if unit is not None and unit.product is not None:
        labels[PRODUCT_LABELS[unit.vendor]] = unit.product
    return dict(sorted(labels.items()))


def placement(pool: Pool) -> dict[str, Any]:
    """The part of a Pod's ``spec`` that binds it to the pool's nodes: ``nodeSelector``, ``tolerations``, ``runtimeClassName``."""
    spec: dict[str, Any] = {"nodeSelector": node_labels(pool)}
    tolerations = _tolerations(pool)
    if tolerations:
        spec["tolerations"] = tolerations
    if pool.runtime_class is not None:
        spec["runtimeClassName"] = pool.runtime_class
    return spec


def _tolerations(pool: Pool) -> list[dict[str, Any]]:
    wanted = [_toleration(taint) for taint in pool.taints]
    if pool.arch == "arm64":
        wanted.append(dict(_ARM64))
    wanted += [dict(one) for one in pool.tolerations]
    return [one for place, one in enumerate(wanted) if one not in wanted[:place]]


def _toleration(taint: Mapping[str, Any]) -> dict[str, Any]:
    """What tolerates this taint and no other of its key."""
    value = {"value": taint["value"]} if taint.get("value") else {}
    return {"key": taint["key"], "operator": "Equal", **value, "effect": taint["effect"]}


def container_resources(pool: Pool, resources: Resources) -> dict[str, Any]:
    """Requests and limits of the main container, accelerators among them; a claim of devices stands beside CPU and memory."""
    requests = {"cpu": format_cpu(resources.cpu), "memory": format_memory(resources.memory)}
    if resources.ephemeral_storage is not None:
        requests["ephemeral-storage"] = format_memory(resources.ephemeral_storage)
    limits: dict[str, str] = {}
    if resources.cpu_limit is not None:
        limits["cpu"] = format_cpu(resources.cpu_limit)
    if resources.memory_limit is not None:
        limits["memory"] = format_memory(resources.memory_limit)
    unit = pool.accelerator
    made: dict[str, Any] = {"requests": requests}
    if unit is not None and resources.accelerators:
        if unit.resource is not None:
            # of an extended resource, request and limit must be equal
            requests[unit.resource] = limits[unit.resource] = str(resources.accelerators)
        else:
            made["claims"] = [{"name": DEVICES}]
    return made | ({"limits": limits} if limits else {})


def accelerator_env(pool: Pool, resources: Resources) -> dict[str, str]:
    """Without a GPU, images that ask for all NVIDIA devices must not get those of others."""
    unit = pool.accelerator
    return {} if unit is not None and unit.vendor == "nvidia" and resources.accelerators else {"NVIDIA_VISIBLE_DEVICES": "void"}


def device_template(pool: Pool, resources: Resources, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ResourceClaimTemplate of a pool with ``device_class``; ``None`` where nothing is claimed."""
    unit = pool.accelerator
    if unit is None or unit.device_class is None or not resources.accelerators:
        return None
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": dict(metadata),
        "spec": {
            "metadata": {"labels": dict(metadata["labels"]), "annotations": dict(metadata["annotations"])},
            "spec": {"devices": {"requests": [{"name": DEVICES, "exactly": _devices(unit, resources.accelerators)}]}},
        },
    }


def _devices(unit: Accelerator, count: int) -> dict[str, Any]:
    exactly: dict[str, Any] = {"deviceClassName": unit.device_class, "allocationMode": "ExactCount", "count": count}
    if unit.selectors:
        exactly["selectors"] = [{"cel": {"expression": expression}} for expression in unit.selectors]
    return exactly
