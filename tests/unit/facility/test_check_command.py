"""``afkit check`` and ``afkit schema`` as people and programs call them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from afkit.cli.main import main

FIXTURES = Path(__file__).parent / "fixtures"
BASE = str(FIXTURES / "base.yaml")
TAG = str(FIXTURES / "AF701-tag.yaml")
WRONG = str(FIXTURES / "AF201-key.yaml")


def test_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", BASE]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{BASE}: no errors, no warnings.\n"


def test_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", WRONG]) == 2
    out, err = capsys.readouterr()
    assert out == f"{WRONG}:4:3: AF201 The key 'contakt' is not known here.\n    Did you mean 'contact'?\n"
    assert err == f"{WRONG}: 1 error, no warnings.\n"


def test_a_warning_is_an_error_under_strict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", TAG]) == 0
    assert "AF701" in capsys.readouterr().out
    assert main(["check", TAG, "--strict"]) == 2


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", TAG, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    answer = json.loads(out)
    assert answer["file"] == TAG
    assert [set(problem) for problem in answer["problems"]] == [{"code", "severity", "file", "line", "column", "message", "hint"}]
    assert answer["problems"][0]["severity"] == "warning"
    assert main(["check", WRONG, "--json"]) == 2


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "/nowhere/facility.yaml"]) == 2
    assert "AF101" in capsys.readouterr().out


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "afkit facility file"


def test_help_loads_no_model() -> None:
    call = "try:\n    main(['check', '--help'])\nfinally:\n    print('pydantic' in sys.modules, 'yaml' in sys.modules)"
    code = f"import sys\nfrom afkit.cli.main import main\n{call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "False False"


def test_a_pipe_that_closes_early() -> None:
    done = subprocess.run(
        f"{sys.executable} -m afkit schema | head -c 10", shell=True, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ('{\n  "$sche', "")
