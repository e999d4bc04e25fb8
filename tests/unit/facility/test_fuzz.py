"""Whatever the bytes: a `Facility` or a `FacilityError`, never anything else."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings, strategies as st

from afkit.errors import FacilityError
from afkit.facility.codes import CODES
from afkit.facility.edge.base import Part
from afkit.facility.load import check_facility, load_facility
from afkit.facility.model import Facility
from afkit.facility.parse import keys_of

FIXTURES = Path(__file__).parent / "fixtures"
EVERYTHING = (FIXTURES / "everything.yaml").read_text()
BASE = (FIXTURES / "base.yaml").read_bytes()
QUIET = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def judge(content: bytes) -> None:
    """Load it, and look at whatever comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "base.yaml").write_bytes(BASE)
        (Path(folder) / "admins.txt").write_text("root\n")
        file = Path(folder) / "facility.yaml"
        file.write_bytes(content)
        facility, problems = check_facility(file, traits="missing")
        for problem in problems:
            assert problem.code in CODES
            assert problem.line >= 0
            assert problem.message
            assert str(problem)
        try:
            loaded = load_facility(file)
        except FacilityError as error:
            assert facility is None
            assert any(problem.severity == "error" for problem in error.problems)
        else:
            assert isinstance(facility, Facility)
            assert dataclasses.replace(loaded, warnings=()) == dataclasses.replace(facility, warnings=())
            assert all(len(place) == 3 for place in loaded.positions.values())


@QUIET
@given(st.binary(max_size=300))
@example(b"version: 1\n? [a]\n: b")
@example(b"version: 1\n<<: *a")
@example(b"{")
@example(b"- &a *a")
@example(b"--- !!map {version: 1}\n...\n")
def test_bytes(content: bytes) -> None:
    judge(content)


@QUIET
@given(st.text(st.sampled_from("abz019:-{}[]&*!|>'\"%@`,#?\n\t ~.<"), max_size=120))
def test_signs_of_yaml(text: str) -> None:
    judge(b"version: 1\n" + text.encode())


def every_key() -> list[str]:
    """Every key that any section has."""
    found: list[str] = []
    stack: list[type[Part]] = [Part]
    while stack:
        model = stack.pop()
        stack += model.__subclasses__()
        found += keys_of(model)
    return sorted({*found, "everyone", "cpu", "base", "small", "analysis", "spec", "containers", "notebook", "labels", "name", "x-y", "<<"})


# every word that has a meaning somewhere
WORDS = ["none", "everyone", "cpu", "base", "small", "amd64", "2Gi", "30m", "1/8", "{x}", "null", "csi", "hub", "lab:/x", "/data"]
WORDS += ["{username}", "2026-11-30", "per-user"]
WORDS += ["", "a b", "x" * 300, "https://example.org/", "nvidia.com/gpu"]
SCALARS = st.sampled_from([None, True, False, 0, 1, -1, 1.5, 10**30, *WORDS])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(every_key()), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(every_key()), VALUES, max_size=6))
def test_every_key_with_every_kind_of_value(data: dict[str, Any]) -> None:
    data.pop("extends", None)
    judge(dump({"version": 1, "extends": "base.yaml", **data}).encode())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_a_good_file_with_something_changed(seed: int) -> None:
    """Take a file that uses every section, and put a wrong thing, a right thing or nothing in some place of it."""
    change = random.Random(seed)
    data = yaml.load(EVERYTHING, yaml.CSafeLoader)
    for _ in range(change.randint(1, 3)):
        holder, key = change.choice(places(data))
        wrong = change.choice([None, True, 5, -1, "", "nothing", [], {}, {"a": 1}, [None], "none", 1.5, "{x}", [[]], {"name": "cpu"}])
        what = change.randrange(4)
        if what == 0:
            holder[key] = wrong
        elif what == 1 and isinstance(holder, dict):
            holder.pop(key, None)
        elif what == 2 and isinstance(holder, dict):
            holder[change.choice(every_key())] = holder.get(key)
        else:
            other, there = change.choice(places(data))
            if isinstance(other[there], str | int):
                holder[key] = other[there]
    judge(dump(data).encode())


def dump(data: Any) -> str:
    """Its YAML."""
    return str(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False))


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every place of a value: what holds it, and its key or index."""
    found: list[tuple[Any, Any]] = []
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found.append((data, key))
        found += places(value)
    return found
