"""``afkit explain --claims``: what it prints, its exit codes, and files that are no claims."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afkit.cli.claims_file import MOST_BYTES, MOST_LEVELS
from afkit.cli.main import main
from tests.unit.policy.claims.logins import URL

FILE = "providers.yaml"
SCHOOL = """
version: 1
facility: {name: school, contact: desk@example.org}
identity: {allow: [course], issuers: {school: {dialect: hub}}}
groups: {course: {from: ["school:course-1"]}}
pools: {cpu: {arch: amd64}}
images:
  base: {image: "registry.example.org/base:1@sha256:4444444444444444444444444444444444444444444444444444444444444444", arch: [amd64]}
sizes: {small: {cpu: 1, memory: 2Gi}}
profiles: {analysis: {allow: [course], pools: [cpu], images: [base], sizes: [small]}}
"""


@pytest.fixture(autouse=True)
def beside_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """``ask(claims or bytes, words…)``: the exit code and the JSON (empty where none is printed; ``err`` has what was said)."""

    def run(told: Any, *words: str, file: str = FILE) -> tuple[int, dict[str, Any]]:
        path = tmp_path / "claims.json"
        path.write_bytes(told if isinstance(told, bytes) else json.dumps(told).encode())
        code = main(["explain", file, "--claims", str(path), "--json", *words])
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {"err": captured.err}

    return run


def of(name: str, **more: Any) -> dict[str, Any]:
    return {**json.loads(Path(f"sets/{name}.json").read_text()), **more}


@pytest.mark.parametrize("name", ["iam-wlcg", "egi", "cern", "keycloak-one-factor", "iam-wlcg-access-token", "cern-federated"])
def test_what_is_printed(name: str, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]) -> None:
    code = main(["explain", FILE, "--claims", f"sets/{name}.json"])
    text = capsys.readouterr().out
    assert code == (1 if "\nrefused (" in text else 0)
    golden(f"explain-{name}.txt", text)


def test_the_json_of_somebody_who_may_log_in(ask: Any) -> None:
    code, told = ask(of("iam-wlcg"))
    assert code == 0
    assert (told["user"], told["groups"], told["admin"]) == ("ada", ["everyone", "members", "accelerated"], False)
    assert told["ignored"] == [{"value": "cms:/cms/uscms", "why": "no group of this facility has 'cms:/cms/uscms' in its 'from'"}]
    assert [profile["name"] for profile in told["profiles"] if profile["offered"]] == ["analysis"]
    assert told["decision"] is None and "refused" not in told
    assert told["login"] == {
        "issuer": "cms",
        "key": "e1eb758b-b73c-4761-bfff-adc793da409c",
        "run_as": {"uid": 1000, "gid": 100, "fs_group": 100, "groups": [], "root": False},
    }


def test_the_json_of_a_refused_login(ask: Any) -> None:
    code, told = ask(of("keycloak-one-factor"))
    assert code == 1
    assert {"reason", "message"} <= told["refused"].keys() and told["refused"]["reason"] == "require-acr"
    assert (told["user"], told["groups"], told["profiles"], told["decision"]) == ("nils-lab", ["everyone", "members"], [], None)
    code, told = ask(of("iam-wlcg", **{"wlcg.groups": "/cms"}))
    assert (code, told["refused"]["reason"], told["groups"], told["user"]) == (1, "malformed", [], "ada")
    code, told = ask(of("iam-wlcg", iss="https://evil.example.org/"))
    assert (code, told["refused"]["reason"], told["groups"], told["user"], told["login"]) == (1, "unknown-issuer", [], None, None)


def test_a_choice_of_somebody_who_logs_in(ask: Any) -> None:
    code, told = ask(of("iam-wlcg"), "--set", "size=small")
    assert (code, told["decision"]["granted"]) == (0, True)
    code, told = ask(of("iam-wlcg"), "--set", "size=giant")
    assert (code, told["decision"]["reason"]) == (1, "unknown-choice")


def test_an_administrator_by_login_name(ask: Any) -> None:
    assert ask(of("iam-wlcg", preferred_username="keeper"))[1]["admin"]
    code, told = ask(of("iam-wlcg", preferred_username="keeper", **{"wlcg.groups": []}))
    assert (code, told["admin"], told["refused"]["reason"]) == (1, False, "not-allowed")


def test_whose_claims_they_are(ask: Any) -> None:
    without = {key: value for key, value in of("iam-wlcg").items() if key != "iss"}
    code, told = ask(without)
    assert (code, told["refused"]["reason"]) == (1, "unknown-issuer")
    code, told = ask(without, "--issuer", "cms")
    assert (code, told["user"]) == (0, "ada")
    assert told["notes"] == ["The claims do not say which provider they are from (iss); they are read as those of cms."]
    code, told = ask(of("iam-wlcg"), "--issuer", "egi")
    assert (code, told["refused"]["reason"]) == (1, "unknown-issuer")
    code, told = ask(of("iam-wlcg"), "--issuer", "cms")
    assert (code, told["notes"]) == (0, [])
    code, told = ask(of("iam-wlcg"), "--issuer", "csm")
    assert code == 2 and "has no issuer 'csm'" in told["err"]


def test_people_of_the_hub(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "school.yaml").write_text(SCHOOL)
    file = str(tmp_path / "school.yaml")
    code, told = ask({"name": "ada", "groups": ["course-1", "x"], "admin": True}, file=file)
    assert (code, told["user"], told["groups"], told["admin"]) == (0, "ada", ["everyone", "course"], False)
    assert told["ignored"][0]["value"] == "school:x"
    code, told = ask({"name": "ada", "groups": ["course"]}, file=file)
    assert (code, told["refused"]["reason"]) == (1, "not-allowed")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff{}", "is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "is not UTF-8"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b'{"iss": 1, "iss": 2}', "has 'iss' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "has 'b' twice"),
        (b'{"exp": NaN}', "NaN or Infinity"),
        (b'{"exp": -Infinity}', "NaN or Infinity"),
        (b"[" * 10_000 + b"]" * 10_000, "levels deep"),
        (b'{"a":' * (MOST_LEVELS + 1) + b"1" + b"}" * (MOST_LEVELS + 1), f"more than {MOST_LEVELS} levels"),
        (b'{"a": "' + b"x" * MOST_BYTES + b'"}', f"has more than {MOST_BYTES} bytes"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "is no JSON object"),
        (b'"x"', "is no JSON object"),
        (b"null", "is no JSON object"),
        (b'"' + b'\\"' * 200_000, "is not JSON"),
        (b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "is a token, not its claims"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_files_that_are_no_claims(content: bytes, message: str, ask: Any) -> None:
    code, told = ask(content)
    assert code == 2
    assert message in told["err"] and len(told["err"]) < 500 and "Traceback" not in told["err"]
    assert b"c2lnbmF0dXJl" not in content or "c2lnbmF0dXJl" not in told["err"], "a token is not repeated"


def test_the_deepest_and_the_largest_that_are_read(ask: Any) -> None:
    deep: Any = 1
    for _ in range(MOST_LEVELS - 1):
        deep = {"a": deep}
    assert ask(of("iam-wlcg", more=deep))[0] == 0
    assert ask(of("iam-wlcg", more="x" * (MOST_BYTES - 2000)))[0] == 0


@pytest.mark.parametrize("path", ["missing.json", ".", "sets"])
def test_files_that_cannot_be_read(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", FILE, "--claims", path]) == 2
    captured = capsys.readouterr()
    assert not captured.out and f"{path} cannot be read" in captured.err


def test_claims_from_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps(of("iam-wlcg")).encode())
    os.close(writing)
    try:
        assert main(["explain", FILE, "--claims", f"/dev/fd/{reading}"]) == 0
    finally:
        os.close(reading)
    assert capsys.readouterr().out.startswith("ada: in everyone, members, accelerated\n")


@pytest.mark.parametrize("words", [("--claims", "a", "--user", "ada"), ("--claims", "a", "--groups", "x"), ("--claims",)])
def test_one_person_at_a_time(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["explain", FILE, *words])
    assert caught.value.code == 2


def test_an_issuer_without_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", FILE, "--user", "ada", "--issuer", "cms"]) == 2
    assert "--issuer says whose --claims are" in capsys.readouterr().err


def test_a_facility_without_issuers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "local.yaml").write_text(
        SCHOOL.replace("issuers: {school: {dialect: hub}}", "local: {users: {ada: {groups: [course]}}}").replace(
            'from: ["school:course-1"]', ""
        )
    )
    assert main(["explain", str(tmp_path / "local.yaml"), "--claims", "sets/egi.json"]) == 2
    assert "has no issuer, so nobody logs in with claims" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\x1b[31m", "é\u202e", "a\nb"])
@pytest.mark.parametrize("claim", ["sub", "preferred_username", "wlcg.groups", "iss", "wlcg.ver", "scope"])
def test_hostile_text_breaks_no_line_and_no_encoding(
    claim: str, text: str, ask: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = of("iam-wlcg") | {claim: [text, "/cms"] if claim == "wlcg.groups" else f"storage.{text}" if claim == "scope" else text}
    code, found = ask(told)
    assert code in (0, 1) and ("refused" in found) == (code == 1)
    assert main(["explain", FILE, "--claims", str(tmp_path / "claims.json")]) == code
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable() and "\x1b" not in printed


def test_no_secret_of_a_token_is_printed(ask: Any, tmp_path: Path) -> None:
    code, told = ask(of("iam-wlcg", access_token="eyJ0.secret.sig", at_hash="c2VjcmV0", nonce="secret"))
    assert code == 0 and "secret" not in json.dumps(told) and URL not in json.dumps(told)


def test_claims_and_groups_lead_to_the_same(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """However the groups of somebody come to be known, they are looked at in one way."""
    _, by_claims = ask(of("iam-wlcg"))
    assert main(["explain", FILE, "--json", "--groups", "cms:/cms,cms:/cms/uscms,cms:/cms/ml"]) == 0
    by_groups = json.loads(capsys.readouterr().out)
    assert main(["explain", FILE, "--json", "--groups", "members,accelerated"]) == 0
    by_name = json.loads(capsys.readouterr().out)
    for key in ("groups", "profiles", "limits"):
        assert by_claims[key] == by_groups[key] == by_name[key]
    assert by_claims["ignored"] == by_groups["ignored"]
