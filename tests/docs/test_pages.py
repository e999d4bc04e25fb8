"""The documentation knows every command, option, reason, trait, event and public name; its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import afkit
from afkit import errors
from afkit.cli.main import COMMANDS, _parser
from afkit.policy.claims import REASONS
from tools.docs import generate

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for page in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated"} & set(page.parts)]
OUTSIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]


@pytest.mark.parametrize("page", [*OUTSIDE, *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links {target}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_in_the_reference(command: str) -> None:
    page = "\n".join(generate.commands())
    assert f"## `afkit {command}`" in page
    section = page.partition(f"## `afkit {command}`")[2].partition("\n## ")[0]
    for action in generate.child(_parser(command), command)._actions:
        if action.dest == "help":
            continue
        for option in action.option_strings:
            assert option in section
        assert action.help, f"{command} {action.dest} says nothing"


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    for name in set(afkit.__all__) - {"__version__", "errors"}:
        assert f"afkit.{name}\n" in page or f"## `afkit.{name}`\n" in page


def test_every_reason_is_explained() -> None:
    page = (ROOT / "docs" / "explanation" / "resolver.md").read_text()
    kinds = [getattr(errors, name) for name in errors.__all__]
    reasons = {kind.reason for kind in kinds if isinstance(kind, type) and issubclass(kind, errors.RequestError)}
    assert reasons == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M))


def test_every_reason_of_a_refused_login_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "claims.md").read_text()
    assert dict(re.findall(r"^\| `([a-z-]+)` \| ([A-Z][^|]*\.) \|$", page, re.M)) == REASONS


def test_every_variable_of_a_session_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "session.md").read_text()
    source = (ROOT / "afkit" / "hub" / "environment.py").read_text()
    written = set(re.findall(r'"(AFKIT_[A-Z_]+)":', source))
    assert written
    assert written <= set(re.findall(r"`(AFKIT_[A-Z_]+)`", page))


def test_every_trait_and_event_is_in_the_reference() -> None:
    assert "c.AfkitLocalSpawner.facility_file" in "\n".join(generate.hub_traits())
    assert "## Decision on a choice" in "\n".join(generate.events())


def test_every_code_that_is_mentioned_exists() -> None:
    from afkit.facility import codes

    known = set(re.findall(r"AF\d{3}", Path(codes.__file__).read_text()))
    for page in [*OUTSIDE, *PAGES]:
        assert set(re.findall(r"\bAF\d{3}\b", page.read_text())) <= known, page


def test_every_screenshot_is_shown() -> None:
    shown = {name for page in [*OUTSIDE, *PAGES] for name in re.findall(r"screenshots/([\w-]+\.png)", page.read_text())}
    assert {file.name for file in (ROOT / "docs" / "screenshots").glob("*.png")} == shown
