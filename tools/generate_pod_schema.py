"""Writes `afkit/facility/pod_schema.json`: what Kubernetes takes in a Pod, a volume and a network policy, as a compact JSON schema.

The types come from the models of the `kubernetes` client. What these do not know stands below, with its source: words of
enumerations, and the keys by which a strategic merge patch merges lists (the API's own `patchMergeKey`).

    python -m tools.generate_pod_schema [--check]
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

from kubernetes.client import models

OUT = Path(__file__).resolve().parents[1] / "afkit" / "facility" / "pod_schema.json"
ROOTS = {
    "PodSpec": "V1PodSpec",
    "Volume": "V1Volume",
    "CSIPersistentVolumeSource": "V1CSIPersistentVolumeSource",
    "NetworkPolicyEgressRule": "V1NetworkPolicyEgressRule",
    "NetworkPolicyIngressRule": "V1NetworkPolicyIngressRule",
    "ObjectMeta": "V1ObjectMeta",
}

# Kubernetes API reference, core/v1: the words that each key takes
WORDS = {
    "imagePullPolicy": ["Always", "IfNotPresent", "Never"],
    "terminationMessagePolicy": ["File", "FallbackToLogsOnError"],
    "dnsPolicy": ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    "preemptionPolicy": ["Never", "PreemptLowerPriority"],
    "mountPropagation": ["None", "HostToContainer", "Bidirectional"],
    "whenUnsatisfiable": ["DoNotSchedule", "ScheduleAnyway"],
    "fsGroupChangePolicy": ["Always", "OnRootMismatch"],
    "procMount": ["Default", "Unmasked"],
    "pullPolicy": ["Always", "IfNotPresent", "Never"],
}
WORDS_OF = {
    ("PodSpec", "restartPolicy"): ["Always", "OnFailure", "Never"],
    ("Toleration", "effect"): ["NoSchedule", "PreferNoSchedule", "NoExecute"],
    ("Toleration", "operator"): ["Exists", "Equal", "Lt", "Gt"],
    ("NodeSelectorRequirement", "operator"): ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"],
    ("LabelSelectorRequirement", "operator"): ["In", "NotIn", "Exists", "DoesNotExist"],
    ("SeccompProfile", "type"): ["Localhost", "RuntimeDefault", "Unconfined"],
    ("AppArmorProfile", "type"): ["Localhost", "RuntimeDefault", "Unconfined"],
    ("HostPathVolumeSource", "type"): [
        "",
        "DirectoryOrCreate",
        "Directory",
        "FileOrCreate",
        "File",
        "Socket",
        "CharDevice",
        "BlockDevice",
    ],
    ("HTTPGetAction", "scheme"): ["HTTP", "HTTPS"],
    ("ContainerPort", "protocol"): ["TCP", "UDP", "SCTP"],
    ("NetworkPolicyPort", "protocol"): ["TCP", "UDP", "SCTP"],
}

# Kubernetes API, types.go of core/v1: patchMergeKey of each list that a strategic merge patch merges
MERGE_KEYS = {
    ("PodSpec", "containers"): "name",
    ("PodSpec", "initContainers"): "name",
    ("PodSpec", "volumes"): "name",
    ("PodSpec", "hostAliases"): "ip",
    ("PodSpec", "imagePullSecrets"): "name",
    ("PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("PodSpec", "resourceClaims"): "name",
    ("PodSpec", "schedulingGates"): "name",
    ("Container", "env"): "name",
    ("Container", "ports"): "containerPort",
    ("Container", "volumeMounts"): "mountPath",
    ("Container", "volumeDevices"): "devicePath",
}

# amounts are text to the models and quantities to the API: numbers are taken too
QUANTITIES = {("ResourceRequirements", "limits"), ("ResourceRequirements", "requests"), ("PodSpec", "overhead")}
QUANTITY_KEYS = {"sizeLimit", "divisor", "storage"}


def short(name: str) -> str:
    """The name of a type without its version."""
    return re.sub(r"^(Core)?V[0-9]+", "", name)


class Schema:
    """Collects the definitions that the roots need."""

    def __init__(self) -> None:
        self.defs: dict[str, Any] = {}

    def type_of(self, text: str, owner: str, key: str) -> Any:
        """The schema of one type of the client."""
        match = re.fullmatch(r"(List|Dict)\[(.*)\]", text)
        if match and match[1] == "List":
            return {"type": "array", "items": self.type_of(match[2], owner, key)}
        if match:
            inner: Any = self.type_of(match[2].split(",", 1)[1].strip(), owner, key)
            if (owner, key) in QUANTITIES:
                inner = {"type": ["string", "number"]}
            return {"type": "object", "additionalProperties": inner}
        if hasattr(models, text):
            self.define(text)
            return {"$ref": f"#/$defs/{short(text)}"}
        if text == "object":
            return {"type": ["string", "integer"]} if key == "port" else {}
        if text == "str" and key in QUANTITY_KEYS:
            return {"type": ["string", "number"]}
        plain = {"type": {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "datetime": "string"}[text]}
        words = WORDS_OF.get((owner, key), WORDS.get(key)) if text == "str" else None
        return plain | {"enum": words} if words else plain

    def define(self, name: str) -> None:
        """Add a type and all that it needs."""
        owner = short(name)
        if owner in self.defs:
            return
        properties: dict[str, Any] = {}
        self.defs[owner] = {"type": "object", "properties": properties, "additionalProperties": False}
        model = getattr(models, name)
        for field, text in model.openapi_types.items():
            key = model.attribute_map[field]
            properties[key] = self.type_of(text, owner, key)
            merge = MERGE_KEYS.get((owner, key))
            if merge:
                properties[key]["x-merge-key"] = merge
        required = [model.attribute_map[field] for field, info in model.model_fields.items() if info.is_required()]
        if required:
            self.defs[owner]["required"] = required


def generate() -> str:
    """The text of the schema file."""
    schema = Schema()
    for name in ROOTS.values():
        schema.define(name)
    source = json.loads(json.dumps(schema.defs["Volume"]))
    source["properties"].pop("name")
    source["required"].remove("name")
    schema.defs["VolumeSource"] = source
    version = importlib.metadata.version("kubernetes")
    lines = [f"{json.dumps(name)}: {json.dumps(one, separators=(',', ':'))}" for name, one in sorted(schema.defs.items())]
    head = f'"$comment": "Made by tools/generate_pod_schema.py from the models of the kubernetes client {version}."'
    return "{\n" + head + ',\n"$defs": {\n' + ",\n".join(lines) + "\n}\n}\n"


def main() -> int:
    """Write the file, or with ``--check`` say whether it is fresh."""
    text = generate()
    if "--check" in sys.argv[1:]:
        fresh = OUT.exists() and OUT.read_text() == text
        print(f"{OUT.name} is {'fresh' if fresh else 'stale: run python -m tools.generate_pod_schema'}")
        return 0 if fresh else 1
    OUT.write_text(text)
    print(f"wrote {OUT.name}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
