"""Checks plain data against the schema of Kubernetes' objects that afkit ships (``pod_schema.json``), with places and near matches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from afkit.facility.model import RulePath
from afkit.facility.report import Report
from afkit.facility.tree import Document

_NAMES = {"string": "a text", "integer": "a whole number", "boolean": "true or false", "number": "a number", "array": "a list"}


@cache
def definitions() -> Mapping[str, Any]:
    """The definitions of ``pod_schema.json`` by name (``PodSpec``, ``Volume`` …)."""
    text = (files("afkit.facility") / "pod_schema.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)["$defs"]
    return found


@dataclass(frozen=True, slots=True)
class KubeChecker:
    """Checks parts of Kubernetes' objects. ``whole``: what the API requires must be there; else only keys that merging needs."""

    document: Document
    report: Report

    def check(self, value: Any, kind: str, path: RulePath, *, whole: bool) -> None:
        """Check ``value``, which stands at ``path``, as a Kubernetes object of this kind."""
        self._object(value, definitions()[kind], path, whole)

    def _any(self, value: Any, schema: Mapping[str, Any], path: RulePath, whole: bool) -> None:
        if value is None:
            return
        if "$ref" in schema:
            self._object(value, definitions()[schema["$ref"].rsplit("/", 1)[1]], path, whole)
        elif schema.get("type") == "array":
            self._list(value, schema, path, whole)
        elif schema.get("type") == "object":
            self._free_keys(value, schema, path, whole)
        elif "type" in schema:
            self._scalar(value, schema, path)

    def _object(self, value: Any, schema: Mapping[str, Any], path: RulePath, whole: bool) -> None:
        if not isinstance(value, dict):
            self._wrong_type(path, "a mapping")
            return
        known = schema["properties"]
        for key, one in value.items():
            if key in known:
                self._any(one, known[key], (*path, key), whole)
            else:
                close = self.report.near(key, known)
                hint = f"Did you mean {close!r}?" if close else f"There are {', '.join(known)}."
                self.report.add("AF402", self.document.key_place((*path, key)), f"Kubernetes knows no key {key[:60]!r} here.", hint)
        for key in schema.get("required", ()) if whole else ():
            if key not in value:
                self.report.add("AF202", self.document.place(path), f"The key {key!r} is missing here.", "Kubernetes needs it.")

    def _list(self, value: Any, schema: Mapping[str, Any], path: RulePath, whole: bool) -> None:
        if not isinstance(value, list):
            self._wrong_type(path, "a list")
            return
        merge = schema.get("x-merge-key")
        for index, one in enumerate(value):
            here = (*path, index)
            # a list without a merge key replaces the earlier layer's, so its entries stand whole
            self._any(one, schema["items"], here, whole or merge is None)
            if merge is not None and isinstance(one, dict) and merge not in one:
                message = f"This entry of {path[-1]!r} has no {merge!r}, by which layers are merged."
                self.report.add("AF411", self.document.place(here), message, f"Add {merge!r}.")

    def _free_keys(self, value: Any, schema: Mapping[str, Any], path: RulePath, whole: bool) -> None:
        if not isinstance(value, dict):
            self._wrong_type(path, "a mapping")
            return
        for key, one in value.items():
            self._any(one, schema["additionalProperties"], (*path, key), whole)

    def _scalar(self, value: Any, schema: Mapping[str, Any], path: RulePath) -> None:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(_is(value, kind) for kind in kinds):
            self._wrong_type(path, " or ".join(_NAMES[kind] for kind in kinds))
        elif "enum" in schema and value not in schema["enum"]:
            close = self.report.near(str(value), schema["enum"])
            hint = f"Did you mean {close!r}?" if close else f"Write one of {', '.join(filter(None, schema['enum']))}."
            self.report.add("AF204", self.document.place(path), f"{str(value)[:60]!r} is none of the words that stand here.", hint)

    def _wrong_type(self, path: RulePath, wanted: str) -> None:
        text = self.document.text(path)[:60]
        hint = f'Write "{text}".' if wanted == "a text" and text else f"Write {wanted}."
        self.report.add("AF403", self.document.place(path), f"Kubernetes takes {wanted} here.", hint)


def _is(value: Any, kind: str) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)
