"""Every rendered object, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from afkit.facility.dump import dump
from afkit.render.manifests import manifests
from afkit.render.z2jh import chart_values, objects
from tests.unit.render.rendering import FILES, SETTINGS, file_of, files, loaded, made

TARGETS = ("manifests", "z2jh")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FILES)
def test_every_object(name: str, target: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}-{target}.yaml", dump(made(name, target)))


@pytest.mark.parametrize("name", FILES)
def test_values_of_the_chart(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}-values.yaml", dump([chart_values(loaded(name), files(name), SETTINGS)]))


def test_files_are_the_same_from_run_to_run(tmp_path: Path) -> None:
    texts = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-m", "afkit", "render", str(file_of("wide")), "--target", "z2jh", "--out", str(out)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed})
        texts.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert texts[0] == texts[1]
    assert "values.yaml" in texts[0]


@pytest.mark.parametrize("namespaces", ["per-user", "shared", "people"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FILES)
def test_no_two_objects_have_one_name(name: str, target: str, namespaces: str) -> None:
    facility = loaded(name)
    assert facility.kubernetes is not None
    moved = replace(facility, kubernetes=replace(facility.kubernetes, user_namespaces=namespaces))
    render = {"manifests": manifests, "z2jh": objects}[target]
    found = [one for group in render(moved, files(name), SETTINGS).values() for one in group]
    names = [(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in found]
    assert len(set(names)) == len(names)
