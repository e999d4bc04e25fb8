"""What is built is what is in the checkout: every file of the package, and what belongs below the environment's prefix."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    tracked = subprocess.run(["git", "ls-files", "-z", "afkit"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(filter(None, tracked.split("\0"))) <= set(wheel.namelist())


def test_the_wheel_has_nothing_but_the_package_and_its_data(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top.partition("-")[0] for top in tops} == {"afkit"}


def test_what_belongs_below_the_prefix_is_there(wheel: zipfile.ZipFile) -> None:
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    names = [name.partition(".data/data/")[2] for name in wheel.namelist()]
    for place in shared.values():
        assert any(name == place or name.startswith(f"{place}/") for name in names), place


def test_the_wheel_says_what_it_needs_and_its_licence(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    for extra in ("hub", "session", "kubernetes", "laptop", "all"):
        assert f"Provides-Extra: {extra}" in metadata
