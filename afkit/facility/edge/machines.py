"""``pools``, ``images`` and ``sizes``: what there is to run on, what is run, and how large."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, PlainValidator, WithJsonSchema

from afkit.facility.edge.base import Part, many, may, need, refuse, reserved, several
from afkit.facility.edge.layer import LayerKeys
from afkit.facility.edge.types import (
    Count,
    Cpu,
    CpuOrNone,
    LabelKey,
    LabelValue,
    Line,
    Memory,
    MemoryOrNone,
    MemoryOrZero,
    ObjectName,
    Positive,
    Version,
    unique,
)
from afkit.quantities import UNSET

Architecture = Literal["amd64", "arm64"]

_RESOURCE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_SHARE = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", re.ASCII)
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_PATTERN = re.compile(r"[-A-Za-z0-9_.:/@*]+", re.ASCII)


def is_reference(text: str) -> bool:
    """Whether ``text`` is an image reference: registry, path, tag, digest (grammar of the distribution project)."""
    return len(text) <= 1000 and _REFERENCE.fullmatch(text) is not None


def _resource(text: str) -> str:
    if not _RESOURCE.fullmatch(text):
        refuse("AF217", f"{text[:80]!r} is no extended resource.", "Write DOMAIN/NAME, for example nvidia.com/gpu.")
    return text


def _reference(text: str) -> str:
    if not is_reference(text):
        hint = "Write REGISTRY/PATH:TAG@sha256:DIGEST; for a pattern take `match`."
        refuse("AF219", f"{text[:120]!r} is no image reference.", hint)
    return text


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text) or "***" in text or len(text) > 500:
        refuse(
            "AF219",
            f"{text[:120]!r} is no pattern of image references.",
            "Write a reference with * within a part of the path, or ** across.",
        )
    return text


def _share(value: Any) -> Fraction:
    if not isinstance(value, str):
        refuse("AF203", "A share is a text.", 'Write a fraction such as "1/8".')
    match = _SHARE.fullmatch(value)
    if match is None or Fraction(value) > 1:
        refuse("AF217", f"{value[:40]!r} is no share of a node.", "Write a fraction such as 1/8, at most 1/1.")
    return Fraction(int(match[1]), int(match[2]))


def _nodes(value: Any) -> tuple[int, int]:
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or any(isinstance(one, bool) or not isinstance(one, int) for one in pair):
        refuse("AF203", "Nodes are a number, or a pair of fewest and most.", "Write 20, or [0, 20].")
    if not 0 <= pair[0] <= pair[1] < 2**31 or pair[1] == 0:
        refuse("AF216", "The most nodes are fewer than the fewest, or none.", "Write the fewest first, and at least 1 as the most.")
    return (pair[0], pair[1])


Share = Annotated[Fraction, PlainValidator(_share), WithJsonSchema({"type": "string", "pattern": "^[0-9]+/[0-9]+$", "examples": ["1/8"]})]
Nodes = Annotated[
    tuple[int, int],
    PlainValidator(_nodes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]
Resource = Annotated[str, AfterValidator(_resource)]
Reference = Annotated[str, AfterValidator(_reference)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Taint(Part):
    """A taint of the nodes; the toleration is derived."""

    key: LabelKey = need("Key.", examples=["nvidia.com/gpu"])
    value: LabelValue | None = may("Value.")
    effect: Effect = need("Effect.", examples=["NoSchedule"])


class Toleration(Part):
    """An extra toleration as Kubernetes writes it."""

    key: LabelKey | None = may("Key; absent: every taint.")
    operator: Literal["Exists", "Equal"] | None = may("Operator.", shown="Equal")
    value: LabelValue | None = may("Value.")
    effect: Effect | None = may("Effect.", shown="(every effect)")
    tolerationSeconds: int | None = may("Seconds, for the effect NoExecute.")


class Node(Part):
    """What one node offers after system overhead."""

    cpu: Cpu | None = may("CPU.", shown="(unknown)")
    memory: Memory | None = may("Memory.", shown="(unknown)")
    ephemeral_storage: Memory | None = may("Node disk.", shown="(unknown)", examples=["400Gi"])


class Accelerator(Part):
    """The accelerators of a pool's nodes: exactly one of `resource` and `device_class`."""

    vendor: Literal["nvidia", "amd", "intel"] = need("Vendor.", examples=["nvidia"])
    product: LabelValue | None = may("Product; only then the vendor's product label is selected.", examples=["NVIDIA-A100-SXM4-40GB"])
    memory: Memory | None = may("Memory of one unit.", shown="(unknown)", examples=["40Gi"])
    per_node: Positive | None = may("Units of `resource` that one node advertises.", shown="(unknown)", examples=[4])
    sharing: Literal["exclusive", "mig", "time-slicing", "mps"] = may(
        "How a device is shared; users are told what it isolates.", "exclusive"
    )
    resource: Resource | None = may("Extended resource.", shown="(or device_class)", examples=["nvidia.com/gpu"])
    device_class: ObjectName | None = may(
        "Device class of Dynamic Resource Allocation.", shown="(or resource)", examples=["gpu.nvidia.com"]
    )
    selectors: list[Line] = many("CEL expressions that select devices of the class.")
    cuda: Version | None = may("Newest CUDA runtime that the nodes' driver supports.", shown="(unknown)", examples=["12.8"])
    rocm: Version | None = may("Newest ROCm runtime that the nodes' driver supports.", shown="(unknown)", examples=["6.4"])


