"""Writes the reference of the facility file: `docs/reference/facility-file.md` (keys with their defaults) and `codes.md`.

The keys come from the models that read the file, the codes from their registry, the examples from the fixtures of the tests.

    python tools/generate_reference.py [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afkit.facility.codes import CODES
from afkit.facility.edge.base import Part
from afkit.facility.edge.layer import LayerKeys
from afkit.facility.edge.root import FacilityFile
from afkit.facility.load import check_facility
from afkit.facility.parse import keys_of
from afkit.facility.schema import json_schema, shown_default

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
FIXTURES = ROOT / "tests" / "unit" / "facility" / "fixtures"

KEYS_HEAD = """# The facility file, key by key

<!-- Made by tools/generate_reference.py; edit the models in afkit/facility/edge instead. -->

One YAML file describes a facility. `afkit check FILE` reports all its problems ([codes](codes.md)); `afkit schema` prints its JSON
schema, from which editors complete.

An *amount* is written as Kubernetes writes it (`500m`, `2`, `16Gi`, `2G`), a *duration* as `90s`, `30m`, `24h` or `7d`. *Groups* are a
list of names, or `everyone` alone. `none` lifts a limit or a lifetime. A key without a default is left out where it does not apply;
a default in parentheses is worked out from other values.
"""

CODES_HEAD = """# Problem codes

<!-- Made by tools/generate_reference.py; edit afkit/facility/codes.py and the fixtures of the tests instead. -->

Every problem of a facility file has a code that keeps its meaning. AF1xx: the file itself · AF2xx: keys and values · AF3xx: references ·
AF4xx: keys of `session` · AF5xx: sections that do not fit together · AF6xx: what the cluster would refuse · AF7xx: images. Warnings do not
keep a file from being used; `afkit check --strict` makes errors of those that say so.

The examples extend this smallest facility, `base.yaml`:

"""

AMOUNT = "^[0-9.]+([eE][-+]?[0-9]+|[numkKMGTPE]i?)?$"
DURATION = "^[0-9]+[smhd]$"
PLAIN = {"string": "text", "integer": "number", "number": "number", "boolean": "true or false", "object": "mapping", "null": "null"}


def kind(schema: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[mapping](#file-{name.lower()})" if not name.startswith("Kubernetes.") else "as Kubernetes writes it"
    if "not" in schema:
        return "nothing"
    if schema.get("pattern") == AMOUNT:
        return "amount"
    if schema.get("pattern") == DURATION:
        return "duration"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one) for one in schema["anyOf"]))
    return collection(schema)


def collection(schema: dict[str, Any]) -> str:
    """What a list, mapping or plain value is, in a few words."""
    types = schema.get("type", "string")
    if types == "array":
        return f"list of {kind(schema['items'])}" if "items" in schema else "list"
    if types == "object":
        inner = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        inner = [one for one in inner if isinstance(one, dict)]
        if inner:
            return f"mapping of names to {kind(inner[0])}"
        return f"mapping of {', '.join(f'`{key}`' for key in schema['properties'])}" if "properties" in schema else "mapping"
    return " or ".join(PLAIN[one] for one in ([types] if isinstance(types, str) else types) if one != "null")


def flow(value: Any) -> str:
    """A value as the file would write it."""
    return json.dumps(value) if not isinstance(value, str) else value


def models(model: type[Part], path: str, seen: dict[str, tuple[type[Part], str]], schema: dict[str, Any]) -> None:
    """Collect a model and all that it refers to, in the order in which the file has them, each with its place in the file."""
    if model.__name__ in seen:
        return
    seen[model.__name__] = (model, path)
    properties = (schema if model is FacilityFile else schema["$defs"][model.__name__])["properties"]
    for key in keys_of(model):
        place = f"{path}.{key}" if path else key
        if "patternProperties" in properties[key] or isinstance(properties[key].get("additionalProperties"), dict):
            place += ".NAME"
        elif properties[key].get("type") == "array":
            place += "[]"
        for name in references(properties[key]):
            if not name.startswith("Kubernetes."):
                models(subclass(name), place, seen, schema)


def references(schema: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[1]
        for one in schema.values():
            yield from references(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from references(one)


def subclass(name: str) -> type[Part]:
    """The model of that name."""
    stack = [Part]
    while stack:
        model = stack.pop()
        if model.__name__ == name:
            return model
        stack += model.__subclasses__()
    raise KeyError(name)


def table(model: type[Part], schema: dict[str, Any]) -> Iterator[str]:
    """The keys of one model as the rows of a table."""
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    layer = set(keys_of(LayerKeys)) if issubclass(model, LayerKeys) and model.__name__ != "Session" else set()
    for key, (name, info) in zip(keys_of(model), model.model_fields.items(), strict=True):
        if name in layer:
            continue
        shown = shown_default(info)
        default = "**required**" if key in schema.get("required", ()) else "" if shown is None else flow(shown)
        default = f"`{default}`" if default and not default.startswith(("(", "*")) and " (" not in default else default
        example = f" Example: `{flow_yaml(info.examples[0])}`." if info.examples else ""
        yield f"| `{key}` | {kind(schema['properties'][key])} | {default} | {info.description}{example} |".replace("||", "|")
    if layer:
        yield f"| {', '.join(f'`{key}`' for key in keys_of(LayerKeys))} | | | as in [session](#file-session), laid over earlier layers |"


def flow_yaml(value: Any) -> str:
    """An example in YAML's flow style."""
    if isinstance(value, list):
        return "[" + ", ".join(flow_yaml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow_yaml(one)}" for key, one in value.items()) + "}"
    return str(value)


