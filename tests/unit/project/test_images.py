"""What images are made from: locks of the versions that are tested, without addresses; recipes that take any base."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.images import bases, build
from tools.images.settings import settings
from tools.images.smoke import registration

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("hub", "session")


def pins(file: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", file.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_an_image_has_the_versions_that_are_tested(name: str) -> None:
    tested = pins(ROOT / "constraints.txt")
    for package, versions in pins(ROOT / "images" / name / "lock.txt").items():
        # of no part of the project: what installs into an environment, what a chart's own configuration imports, the first process
        assert package in ("pip", "pycurl", "dumb-init") or versions <= tested[package], package


def test_what_makes_a_start_slow_is_in_no_lock() -> None:
    for name in LOCKS:
        assert not {"rfc3987-syntax", "lark"} & pins(ROOT / "images" / name / "lock.txt").keys()


def test_sessions_have_no_hub_and_hubs_no_sessions() -> None:
    assert not {"jupyterhub-kubespawner", "oauthenticator"} & pins(ROOT / "images/session/lock.txt").keys()
    assert not {"jupyterlab", "coffea"} & pins(ROOT / "images/hub/lock.txt").keys()


def test_everything_is_pinned_by_hash_and_nothing_by_address() -> None:
    for lock in [*ROOT.glob("images/*/lock.txt"), *ROOT.glob("images/*/build.lock"), *ROOT.glob("images/*.lock")]:
        assert "://" not in lock.read_text(), lock
        for entry in re.split(r"\n(?=\S)", lock.read_text().strip()):
            assert "--hash=sha256:" in entry, entry
    proxy = json.loads((ROOT / "images/proxy/package-lock.json").read_text())["packages"]
    assert not [name for name, package in proxy.items() if "resolved" in package]
    assert all("integrity" in package for name, package in proxy.items() if name)


@pytest.mark.parametrize("name", build.RECIPES)
def test_a_containerfile_takes_a_base_and_nobody_s_number(name: str) -> None:
    text = (ROOT / "images" / name / "Containerfile").read_text()
    assert re.search(r"^ARG BASE=\S+$", text, re.MULTILINE)
    assert "FROM --platform=$TARGETPLATFORM ${BASE}" in text
    assert re.search(r"^USER [1-9]\d*:\d+$", text, re.MULTILINE)
    last = text[text.index("FROM --platform=$TARGETPLATFORM") :]
    assert not re.search(r"^RUN\b", last, re.MULTILINE), "the last stage would run something of the target"
    entry = re.findall(r"^ENTRYPOINT (.*)$", last, re.MULTILINE)
    assert entry == (['["/opt/afkit/bin/dumb-init", "--single-child", "--"]'] if name == "session" else [])


@pytest.mark.parametrize("name", build.RECIPES)
def test_the_key_is_the_content(name: str, tmp_path: Path) -> None:
    recipe = build.RECIPES[name]
    for file in build.inputs(recipe):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    there = build.Request(recipe, "amd64", root=tmp_path)
    before = there.key(afkit=True)
    assert before == build.Request(recipe, "amd64").key(afkit=True)
    assert before != build.Request(recipe, "arm64").key(afkit=True)
    assert before != build.Request(recipe, "amd64", "localhost/own").key(afkit=True)
    (tmp_path / "images" / name / "smoke.py").write_text("# only tests the image\n")
    assert there.key(afkit=True) == before
    (tmp_path / "images" / name / "Containerfile").write_text("FROM scratch\n")
    assert there.key(afkit=True) != before


def test_afkit_s_layer_is_one_for_all_images_and_changes_nothing_below() -> None:
    def files(name: str, **which: bool) -> set[Path]:
        return {file.relative_to(ROOT) for file in build.inputs(build.RECIPES[name], **which)}

    below = files("hub", afkit=False)
    assert not [file for file in below if file.parts[0] == "afkit"]
    assert files("hub", packages=False) == files("session", packages=False)
    hub, arm = build.Request(build.RECIPES["hub"], "amd64"), build.Request(build.RECIPES["session"], "arm64")
    assert hub.key(afkit=True, packages=False) == arm.key(afkit=True, packages=False)


def test_a_base_s_key_says_everything() -> None:
    assert len({bases.key(base, arch) for base in bases.BASES.values() for arch in ("amd64", "arm64")}) == 4


def test_settings_of_package_tools_are_handed_in_without_places_of_this_machine() -> None:
    environment = {
        "PIP_INDEX_URL": "https://one.example/simple",
        "PIP_FIND_LINKS": "/opt/wheels",
        "HOME": "/root",
        "UV_CACHE_DIR": "/cache",
    }
    found = {"UV_DEFAULT_INDEX": "https://two.example/simple", "PIP_INDEX_URL": "https://two.example/simple"}
    handed = settings(environment, found, authorities=True)
    assert handed["PIP_INDEX_URL"] == "https://one.example/simple"
    assert handed["UV_DEFAULT_INDEX"] == "https://two.example/simple"
    assert not {"PIP_FIND_LINKS", "HOME", "UV_CACHE_DIR"} & handed.keys()
    assert handed["SSL_CERT_FILE"] == handed["NODE_EXTRA_CA_CERTS"] == "/run/secrets/authorities"
    assert "SSL_CERT_FILE" not in settings({}, {}, authorities=False)


def test_the_emulator_is_registered_for_programs_of_its_architecture_only() -> None:
    _, name, kind, offset, magic, mask, emulator, flags = registration("arm64", "/usr/bin/qemu-aarch64-static").split(":")
    assert (name, kind, offset, emulator, flags) == ("afkit-arm64", "M", "", "/usr/bin/qemu-aarch64-static", "F")
    assert magic.count("\\x") == mask.count("\\x") == 20 or magic.count("\\x") + 3 == mask.count("\\x") == 20
    assert "\\xb7" in magic
    assert registration("amd64", "") == ""
