"""The administrator's notebook, executed: from an empty file, over the usual mistakes, to a green check."""

from __future__ import annotations

import re
from pathlib import Path

from afkit.facility.load import check_facility
from tests.notebooks.running import complained, printed, run


def test_it_ends_with_a_file_that_check_has_nothing_to_say_about(tmp_path: Path) -> None:
    notebook = run("administrator", tmp_path)
    text = printed(notebook)
    assert complained(notebook) == ""
    calls = re.findall(r"^\$ afkit (\w+) (\w+)\.yaml.*?^\(exit code (\d)\)", text, re.MULTILINE | re.DOTALL)
    assert calls == [
        ("check", "facility", "2"),
        ("check", "facility", "0"),
        ("check", "mistakes", "2"),
        ("check", "mistakes", "2"),
        ("check", "facility", "0"),
        ("explain", "facility", "0"),
        ("explain", "facility", "0"),
        ("explain", "facility", "1"),
    ]
    # what the text around the cells promises to show
    for words in ("Did you mean 'memory'?", "Did you mean 'science'?", "fits no node of the pools", "has a tag and no digest"):
        assert words in text
    assert "granted: profile=training pool=gpu" in text
    assert "refused (not-entitled)" in text
    facility, problems = check_facility(tmp_path / "facility.yaml")
    assert facility is not None
    assert problems == ()
