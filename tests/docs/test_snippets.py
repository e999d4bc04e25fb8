"""Every snippet of the documentation runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.snippets import ROOT, Reader, snippets

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "hub_config").rglob("*.md")])
PAGES = [page for page in PAGES if page.exists() and not {"_build", "_generated"} & set(page.parts)]
PAGES.remove(ROOT / "docs/reference/codes.md")  # its examples are the fixtures that the tests of the facility file run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_snippet_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    Reader(page, tmp_path).read()


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```yaml\nversion: 1\n```", "afkit check says"),
        ("```shell\nafkit chekc FILE\n```", "ended with 2"),
        ("```shell\nafkit up --no-such-option\n```", None),
        ("```shell\nmake no-such-target\n```", "ended with 2"),
        ("```shell\nfrobnicate\n```", "nothing runs the command"),
        ("```python\nraise SystemExit(1)\n```", "page.md"),
        ("```cobol\nSTOP RUN.\n```", "nothing runs a block"),
        ("```json\n{\n```", None),
        ("```shell\nafkit --version\n```\n<!-- snippet: output -->\n```text\nsomething else\n```", "the command printed"),
    ],
)
def test_a_wrong_snippet_is_found(block: str, complaint: str | None, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n")
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{block}\n")
    assert snippets(page)
    with pytest.raises((AssertionError, SystemExit, ValueError)) as caught:
        Reader(page, tmp_path, root=tmp_path).read()
    assert complaint is None or complaint in str(caught.value)
