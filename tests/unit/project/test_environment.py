"""How the environment's maker chooses: pip's settings for uv, and when an environment is made anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import environment


def test_settings_of_pip_are_read_in_its_own_order() -> None:
    listed = "global.index-url='https://a.example/simple'\n:env:.index-url='https://b.example/simple'\ninstall.cert='/c.pem'\nnonsense\n"
    assert environment.parse_settings(listed) == {"index-url": "https://b.example/simple", "cert": "/c.pem"}


def test_settings_of_pip_are_handed_to_uv() -> None:
    settings = {
        "index-url": "https://u:secret@a.example/simple",
        "extra-index-url": "https://b.example\nhttps://c.example",
        "cert": "/c.pem",
    }
    handed = environment.uv_environment({"PATH": "/bin"}, settings)
    assert handed == {
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://u:secret@a.example/simple",
        "UV_INDEX": "https://b.example https://c.example",
        "SSL_CERT_FILE": "/c.pem",
    }


def test_uvs_own_settings_win() -> None:
    handed = environment.uv_environment({"UV_DEFAULT_INDEX": "https://mine.example"}, {"index-url": "https://pip.example"})
    assert handed["UV_DEFAULT_INDEX"] == "https://mine.example"


@pytest.mark.parametrize(("value", "handed"), [("true", "true"), ("1", "1"), ("false", None), ("", None)])
def test_no_index_is_handed_on_only_when_it_is_set(value: str, handed: str | None) -> None:
    assert environment.uv_environment({}, {"no-index": value}).get("UV_NO_INDEX") == handed


def test_folders_of_wheels_that_do_not_exist_are_passed_over(tmp_path: Path) -> None:
    handed = environment.uv_environment({}, {"find-links": f"{tmp_path} /does/not/exist https://wheels.example"})
    assert handed["UV_FIND_LINKS"] == f"{tmp_path},https://wheels.example"


def test_an_environment_without_python_is_not_usable(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text(f"VIRTUAL_ENV={tmp_path}")
    assert not environment.usable(tmp_path)


def test_every_target_of_the_makefile_is_known() -> None:
    makefile = (environment.ROOT / "Makefile").read_text()
    for name, target in environment.TARGETS.items():
        assert name == "oldest" or f"{target.folder}/{target.stamp}: {target.constraints} $(SOURCES)" in makefile


def test_make_knows_every_file_that_an_installation_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(environment.ROOT)
    asked = subprocess.run(["make", "-f", "-", "show"], input=SHOW, capture_output=True, text=True, check=True).stdout.split()
    assert {str(file) for file in environment.sources()} <= set(asked)


SHOW = "include Makefile\nshow:\n\t@echo $(SOURCES)\n"
