"""``afkit check`` asks the installed KubeSpawner what its traits take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afkit.cli.main import main
from afkit.errors import FacilityError
from afkit.facility.follow import FacilitySource
from afkit.facility.pod_rules import HUB_TRAITS, OWNED_TRAITS
from afkit.hub.kubernetes.traits import KubeSpawnerTraits

pytest.importorskip("kubespawner")
BASE = Path(__file__).resolve().parents[1] / "unit" / "facility" / "fixtures" / "base.yaml"


def test_traits_of_the_real_kubespawner() -> None:
    traits = KubeSpawnerTraits()
    assert {"cmd", "http_timeout", "slug_scheme"} <= set(traits.names)
    assert traits.refusal("http_timeout", 60) is None
    assert traits.refusal("cmd", ["start.sh"]) is None
    assert traits.refusal("hub_connect_port", 8081) is None
    assert "int" in str(traits.refusal("http_timeout", "soon"))
    assert "slug_scheme" in str(traits.refusal("slug_scheme", "other"))


def test_every_trait_is_of_a_server_or_refused_with_who_says_it() -> None:
    """A trait that a new KubeSpawner brings has to be given to one of them."""
    of_a_server = {"args", "cmd", "debug", "delete_grace_period", "disable_user_config", "http_timeout", "ip", "poll_interval", "port"}
    left = set(KubeSpawnerTraits().names) - OWNED_TRAITS.keys() - HUB_TRAITS - {"poll_jitter"}
    assert left == of_a_server
    assert not OWNED_TRAITS.keys() & HUB_TRAITS


def test_a_hub_reads_no_file_with_a_wrong_trait(tmp_path: Path) -> None:
    file = tmp_path / "facility.yaml"
    lines = BASE.read_text() + "session:\n  kubespawner:\n    http_timeout: "
    number = lines.count("\n") + 1
    file.write_text(f"{lines}soon\n")
    with pytest.raises(FacilityError) as caught:
        FacilitySource(file, traits=KubeSpawnerTraits())
    assert f"{file}:{number}:19: AF408 KubeSpawner refuses this value of http_timeout: " in str(caught.value)
    file.write_text(f"{lines}60\n")
    source = FacilitySource(file, traits=KubeSpawnerTraits())
    good = source.current()
    file.write_text(f"{lines}60\n    http_timeuot: 70\n")
    assert source.current() is good, "the last good version stays"
    assert [(problem.code, problem.line) for problem in source.problems] == [("AF407", number + 1)]


def test_the_command_reports_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text(BASE.read_text() + "session:\n  kubespawner:\n    http_timeout: soon\n    cmd: [start.sh]\n    http_timeuot: 5\n")
    assert main(["check", str(file), "--json"]) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [(problem["code"], problem["hint"]) for problem in problems] == [
        ("AF408", "Write what the trait takes."),
        ("AF407", "Did you mean 'http_timeout'?"),
    ]