class Pool(LayerKeys):
    """A node pool."""

    title: Line | None = may("Name for people.", shown="(the name)")
    arch: Architecture = need("Architecture of the nodes.", examples=["amd64"])
    node_selector: dict[LabelKey, LabelValue] = several("Labels of the nodes.", examples=[{"example.org/pool": "cpu"}])
    taints: list[Taint] = many("Taints of the nodes: tolerations are derived.")
    tolerations: list[Toleration] = many("Extra tolerations.")
    node: Node = may("What one node offers after system overhead.", Node(), shown="(unknown)")
    nodes: Nodes | None = may("How many nodes: a number, or the autoscaler's pair.", shown="(unknown)", examples=[[0, 20]])
    spot: bool = may("Nodes may vanish at any time.", False)
    runtime_class: ObjectName | None = may("Runtime class of the Pods.", shown="(the cluster's)")
    provider: str = may("Where Pods come from; others are reserved.", "kubernetes")
    queue: Any = reserved("Reserved.")
    accelerator: Accelerator | None = may("The nodes' accelerators.", shown="(none)")


class Image(LayerKeys):
    """An image, or patterns of references that people may type."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["image"]}, {"required": ["match"]}]})

    title: Line | None = may("Name for people.", shown="(the name)")
    description: str = may("What is in it.", "")
    image: Reference | None = may("Reference, best with a digest.", shown="(or match)", examples=["registry.example.org/af/base:2026.11"])
    match: Annotated[list[Pattern], AfterValidator(unique)] = many(
        "Patterns of whole references: * within a part of the path, ** across.", examples=[["registry.example.org/groups/**"]]
    )
    arch: Annotated[list[Architecture], AfterValidator(unique)] = need("Architectures of the image.", examples=[["amd64", "arm64"]])
    cuda: Version | None = may("Oldest CUDA driver runtime that it needs.", shown="(none)", examples=["12.4"])
    rocm: Version | None = may("Oldest ROCm driver runtime that it needs.", shown="(none)", examples=["6.2"])


class Size(Part):
    """A size: `cpu` and `memory`, or a `share` of one node."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["cpu", "memory"], "not": {"required": ["share"]}},
                {"required": ["share"], "not": {"anyOf": [{"required": ["cpu"]}, {"required": ["memory"]}]}},
            ]
        }
    )

    title: Line | None = may("Name for people.", shown="(the name)")
    cpu: Cpu | None = may("CPU request.", shown="(or share)")
    memory: Memory | None = may("Memory request.", shown="(or share)")
    share: Share | None = may("Part of the CPU and memory of one node of the pool.", shown="(or cpu and memory)")
    cpu_limit: CpuOrNone = may("CPU limit; `none`: none.", UNSET, shown="(the request; of a share the whole node)")
    memory_limit: MemoryOrNone = may("Memory limit; `none`: none.", UNSET, shown="(the request)")
    ephemeral_storage: Memory | None = may("Node disk.", shown="(not said)", examples=["10Gi"])
    shm: MemoryOrZero | None = may(
        "Size of /dev/shm; it counts as memory.", shown="(half of the memory limit, or of the request)", examples=["8Gi"]
    )
    accelerators: Count | None = may("Units of the pool's accelerator.", shown="(1 on an accelerated pool, else 0)")
