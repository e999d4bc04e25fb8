"""A file of 300 profiles is read whole, with bounded work: what a timing on a busy machine cannot tell, counting does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from afkit.facility.load import check_facility
from afkit.facility.report import Report
from afkit.facility.yaml12 import compose
from benchmarks.load import facility_text


@pytest.fixture(scope="module")
def text() -> str:
    return facility_text()


def test_nothing_is_read_twice(text: str) -> None:
    """Every value of the file becomes one node, and every key one entry."""
    root = compose(text, "facility.yaml", Report())
    nodes = root.size
    assert nodes < 7 * text.count("\n")


def test_it_is_good(text: str, tmp_path: Path) -> None:
    (tmp_path / "facility.yaml").write_text(text)
    facility, problems = check_facility(tmp_path / "facility.yaml")
    assert problems == ()
    assert facility is not None
    assert len(facility.profiles) == 300


def test_work_grows_with_the_file_and_not_faster(tmp_path: Path) -> None:
    """Twice the profiles are twice the calls of Python functions, not four times."""
    calls = []
    for profiles in (50, 100):
        file = tmp_path / f"{profiles}.yaml"
        file.write_text(facility_text(profiles))
        check_facility(file)
        calls.append(count_calls(file))
    assert calls[1] < 2.2 * calls[0]


def count_calls(file: Path) -> int:
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        check_facility(file)
    finally:
        sys.setprofile(before)
    return count
