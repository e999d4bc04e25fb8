"""Things that take long are made once for each content, and again where making them was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.cache import cached


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "afkit"


def test_the_same_content_is_made_once(cache: Path) -> None:
    made: list[Path] = []
    first = cached("sample", b"one", made.append)
    assert cached("sample", b"one", made.append) == first
    assert made == [first]
    assert first.is_relative_to(cache / "sample")


def test_another_content_is_another_folder() -> None:
    assert cached("sample", b"one", lambda _: None) != cached("sample", b"two", lambda _: None)


def test_what_was_interrupted_is_made_anew() -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("sample", b"one", interrupted)
    folder = cached("sample", b"one", lambda folder: (folder / "whole").touch())
    assert (folder / "whole").exists()
    assert not (folder / "half").exists()
