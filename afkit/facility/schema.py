"""The JSON schema (draft 2020-12) of the facility file, from the models that read it; of a Pod, from Kubernetes' own."""

from __future__ import annotations

from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from afkit.facility.edge.root import FacilityFile
from afkit.facility.kube_schema import definitions

_PREFIX: Final = "Kubernetes."
_LABELS: Final = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_POD: Final = {
    "type": "object",
    "properties": {
        "metadata": {"type": "object", "properties": {"labels": _LABELS, "annotations": _LABELS}, "additionalProperties": False},
        "spec": {"$ref": f"#/$defs/{_PREFIX}PodSpec"},
    },
    "additionalProperties": False,
}
_VOLUME: Final = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "anyOf": [
        {"$ref": f"#/$defs/{_PREFIX}VolumeSource"},
        {
            "properties": {"csi": {"$ref": f"#/$defs/{_PREFIX}CSIPersistentVolumeSource"}},
            "required": ["csi"],
            "additionalProperties": False,
        },
    ],
}
# keys whose values Kubernetes defines: model, key, schema of the value
_KUBERNETES: Final = (
    ("Mount", "volume", _VOLUME),
    ("Home", "volume", _VOLUME),
    ("Network", "egress", {"type": "array", "items": {"$ref": f"#/$defs/{_PREFIX}NetworkPolicyEgressRule"}}),
    ("Network", "ingress", {"type": "array", "items": {"$ref": f"#/$defs/{_PREFIX}NetworkPolicyIngressRule"}}),
)


class _Generator(GenerateJsonSchema):
    """Writes what the file may say: absent is not null, and defaults are as the file writes them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Say nothing of null: a key that may be absent is not a key that may be null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Say nothing of the default: inside the model it is a number; the file's own spelling is added afterwards."""
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave titles out that only repeat the key."""
        del schema
        return False


def json_schema() -> dict[str, Any]:
    """The schema of the whole file."""
    schema = FacilityFile.model_json_schema(schema_generator=_Generator, mode="validation")
    _tidy(schema)
    defs = schema["$defs"]
    for name in ("Session", "Pool", "Image", "Profile", "Choice"):
        defs[name]["properties"]["pod"] |= _POD
    for name, key, value in _KUBERNETES:
        defs[name]["properties"][key] |= value
    for name, one in definitions().items():
        defs[_PREFIX + name] = _layered(one)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def shown_default(info: FieldInfo) -> Any:
    """The default of a key as the file would write it, or a sentence in parentheses; ``None``: there is nothing to say."""
    extra = info.json_schema_extra
    return extra.get("shown") if isinstance(extra, dict) else None


def _tidy(schema: Any) -> None:
    if isinstance(schema, dict):
        shown = schema.pop("shown", None)
        if shown is not None and not (isinstance(shown, str) and shown.startswith("(")):
            schema["default"] = shown
        if "patternProperties" in schema:
            # the patterns are rules of names, and no others are taken
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            _tidy(value)
    elif isinstance(schema, list):
        for value in schema:
            _tidy(value)


def _layered(schema: Any) -> Any:
    """A definition of Kubernetes as a layer may write a part of it: nothing is required, and null removes."""
    if isinstance(schema, list):
        return [_layered(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    layered = {key: _layered(one) for key, one in schema.items() if key not in ("required", "x-merge-key", "properties")}
    if "$ref" in layered:
        layered["$ref"] = layered["$ref"].replace("#/$defs/", f"#/$defs/{_PREFIX}")
    if "properties" in schema:
        layered["properties"] = {key: {"anyOf": [_layered(one), {"type": "null"}]} for key, one in schema["properties"].items()}
    return layered
