"""What is loaded when: ``import afkit`` and each command's help load the standard library, and of afkit only what they need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from afkit.cli.main import COMMANDS

HEAVY = ("pydantic", "yaml", "jinja2", "traitlets", "jupyterhub", "tornado", "distributed", "dask", "numpy", "kubernetes", "asyncio")


def loaded(code: str) -> list[str]:
    """The heavy packages that are loaded after this code ran in a fresh interpreter."""
    program = f"import sys, json\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = json.loads(done.stderr.splitlines()[-1])
    return [name for name in HEAVY if name in modules]


def test_import_afkit_loads_nothing_heavy() -> None:
    assert loaded("import afkit") == []


def test_the_errors_and_names_load_nothing_heavy() -> None:
    assert loaded("import afkit.errors, afkit.names, afkit.quantities") == []


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_loads_nothing_heavy(command: str | None) -> None:
    """``--help`` answers in under 100 ms: the parser of a command is made without the room behind it."""
    words = ["--help"] if command is None else [command, "--help"]
    assert loaded(f"from afkit.cli.main import main; main({words!r})") == []


def test_loading_a_facility_loads_no_hub_and_no_dask() -> None:
    assert not {"jupyterhub", "distributed", "dask", "tornado", "numpy"} & set(loaded("from afkit import load_facility"))
