"""Our slugs are KubeSpawner's own: homes and claims of a facility that has them are found again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from afkit.pods.placeholders import Names
from afkit.pods.slugs import escaped, safe

slugs = pytest.importorskip("kubespawner.slugs", reason="KubeSpawner belongs to the newest axis")

NAMES = [
    "ada",
    "Ada",
    "ada-b",
    "ada--b",
    "-ada",
    "ada-",
    "1ada",
    "ada@example.org",
    "ada.lovelace",
    "a" * 47,
    "a" * 48,
    "a" * 49,
    "a" * 63,
    "a" * 64,
    "A" * 100,
    "@",
    "-",
    "--",
    "---",
    "",
    "é",
    "ädä",
    "ada/../b",
    "user name",
    "0",
    "x",
    "ada---12345678",
    "ада",
    "😀",
    "a_b",
    "{username}",
    "\n",
]
TEXT = st.text(max_size=80) | st.text("abcXYZ019-_.@", max_size=80)


@pytest.mark.parametrize("name", NAMES)
def test_known_names(name: str) -> None:
    assert safe(name) == slugs.safe_slug(name, max_length=48)
    assert escaped(name) == slugs.escape_slug(name)


@settings(max_examples=400)
@given(TEXT)
def test_any_name(name: str) -> None:
    assert safe(name) == slugs.safe_slug(name, max_length=48)
    assert escaped(name) == slugs.escape_slug(name)


@pytest.mark.parametrize("server", ["", "gpu", "My Server", "x" * 60, "a--b"])
@pytest.mark.parametrize("user", ["ada", "Ada@example.org", "a--b", "x" * 60])
def test_what_kubespawner_writes_into_templates(user: str, server: str) -> None:
    spawner = pytest.importorskip("kubespawner.spawner").KubeSpawner
    from types import SimpleNamespace

    from afkit.pods.placeholders import fill

    stand_in = SimpleNamespace(name=server, user=SimpleNamespace(name=user, id=1), slug_scheme="safe", _namespace_default=lambda: "hub")
    templates = (
        "/home/{username}",
        "{escaped_username}",
        "claim-{username}-{servername}",
        "x/{unescaped_username}/y",
        "{username}--{servername}",
    )
    for template in templates:
        assert fill(template, Names(user, server)) == spawner._expand_user_properties(stand_in, template), template
