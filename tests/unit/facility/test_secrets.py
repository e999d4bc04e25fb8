"""A secret is never written in the file, and what stands in its place by mistake is never repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from afkit.facility.load import check_facility

SECRET = "hunter2-Zebra"
HEAD = """version: 1
extends: base.yaml
identity:
  allow: everyone
  issuers:
    lab:
      url: https://login.example.org/
      dialect: wlcg
"""
BASE = (Path(__file__).parent / "fixtures" / "base.yaml").read_text()


def problems_of(folder: Path, text: str) -> str:
    (folder / "base.yaml").write_text(BASE)
    (folder / "facility.yaml").write_text(text)
    facility, problems = check_facility(folder / "facility.yaml", traits="missing")
    assert facility is None
    assert problems
    return repr(problems) + "".join(str(problem) for problem in problems)


@pytest.mark.parametrize(
    "client",
    [
        f"{{id: hub, secret: {SECRET}}}",
        f"{{id: hub, secret: '{SECRET}'}}",
        f"{{id: hub, secret: [{SECRET}]}}",
        f"{{id: hub, secret: {{value: {SECRET}}}}}",
        f"{{id: hub, secret: {{env: {SECRET}!}}}}",
        f"{{id: hub, secret: {{env: {SECRET}, file: {SECRET}}}}}",
        f"{{id: hub, secret: {{secret: {SECRET}}}}}",
        f"{{id: hub, secret: {{secret: [{SECRET}], key: k}}}}",
        f"{{id: hub, secret: !!binary {SECRET}}}",
        f"{{id: hub, secrets: {SECRET}}}",
        f"{{id: hub, secret: {SECRET}, secret: {SECRET}}}",
        f"{SECRET}",
        f"[hub, {SECRET}]",
        f"{{id: hub, secret: {SECRET}",
    ],
)
def test_a_literal_is_not_repeated(client: str, tmp_path: Path) -> None:
    assert SECRET not in problems_of(tmp_path, HEAD + f"      client: {client}\n")


def test_a_number_in_a_secrets_place_is_not_repeated(tmp_path: Path) -> None:
    said = problems_of(tmp_path, HEAD + "      client: {id: hub, secret: 4815162342}\n")
    assert "AF208" in said
    assert "4815162342" not in said


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    for key in ("url", "documentation"):
        said = problems_of(tmp_path, f"version: 1\nextends: base.yaml\nfacility:\n  {key}: https://me:{SECRET}@example.org/\n")
        assert "AF208" in said
        assert SECRET not in said


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=8, max_size=40))
def test_whatever_stands_in_a_secrets_place_is_not_repeated(secret: str) -> None:
    import tempfile

    quoted = json.dumps(f"s3cret{secret}", ensure_ascii=False)
    with tempfile.TemporaryDirectory() as folder:
        said = problems_of(Path(folder), HEAD + f"      client: {{id: hub, secret: {quoted}}}\n")
    assert "s3cret" not in said


def test_the_records_hold_only_where_a_secret_is(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "facility.yaml").write_text(HEAD + "      client: {id: hub, secret: {file: secret}}\n")
    facility, problems = check_facility(tmp_path / "facility.yaml")
    assert problems == ()
    assert SECRET not in repr(facility)
