"""The JSON schema, the reference pages and the registry of codes say what the models say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from afkit.facility.codes import CODES
from afkit.facility.edge.base import Part
from afkit.facility.edge.root import FacilityFile
from afkit.facility.parse import keys_of
from afkit.facility.report import Report
from afkit.facility.schema import json_schema
from afkit.facility.tree import plain
from afkit.facility.yaml12 import compose

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = Path(__file__).parent / "fixtures"
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def errors(data: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(data)]


def everything() -> Any:
    return yaml.safe_load((FIXTURES / "everything.yaml").read_text())


def test_it_is_a_schema_of_draft_2020_12() -> None:
    schema = SCHEMA
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(schema)


@pytest.mark.parametrize("file", ["everything.yaml", "base.yaml"])
def test_good_files_keep_it(file: str) -> None:
    assert errors(plain(compose((FIXTURES / file).read_text(), file, Report()))) == []


@pytest.mark.parametrize("file", [path.name for path in sorted(FIXTURES.glob("AF20[1345]-*.yaml"))])
def test_wrong_keys_and_values_break_it(file: str) -> None:
    data = plain(compose((FIXTURES / file).read_text(), file, Report()))
    if file not in ("AF205-finer-than-1m.yaml", "AF205-nothing.yaml"):  # a pattern cannot say these
        assert errors(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("pools", "cpu", "arch"), "x86_64"),
        (("pools", "cpu", "spot"), "yes"),
        (("sizes", "small"), {"cpu": 1}),
        (("sizes", "part", "cpu"), 1),
        (("images", "base", "match"), ["a"]),
        (("facility", "notice"), "x"),
        (("limits", "everyone", "per"), "day"),
        (("pools", "Wrong"), {"arch": "amd64"}),
        (("session", "lifetime", "max"), "1w"),
        (("session", "pod", "spec", "hostname"), 5),
        (("session", "pod", "spec", "host"), "a"),
        (("session", "pod", "metadata", "name"), "a"),
        (("storage", "home"), "nowhere"),
        (("storage", "shared", "group", "volume"), {"nfs": {"sever": "a"}}),
        (("profiles", "analysis", "pools"), [5]),
        (("kubernetes", "network", "egress"), [{"too": []}]),
        (("unknown",), 1),
    ],
)
def test_it_refuses(path: tuple[str, ...], value: Any) -> None:
    data = everything()
    assert errors(data) == []
    holder = data
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert errors(data)


def test_a_file_that_extends_need_not_be_whole() -> None:
    assert errors({"version": 1, "extends": "base.yaml"}) == []
    assert errors({"version": 1})


def test_every_key_is_described() -> None:
    schema = SCHEMA
    definitions = {name: one for name, one in schema["$defs"].items() if not name.startswith("Kubernetes.")}
    bare = [
        f"{name}.{key}"
        for name, one in {"": schema, **definitions}.items()
        for key, value in one.get("properties", {}).items()
        if "description" not in value and "$ref" not in value
    ]
    assert bare == []
    assert all(one["description"].endswith(".") for one in definitions.values())


def test_every_section_of_the_contract_is_there() -> None:
    sections = "version extends facility groups identity session pools images sizes options cvmfs storage profiles limits dask kubernetes"
    assert keys_of(FacilityFile) == sections.split()


def test_every_example_is_taken() -> None:
    """The examples of the models, put where they belong."""
    schema = SCHEMA
    for name, one in {"": schema, **schema["$defs"]}.items():
        for key, value in one.get("properties", {}).items():
            for example in value.get("examples", ()) if not name.startswith("Kubernetes.") else ():
                wrong = list(Draft202012Validator({**value, "$defs": schema["$defs"]}).iter_errors(example))
                assert not wrong, f"{name}.{key}: {example}"


def test_defaults_are_written_as_the_file_writes_them() -> None:
    schema = SCHEMA
    for name, one in {"": schema, **schema["$defs"]}.items():
        for key, value in one.get("properties", {}).items():
            if "default" in value and value["default"] != "none":
                assert not list(Draft202012Validator({**value, "$defs": schema["$defs"]}).iter_errors(value["default"])), f"{name}.{key}"
    assert schema["$defs"]["Identity"]["properties"]["outage"]["default"] == "12h"


def test_the_reference_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_reference.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_reference_has_every_key_and_every_code() -> None:
    page = (ROOT / "docs" / "reference" / "facility-file.md").read_text()
    stack: list[type[Part]] = [FacilityFile]
    for model in stack:
        stack += [one for one in model.__subclasses__() if one not in stack]
        for key in keys_of(model):
            assert f"`{key}`" in page
    codes = (ROOT / "docs" / "reference" / "codes.md").read_text()
    assert re.findall(r"^## (AF\d+)$", codes, re.MULTILINE) == list(CODES)


def test_codes_are_ordered_and_are_used() -> None:
    assert list(CODES) == sorted(CODES)
    source = "".join(path.read_text() for path in (ROOT / "afkit" / "facility").rglob("*.py") if path.name != "codes.py")
    assert {code for code in CODES if f'"{code}"' not in source} == set()
    assert set(re.findall(r'"(AF\d+)"', source)) == set(CODES)
    assert all(code.sentence.endswith(".") for code in CODES.values())
