"""Every code has a fixture, and each fixture gives exactly its code at the line that it marks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from traitlets import Bool, Dict, HasTraits, Int, List, TraitError, Unicode

from afkit.facility.codes import CODES
from afkit.facility.load import check_facility

FIXTURES = Path(__file__).parent / "fixtures"
FILES = sorted(FIXTURES.glob("AF*.yaml"))
_BESIDE = re.compile(r"# beside: (\S+) (\d+)")


class _Some(HasTraits):
    http_timeout = Int()
    cmd = List(Unicode())
    debug = Bool()
    extra = Dict()


class RealTraits:
    """Some of KubeSpawner's traits with their types; the class itself takes two seconds to import."""

    names = tuple(_Some.class_traits())

    def refusal(self, name: str, value: object) -> str | None:
        try:
            _Some(**{name: value})
        except TraitError as error:
            return str(error)
        return None


def marked(file: Path) -> tuple[str, int]:
    """The code and line that a fixture marks."""
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
        match = re.search(r"<- (AF\d+)", line)
        if match:
            return match[1], number
    raise AssertionError(f"{file.name} marks no line")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copy(FIXTURES / "base.yaml", tmp_path)
    return tmp_path


def test_every_code_has_a_fixture() -> None:
    assert {file.name[:5] for file in FILES} == set(CODES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fixture_gives_its_code_at_its_line(file: Path, place: Path) -> None:
    copy = Path(shutil.copy(file, place))
    text = file.read_text(errors="replace")
    for name, size in _BESIDE.findall(text):
        (place / name).write_bytes(b"\n" * int(size))
    traits = "missing" if "# without KubeSpawner" in text else RealTraits()
    facility, problems = check_facility(copy, traits=traits)
    code, line = marked(file)
    if code == "AF116":
        # the one code that says that there are too many of another
        assert [problem.code for problem in problems] == ["AF116"] + ["AF201"] * 1000
        return
    assert [(problem.code, problem.line, problem.file) for problem in problems] == [(code, line, str(copy))], problems
    problem = problems[0]
    assert problem.severity == CODES[code].severity
    assert (facility is None) == (problem.severity == "error")
    assert problem.message.endswith((".", "…")), problem.message
    assert problem.hint.endswith((".", "?")), problem.hint
    assert problem.column >= 1
    assert "hunter2" not in str(problem)


def test_base_is_clean() -> None:
    facility, problems = check_facility(FIXTURES / "base.yaml")
    assert facility is not None
    assert problems == ()
