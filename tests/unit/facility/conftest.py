"""A facility file written by a test, and its problems."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from afkit.errors import Problem
from afkit.facility.load import check_facility
from afkit.facility.model import Facility

FIXTURES = Path(__file__).parent / "fixtures"
Checker = Callable[..., tuple[Facility | None, list[Problem]]]


@pytest.fixture
def check(tmp_path: Path) -> Checker:
    """``check(text)``: the facility and the problems of a file that extends ``base.yaml``; ``alone=True``: of the text itself."""
    shutil.copy(FIXTURES / "base.yaml", tmp_path)

    def run(text: str | bytes, *, alone: bool = False, strict: bool = False) -> tuple[Facility | None, list[Problem]]:
        file = tmp_path / "facility.yaml"
        if isinstance(text, str):
            text = (text if alone else f"version: 1\nextends: base.yaml\n{text}").encode()
        file.write_bytes(text)
        facility, problems = check_facility(file, strict=strict)
        return facility, list(problems)

    return run
