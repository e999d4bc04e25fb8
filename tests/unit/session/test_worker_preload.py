"""What a worker in a pod looks at before it asks to join."""

from __future__ import annotations

from pathlib import Path

import pytest

from afkit.session.inside import afkit_worker


async def test_repositories_are_looked_for_below_cvmfs_whatever_their_names_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cms.example.org").mkdir()
    (tmp_path / "cms.example.org" / "README").touch()
    monkeypatch.setattr(afkit_worker, "CVMFS", str(tmp_path))
    names = ("cms.example.org", "sft.example.org")
    # as a pod is told: the names, not where they are
    monkeypatch.setenv("AFKIT_CVMFS", ",".join(names))
    assert await afkit_worker.unanswered(names) == ["the CVMFS repository sft.example.org cannot be read"]
    monkeypatch.delenv("AFKIT_CVMFS")
    assert await afkit_worker.unanswered(names[:1]) == []


async def test_a_plain_folder_may_stand_for_cvmfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cms.example.org").mkdir()
    (tmp_path / "cms.example.org" / "README").touch()
    monkeypatch.setenv("AFKIT_CVMFS", str(tmp_path))
    assert await afkit_worker.unanswered(["cms.example.org"]) == []
