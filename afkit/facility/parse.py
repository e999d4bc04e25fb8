"""Plain data → the models of `afkit.facility.edge`, with a problem for everything that is wrong, and what can be saved of the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from afkit.facility.edge.root import FacilityFile
from afkit.facility.layers import cut
from afkit.facility.model import RulePath
from afkit.facility.report import MOST_PROBLEMS, Report
from afkit.facility.tree import Document, Mapping, Scalar, is_lost

_KIND: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "literal_error": "a text",
}
_QUOTED: Final = re.compile(r"'([^']*)'")
_YES: Final = {"yes": "true", "on": "true", "y": "true", "true": "true", "no": "false", "off": "false", "n": "false", "false": "false"}


@dataclass(slots=True)
class Parsed:
    """The file's model without what is wrong in it, and the paths that are missing for that reason."""

    file: FacilityFile
    broken: set[RulePath] = field(default_factory=set)
    _around: set[RulePath] | None = None

    def whole(self, *path: str | int) -> bool:
        """Whether nothing at or below ``path``, nor anything around it, is broken."""
        if not self.broken:
            return True
        if self._around is None:
            self._around = {gone[:end] for gone in self.broken for end in range(1, len(gone) + 1)}
        return path not in self._around and not any(path[:end] in self.broken for end in range(1, len(path)))


def parse(data: dict[str, Any], document: Document, report: Report) -> Parsed:
    """Validate ``data``; it is changed where it is wrong."""
    models: dict[int, type[BaseModel]] = {}
    broken: set[RulePath] = set()
    first = True
    while True:
        try:
            return Parsed(FacilityFile.model_validate(data, context=models), broken)
        except ValidationError as error:
            if error.error_count() > 10 * MOST_PROBLEMS:
                raise report.too_many(document.file) from error
            details = error.errors(include_url=False, include_input=False)
            paths = [_path(detail) for detail in details]
            if first:
                for detail, path in zip(details, paths, strict=True):
                    _explain(detail, path, _holder(data, path), models, document, report)
            # what is wrong goes away, and is judged again: a mapping may now lack what it must have
            for detail, path in zip(details, paths, strict=True):
                broken.add(cut(data, path[:-1] if detail["type"] == "missing" else path))
            first = False


def _path(detail: ErrorDetails) -> RulePath:
    path = detail["loc"]
    return path[:-1] if path and path[-1] == "[key]" else path


def _holder(data: Any, path: RulePath) -> Any:
    for part in path[:-1]:
        data = data[part]
    return data


def _explain(
    detail: ErrorDetails, path: RulePath, holder: Any, models: dict[int, type[BaseModel]], document: Document, report: Report
) -> None:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        _unknown_key(path, models.get(id(holder)), document, report)
    elif kind == "missing":
        _missing(path, models.get(id(holder)), document, report)
    elif kind == "literal_error" and isinstance(_value(document, path), str):
        _no_such_word(path, str(context["expected"]), document, report)
    elif kind in _KIND:
        _wrong_type(kind, path, document, report)
    else:
        place = document.key_place(path) if detail["loc"][-1] == "[key]" else document.place(path)
        report.add(kind, place, context["message"], context["hint"])


def _value(document: Document, path: RulePath) -> Any:
    node = document.node(path)
    return node.value if isinstance(node, Scalar) else node


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a model as the file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown_key(path: RulePath, model: type[BaseModel] | None, document: Document, report: Report) -> None:
    known = keys_of(model) if model is not None else []
    close = report.near(str(path[-1]), known)
    hint = f"Did you mean {close!r}?" if close else f"There are {', '.join(known)}."
    if len(path) == 1 and not close:
        hint += " A key that begins with x- is ignored."
    report.add("AF201", document.key_place(path), f"The key {str(path[-1])[:60]!r} is not known here.", hint)


def _missing(path: RulePath, model: type[BaseModel] | None, document: Document, report: Report) -> None:
    if is_lost(document.node(path)):
        return
    hint = "Add it."
    for name, info in model.model_fields.items() if model is not None else ():
        if (info.alias or name) == path[-1]:
            example = f" For example `{path[-1]}: {_flow(info.examples[0])}`." if info.examples else ""
            hint = f"{info.description}{example}"
    report.add("AF202", document.place(path[:-1]), f"The key {path[-1]!r} is missing here.", hint)


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    return str(value)


def _no_such_word(path: RulePath, expected: str, document: Document, report: Report) -> None:
    words = _QUOTED.findall(expected)
    written = document.text(path)
    close = report.near(written, words)
    hint = f"Did you mean {close!r}?" if close else f"Write one of {', '.join(words)}."
    report.add("AF204", document.place(path), f"{written[:60]!r} is none of the words that stand here.", hint)


def _wrong_type(kind: str, path: RulePath, document: Document, report: Report) -> None:
    node = document.node(path)
    wanted = _KIND[kind]
    if not isinstance(node, Scalar):
        found = "a mapping" if isinstance(node, Mapping) else "a list"
        hint = "Write one word or text." if wanted == "a text" else f"Write {wanted}."
        report.add("AF203", document.place(path), f"Here stands {found} where {wanted} belongs.", hint)
        return
    found = {str: "a text", bool: "true or false", int: "a number"}.get(type(node.value), "a number")
    text = node.text[:60]
    hint = f"Write {wanted}."
    if wanted == "a text":
        hint = f'Write "{text}".'
    elif wanted == "a list":
        hint = f"Write [{text}]."
    elif wanted == "true or false":
        hint = f"Write {_YES.get(text.lower(), 'true or false')}{', without quotes' if text in ('true', 'false') else ''}."
    elif wanted == "a whole number" and text.isdigit():
        hint = f"Write {text}, without quotes."
    report.add("AF203", document.place(path), f"Here stands {found} where {wanted} belongs.", hint)
