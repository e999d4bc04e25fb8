"""Notebooks are kept without outputs, and ship with the package."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.running import NOTEBOOKS

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))


def test_there_is_one_for_the_analyst_and_one_for_the_administrator() -> None:
    assert [path.stem for path in ALL] == ["administrator", "tutorial"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_nothing_of_a_run_is_kept(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        assert set(cell.metadata) <= {"jupyter", "tags"}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}
    text = path.read_text()
    assert json.dumps(json.loads(text), indent=1, ensure_ascii=False, sort_keys=True) + "\n" == text


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_is_short_and_begins_with_its_title(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert len(notebook.cells) <= 40


def test_they_are_installed_with_the_package() -> None:
    installed = Path(sys.prefix, "share", "afkit", "notebooks")
    assert sorted(path.name for path in installed.glob("*.ipynb")) == [path.name for path in ALL]
