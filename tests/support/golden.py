"""Golden files: what an object must look like, in ``golden/`` beside its test; ``--update-golden`` writes them anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(NAME, text)``: compare ``text`` with ``golden/NAME`` beside the test."""

    def compare(name: str, text: str) -> None:
        file = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"{file} is missing; run pytest with --update-golden and read what it writes"
        assert text == file.read_text(), f"{file} differs; if the change is meant, run pytest with --update-golden"

    return compare
