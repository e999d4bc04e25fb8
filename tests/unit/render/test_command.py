"""``afkit render``."""

from __future__ import annotations

from pathlib import Path

import pytest

from afkit.cli.main import main
from tests.unit.render.rendering import file_of


def test_files_or_one_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(file_of("example")), "--target", "manifests", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == ""
    written = "---\n".join(file.read_text() for file in sorted((tmp_path / "out").iterdir()))
    assert main(["render", str(file_of("example")), "--target", "manifests"]) == 0
    assert capsys.readouterr().out == written


def test_images_and_storage_class_are_said_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--hub-image", "r.example.org/hub:7", "--proxy-image", "r.example.org/proxy:7", "--hub-storage-class", "disk"]
    assert main(["render", str(file_of("example")), "--target", "manifests", *words]) == 0
    text = capsys.readouterr().out
    for word in ("image: r.example.org/hub:7", "image: r.example.org/proxy:7", "storageClassName: disk"):
        assert word in text


def test_a_facility_without_kubernetes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file_of("together").read_text()
    file = tmp_path / "facility.yaml"
    file.write_text("\n".join(line for line in text.splitlines() if not line.startswith("kubernetes:")))
    assert main(["render", str(file), "--target", "manifests"]) == 2
    assert "kubernetes" in capsys.readouterr().err


def test_what_a_file_is_read_from_comes_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "base.yaml").write_text(file_of("together").read_text())
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "staff.txt").write_text("ada\n")
    (tmp_path / "outside.txt").write_text("grace\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "base.yaml").write_text((tmp_path / "base.yaml").read_text())
    (inner / "staff.txt").write_text("ada\n")
    main_file = inner / "facility.yaml"
    main_file.write_text(
        "version: 1\nextends: base.yaml\ngroups: {staff: {users: {file: staff.txt}}, more: {users: {file: ../outside.txt}}}\n"
    )
    assert main(["render", str(main_file), "--target", "manifests"]) == 0
    out, err = capsys.readouterr()
    assert "base.yaml: |" in out
    assert "staff.txt: |" in out
    assert "grace" not in out
    assert "outside.txt" in err
