"""``afkit pod``: what is printed, and what a call is answered that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from afkit.cli.main import main
from afkit.names import owner
from tests.unit.pods.asking import FOLDER, loaded, server

EXAMPLE, WIDE = str(FOLDER / "example.yaml"), str(FOLDER / "wide.yaml")
IDS = ["--claim", "uid_number=4711", "gid_number=4712", "gids=[300, 301]"]


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = main(["pod", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_objects_are_those_that_the_hub_makes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--user", "ada", "--key", "key-of-ada", "--groups", "lab:staff", "--set", "pool=claims", "size=two"]
    code, told = asked(capsys, WIDE, *words, *IDS, "--server", "gpu")
    assert code == 0
    assert (told["apiVersion"], told["kind"]) == ("v1", "List")
    made = server(loaded("wide.yaml"), {"pool": "claims", "size": "two"}, "lab:staff", server="gpu")
    assert told["items"] == list(made.all())


def test_without_json_it_is_the_same_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = asked(capsys, EXAMPLE, "--user", "grace")
    assert main(["pod", EXAMPLE, "--user", "grace"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == told


def test_whose_server_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def namespace(*words: str) -> str:
        code, told = asked(capsys, EXAMPLE, *words)
        assert code == 0, told
        return str(told["items"][-1]["metadata"]["namespace"])

    assert namespace("--user", "ada") == f"af-example-{owner('example', 'local', 'ada')}"
    mine = f"af-example-{owner('example', 'https://cms-auth.example.org/', 'ada')}"
    assert namespace("--user", "ada", "--groups", "cms:/cms") == mine
    assert namespace("--user", "ada", "--groups", "physicists", "--issuer", "cms") == mine
    keyed = owner("example", "https://cms-auth.example.org/", "4f9c")
    assert namespace("--user", "ada", "--groups", "cms:/cms", "--key", "4f9c") == f"af-example-{keyed}"
    code, told = asked(capsys, WIDE, "--user", "eve", "--groups", "staff", *IDS)
    assert code == 0
    assert told["items"][-1]["metadata"]["labels"]["afkit.io/owner"] == owner("wide", "https://login.example.org/", "eve")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([EXAMPLE, "--user", "ada", "--set", "profile=training"], "not-entitled"),
        ([EXAMPLE, "--user", "ada", "--set", "size=tiny"], "unknown-choice"),
        ([EXAMPLE, "--user", "ada", "--set", "colour=red"], "unknown-option"),
        ([WIDE, "--user", "ada", "--groups", "staff"], "not-entitled"),
        ([WIDE, "--user", "ada", "--groups", "staff", "--claim", "uid_number=zero"], "not-entitled"),
        ([EXAMPLE, "--user", "nobody"], "not-entitled"),
    ],
)
def test_a_refusal(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = asked(capsys, *words)
    assert code == 1
    assert set(told) == {"reason", "message", "hint"}
    assert told["reason"] == reason


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--user", ""], "--user is empty"),
        (["--user", "ada", "--set", "size=small", "size=large"], "twice"),
        (["--user", "ada", "--claim", "a=1", "a=2"], "twice"),
        (["--user", "ada", "--groups", "cms:/cms,egi:x"], "one issuer"),
        (["--user", "ada", "--groups", "cern:/cms"], "no issuer 'cern'"),
        (["--user", "ada", "--issuer", "cern"], "no issuer 'cern'"),
    ],
)
def test_a_wrong_call(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pod", EXAMPLE, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert what in err


def test_a_facility_that_is_not_on_kubernetes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(EXAMPLE).read_text()
    file = tmp_path / "facility.yaml"
    file.write_text(text[: text.index("kubernetes:\n")])
    assert main(["pod", str(file), "--user", "ada"]) == 2
    assert "no facility on Kubernetes" in capsys.readouterr().err
