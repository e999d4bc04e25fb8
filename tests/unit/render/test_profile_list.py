"""``--target profile-list``: every byte of it, what it says that it leaves out, and what it refuses."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from afkit.cli.main import main
from afkit.facility.dump import dump
from afkit.facility.load import load_facility
from afkit.policy.entitle import from_groups
from afkit.render.profile_list import ProfileList, profile_list
from tests.unit.render.listing import FILES

LIST = FILES["list"][0]


def listed(name: str, *groups: str) -> ProfileList:
    file, known = FILES[name]
    facility = load_facility(file)
    return profile_list(facility, from_groups(facility, "", groups or known))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(one)


@pytest.mark.parametrize("name", FILES)
def test_the_whole_list(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"profile-list-{name}.yaml", dump([list(listed(name).entries)]))


def test_the_command_prints_it_and_says_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(LIST), "--target", "profile-list", "--groups", "staff"]) == 0
    out, err = capsys.readouterr()
    assert yaml.safe_load(out) == list(listed("list").entries)
    for left in ("limits:", "image own:", "pool claims: KubeSpawner makes no claims of devices", "pvc_name_template = 'homes-{username}'"):
        assert f"afkit render: not in the list: {left}" in err or left in err, left
    assert main(["render", str(LIST), "--target", "profile-list", "--groups", "staff", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "profile-list.yaml").read_text() == out


def test_a_choice_that_does_not_fit_is_no_choice() -> None:
    entries = {entry["slug"]: entry["profile_options"]["choice"]["choices"] for entry in listed("list").entries}
    assert set(entries) == {"work-cpu", "work-arm", "work-gpu"}
    assert "intel--small--lab--new" in entries["work-cpu"]
    assert set(entries["work-arm"]) == {"both--small--lab"}
    assert not any("large" in key for key in entries["work-gpu"])


def test_who_sees_it_may_have_it() -> None:
    assert not [entry for entry in listed("list").entries if "secret" in entry["slug"]]
    assert [entry["slug"] for entry in listed("list", "others").entries] == ["secret-cpu"]
    # a mount that this group may write is not read-only for it
    override = listed("list").entries[0]["profile_options"]["choice"]["choices"]["both--small--lab"]["kubespawner_override"]
    (mount,) = (one for one in override["volume_mounts"] if one["name"] == "data")
    assert "readOnly" not in mount


def test_nothing_in_it_is_markup_or_afkits_own() -> None:
    for entry in listed("list").entries:
        for shown in (entry["display_name"], entry["description"]):
            assert "<" not in shown
            assert html.unescape(shown)
        for text in texts(entry):
            assert "afkit" not in text.lower(), text
            assert "\0" not in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("{username}/{escaped_username}", "{initial}"), "KubeSpawner has no placeholder {initial}, and '{initial}' has it."),
        (
            ("path: /home}", 'path: "/home/{username}"}'),
            "KubeSpawner fills in no placeholder in working_dir, and '/home/{username}' has one.",
        ),
        (("cmd: [start.sh,", 'cmd: ["{username}",'), "KubeSpawner fills in no placeholder in cmd"),
    ],
)
def test_what_kubespawner_cannot_do_is_refused(
    change: tuple[str, str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facility.yaml"
    assert change[0] in LIST.read_text()
    file.write_text(LIST.read_text().replace(*change))
    assert main(["render", str(file), "--target", "profile-list", "--groups", "staff"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ("stuff", "The facility has no group 'stuff'."),
        ("hub:staff", "The facility has no group 'hub:staff'."),
        ("", "People of these groups may choose nothing."),
    ],
)
def test_groups_that_are_none(groups: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(LIST), "--target", "profile-list", "--groups", groups]) == 2
    assert sentence in capsys.readouterr().err


def test_ids_of_a_login_are_said_to_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text(LIST.read_text().replace("uid: 4711", "uid: {claim: posix.uid}"))
    assert main(["render", str(file), "--target", "profile-list", "--groups", "staff"]) == 0
    assert "identity.run_as: a list takes no claims; uid of servers is the default." in capsys.readouterr().err