def keys_page() -> str:
    """The page of all keys."""
    schema = json_schema()
    seen: dict[str, tuple[type[Part], str]] = {}
    models(FacilityFile, "", seen, schema)
    parts = [KEYS_HEAD]
    for name, (model, path) in seen.items():
        own = {**schema, **schema["then"]} if model is FacilityFile else schema["$defs"][name]
        title = f"`{path}`" if path else "The whole file"
        parts.append(f"(file-{name.lower()})=\n## {title}\n\n{own['description']}\n\n" + "\n".join(table(model, own)) + "\n")
    return "\n".join(parts)


def codes_page() -> str:
    """The page of all codes, each with a file that trips it and what is said then."""
    parts = [CODES_HEAD + f"```yaml\n{(FIXTURES / 'base.yaml').read_text()}```\n"]
    for code in CODES.values():
        severity = f"{code.severity}{', an error under `--strict`' if code.strict else ''}"
        parts.append(f"## {code.code}\n\n{code.sentence} ({severity[0].upper()}{severity[1:]}.)\n")
        example = example_of(code.code)
        if example:
            parts.append(example)
    return "\n".join(parts)


def example_of(code: str) -> str:
    """The first fixture of a code that fits on a page, with the problem that it has."""
    for file in sorted(FIXTURES.glob(f"{code}-*.yaml")):
        content = file.read_bytes()
        if len(content) > 1500 or b"beside:" in content or not content.isascii() or b"\x07" in content:
            continue
        _, problems = check_facility(file, traits="missing")
        found = [problem for problem in problems if problem.code == code]
        if found:
            said = f"{found[0].line}:{found[0].column}: {code} {found[0].message}\n    {found[0].hint}"
            return f"```yaml\n{content.decode()}```\n\n```text\n{said.replace(str(FIXTURES) + '/', '')}\n```\n"
    return ""


def main() -> int:
    """Write the pages, or with ``--check`` say whether they are fresh."""
    stale = []
    for name, text in (("facility-file.md", keys_page()), ("codes.md", codes_page())):
        page = PAGES / name
        if "--check" not in sys.argv[1:]:
            PAGES.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
        elif not page.exists() or page.read_text() != text:
            stale.append(name)
    if stale:
        print(f"stale: {', '.join(stale)}; run python tools/generate_reference.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
