"""What may not be in the checkout: addresses in version files, places of one machine, notebook output."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\0")
FILES = [ROOT / name for name in TRACKED if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt"])
def test_constraints_carry_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "file:" not in text
    assert re.fullmatch(r"([A-Za-z0-9._-]+==[^ \n]+( ; [^\n]+)?\n)+", text)


def test_the_oldest_versions_are_those_that_are_supported() -> None:
    oldest = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for package, lower in (("jupyterhub", "5.3"), ("distributed", "2025.3.1")):
        assert any(line.startswith(f"{package}=={lower}") for line in oldest)
        assert any(f"{package}>={lower}" in line for lines in extras.values() for line in lines)


def test_no_place_of_this_machine_is_named() -> None:
    """Neither this checkout nor the folder that it lies in, unless that is a folder of every machine."""
    places = {f"{ROOT}/"} | ({f"{ROOT.parent}/"} if str(ROOT.parent) not in {"/", "/tmp", "/home", "/root", "/opt", "/srv"} else set())
    assert not [path for path in FILES if any(place.encode() in path.read_bytes() for place in places)]


def test_no_secret_of_a_registry_and_no_lock_file_is_tracked() -> None:
    assert not [path for path in FILES if path.name in {"uv.lock", ".pypirc", ".netrc", "pip.conf", "uv.toml"}]


def test_notebooks_have_no_output() -> None:
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts:
            continue
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs"), f"{path.name} has output: nbstripout {path}"
            assert cell.get("execution_count") is None, f"{path.name} has execution counts"


def test_changelog_fragments_are_of_a_known_kind_and_say_something() -> None:
    kinds = {entry["directory"] for entry in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]}
    for path in (ROOT / "changelog.d").iterdir():
        if path.name != ".gitkeep":
            assert re.fullmatch(rf"[a-z0-9+-]+\.({'|'.join(kinds)})\.md", path.name), f"{path.name}: TOPIC.({'|'.join(sorted(kinds))}).md"
            assert len(path.read_text().strip()) > 20
