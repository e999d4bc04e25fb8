"""``afkit explain`` as an administrator sees it: golden files of text and JSON, exit codes, lines of the file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afkit.cli.main import main

FILE = "observatory.yaml"
LINES = (Path(__file__).parent / FILE).read_text().splitlines()


@pytest.fixture(autouse=True)
def beside_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


def explain(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["explain", FILE, *words])
    return code, capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code, text = explain(capsys, "--json", *words)
    return code, json.loads(text)


PEOPLE = {
    "vera": ("--user", "vera"),
    "edwin": ("--user", "edwin"),
    "guest": ("--user", "guest"),
    "stranger": ("--user", "stranger"),
    "claims": ("--groups", "sky:/survey/imaging,sky:/other"),
    "admin": ("--groups", "keepers"),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_what_each_person_sees(name: str, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]) -> None:
    code, text = explain(capsys, *PEOPLE[name])
    assert code == 0
    golden(f"explain-{name}.txt", text)


def test_the_json(capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]) -> None:
    code, text = explain(capsys, "--json", "--user", "edwin", "--set", "size=exposure")
    assert code == 1
    golden("explain-edwin.json", text)


def test_the_shape_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = as_json(capsys, "--groups", "imaging,ghosts")
    assert code == 0
    assert told["user"] is None
    assert told["groups"] == ["everyone", "imaging"]
    assert told["ignored"] == [{"value": "ghosts", "why": "this facility has no group 'ghosts'"}]
    assert told["decision"] is None
    for profile in told["profiles"]:
        assert {"name", "offered", "why", "pools", "images", "sizes", "options"} <= profile.keys()
        for items in (profile["pools"], profile["images"], profile["sizes"], *profile["options"].values()):
            assert all({"offered", "why"} <= item.keys() and item["why"] for item in items.values())


@pytest.mark.parametrize(
    ("who", "choice", "reason", "line"),
    [
        ("edwin", ("profile=deep-field",), "not-entitled", "    allow: [imaging]"),
        ("edwin", ("profile=reduction", "image=registry.example.org/people/x:1"), "not-entitled", "name: own"),
        ("edwin", ("size=exposure",), "limit-exceeded", "  everyone: {servers"),
        ("edwin", ("pool=cabin", "size=exposure"), "incompatible", "name: exposure"),
        ("vera", ("pool=cabin", "image=registry.example.org/people/x:1"), "incompatible", "  own: {match"),
        ("vera", ("profile=reduction", "image=registry.example.org/people/x:1", "view=blink"), "incompatible", "      blink:"),
        ("vera", ("size=giant",), "unknown-choice", None),
        ("vera", ("colour=red",), "unknown-option", None),
        ("guest", ("profile=deep-field",), "not-entitled", "    allow: [imaging]"),
        ("guest", ("size=glance",), "not-entitled", "profiles:"),
        ("vera", ("image=a//b",), "malformed", None),
        ("vera", ("profile=calibration",), "unknown-choice", "    allow: [keepers]"),
        ("edwin", ("pool=attic",), "unknown-choice", "name: attic"),
        ("vera", ("view=archive",), "unknown-choice", "      archive:"),
    ],
)
def test_the_line_of_the_rule_that_decided(
    who: str, choice: tuple[str, ...], reason: str, line: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = as_json(capsys, "--user", who, "--set", *choice)
    decision = told["decision"]
    assert (code, decision["granted"], decision["reason"], decision["selection"]) == (1, False, reason, {})
    assert decision["message"]
    if line is None:
        assert decision["line"] is None
    else:
        assert line in LINES[decision["line"] - 1]


def test_what_is_hidden_is_said_to_the_administrator_only(capsys: pytest.CaptureFixture[str]) -> None:
    _, hidden = as_json(capsys, "--user", "edwin", "--set", "profile=calibration")
    _, missing = as_json(capsys, "--user", "edwin", "--set", "profile=calibratiom")
    assert (hidden["decision"]["hidden"], missing["decision"]["hidden"]) == (True, False)
    assert hidden["decision"]["message"].replace("calibration", "calibratiom") == missing["decision"]["message"]
    assert hidden["decision"]["hint"] == missing["decision"]["hint"]


def test_a_choice_that_is_granted(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = as_json(capsys, "--user", "vera", "--set", "size=exposure", "--set", "profile=reduction")
    assert code == 0
    assert told["decision"]["granted"]
    assert told["decision"]["selection"] == {
        "profile": "reduction",
        "pool": "dome",
        "size": "exposure",
        "image": "plates",
        "view": "lab",
    }
    code, text = explain(capsys, "--user", "vera", "--set", "size=share")
    line = LINES.index("  reduction:") + 1
    assert code == 0
    assert (
        text.splitlines()[-1]
        == f"granted: profile=reduction pool=dome size=share image=plates view=lab  [{FILE}:{line}: profiles.reduction]"
    )


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--user",),
        ("--user", "vera", "--groups", "imaging"),
        ("--user", "vera", "--set", "size"),
        ("--user", "vera", "--set", "=x"),
        ("--user", "vera", "--set"),
        ("--user", "vera", "--claims", "x"),
    ],
)
def test_wrong_calls(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["explain", FILE, *words])
    assert caught.value.code == 2
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--user", "vera", "--set", "size=a", "--set", "size=b"), "a key is set twice"),
        (("--user", ""), "--user is empty"),
        (("--groups", "sky:/a,other:/b"), "a person has one issuer"),
    ],
)
def test_calls_that_mean_nothing(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", FILE, *words]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert message in captured.err


def test_a_file_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.yaml").write_text("version: 2\n")
    assert main(["explain", str(tmp_path / "wrong.yaml"), "--user", "vera"]) == 2
    assert not capsys.readouterr().out


def test_no_group_is_somebody_without_groups(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = as_json(capsys, "--groups", "")
    assert told["groups"] == ["everyone"]


def test_hostile_words_cannot_break_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = explain(capsys, "--groups", "a\x1b[31m,sky:\x07", "--set", "pool=\x1b[31m\nx", "z\n=1")
    assert code == 1
    assert text.replace("\n", "").isprintable()


def test_never_coloured_when_not_a_terminal() -> None:
    command = [sys.executable, "-m", "afkit", "explain", FILE, "--user", "edwin"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\033" not in done.stdout
    assert done.stderr == ""


def test_a_rule_of_the_file_below_is_placed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("\n".join(LINES))
    Path("site.yaml").write_text("version: 1\nextends: base.yaml\nprofiles:\n  calibration:\n    advertise: true\n")
    assert main(["explain", "site.yaml", "--user", "edwin", "--json", "--set", "profile=deep-field"]) == 1
    decision = json.loads(capsys.readouterr().out)["decision"]
    assert Path(decision["file"]).name == "base.yaml"
    assert LINES[decision["line"] - 1] == "    allow: [imaging]"
