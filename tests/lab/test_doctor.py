"""`afkit doctor` in a session of a real facility, and on a machine without one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import afkit
from afkit.session.report import Finding, Report
from tests.support.secrets import Secrets
from tests.up.running import Up

DOCTOR = """
import os, json, subprocess, sys
def run(**more):
    return subprocess.run([sys.executable, "-m", "afkit", "doctor", "--json"], env=os.environ | more, capture_output=True, text=True)
"""


def doctor(*arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what it found by name, and all that was printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AFKIT_", "JUPYTER"))}
    done = subprocess.run(
        [sys.executable, "-m", "afkit", "doctor", "--json", *arguments], env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert found["good"] is (done.returncode == 0)
    return done.returncode, {one["name"]: one for one in found["checks"]}, done.stdout + done.stderr


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Up]:
    """The packaged facility with ada's server running."""
    run = Up(tmp_path_factory.mktemp("facility") / "state")
    try:
        run.start().ready().serve("ada")
        yield run
    finally:
        run.kill()
        secrets_seen.add(*run.facility.get("users", {}).values(), run.facility.get("token", ""))
        secrets_seen.watch(*(run.state / "logs").glob("*"))


def in_session(facility: Up, **environment: str) -> tuple[int, dict[str, Any], str]:
    """The same as `doctor`, in a kernel of ada's session."""
    code = f"{DOCTOR}\ndone = run(**{environment!r})\nprint('code', done.returncode)\nprint('out', json.dumps([done.stdout, done.stderr]))"
    facility.execute(code + "\nprint('hubtoken', os.environ['JUPYTERHUB_API_TOKEN'])")
    out, err = json.loads(facility.printed["out"])
    assert facility.printed["hubtoken"] not in out + err
    return int(facility.printed["code"]), {one["name"]: one for one in json.loads(out)["checks"]}, out + err


@pytest.mark.slow("a whole facility and a server are started first")
def test_in_a_session_all_is_well(facility: Up) -> None:
    code, found, _ = in_session(facility)
    assert {name: one["state"] for name, one in found.items()} == dict.fromkeys(
        ["versions", "session", "hub", "limits", "lifetime", "dask", "gpu", "space", "not applied"], "ok"
    )
    assert code == 0
    assert found["hub"]["message"] == "The hub answers, and knows this session as ada's."
    assert "profile analysis" in found["session"]["message"]
    assert "advice" in found["limits"]["message"]
    assert "computed its first task" in found["dask"]["message"]
    assert any("Images" in sentence for sentence in found["not applied"]["details"])


def test_in_a_session_what_is_wrong_is_bad_and_has_a_remedy(facility: Up) -> None:
    code, found, _ = in_session(facility, JUPYTERHUB_API_TOKEN="0123456789abcdef", HOME="/proc/nowhere", AFKIT_DASK="null")
    assert code == 1
    assert (found["hub"]["state"], found["hub"]["message"]) == ("bad", "The hub refuses this session's token (403).")
    assert "start it again" in found["hub"]["remedy"]
    assert found["space"]["state"] == "bad"
    assert found["dask"]["message"] == "The profile of this session gives no Dask."
    code, found, _ = in_session(facility, JUPYTERHUB_API_URL="http://127.0.0.1:9/hub/api", CPU_LIMIT="", MEM_LIMIT="", AFKIT_DASK="null")
    assert code == 1
    assert found["hub"]["message"] == "The hub does not answer (URLError)."
    assert found["limits"]["state"] == "unknown"


def test_with_all_cores_taken_dask_cannot_be_tried_which_is_not_ok(facility: Up) -> None:
    code = DOCTOR + "import afkit\ncluster = afkit.cluster(name='all', cores=float(os.environ['CPU_LIMIT']), workers=1)\n"
    code += "done = run()\ncluster.close()"
    facility.execute(code + "\nprint('code', done.returncode)\nprint('out', json.dumps(done.stdout))")
    found = {one["name"]: one for one in json.loads(json.loads(facility.printed["out"]))["checks"]}
    assert found["dask"]["state"] == "unknown"
    assert "left" in found["dask"]["message"] + found["dask"]["remedy"]
    assert found["dask"]["details"][0].startswith("cluster all: 1 workers")
    assert facility.printed["code"] == "0"


def test_on_a_machine_without_a_session() -> None:
    code, found, _ = doctor()
    assert list(found) == ["versions", "proxy", "ports", "dask", "gpu", "space"]
    assert code == 0, found


def test_a_facility_file_is_looked_at_too(tmp_path: Path) -> None:
    code, found, _ = doctor(
        "hub_config/laptop/facility.yaml" if Path("hub_config/laptop/facility.yaml").exists() else "afkit/up/laptop.yaml"
    )
    assert (code, found["file"]["state"]) == (0, "ok")
    broken = tmp_path / "facility.yaml"
    broken.write_text("version: 1\nprofile: {}\n")
    code, found, _ = doctor(str(broken))
    assert (code, found["file"]["state"]) == (1, "bad")
    assert "afkit check" in found["file"]["remedy"]
    assert found["file"]["details"]


def session_environment(**more: str) -> Mapping[str, str]:
    """A session's variables with a hub that nobody runs, and no Dask, so that the rest is looked at quickly."""
    return {
        "AFKIT_FACILITY": "test",
        "AFKIT_PROFILE": "p",
        "AFKIT_DASK": "null",
        "HOME": str(Path.home()),
        "PATH": os.environ["PATH"],
    } | more


def look(name: str, **environment: str) -> Finding:
    return next(one for one in afkit.doctor(session_environment(**environment)) if one.name == name)


def test_cvmfs_is_looked_at_where_there_is_a_folder_for_it(tmp_path: Path) -> None:
    assert "cvmfs" not in [one.name for one in afkit.doctor(session_environment())]
    assert look("cvmfs", AFKIT_CVMFS=str(tmp_path)).state == "bad"
    assert look("cvmfs", AFKIT_CVMFS=str(tmp_path / "nowhere")).state == "bad"
    (tmp_path / "cms.cern.ch").mkdir()
    finding = look("cvmfs", AFKIT_CVMFS=str(tmp_path))
    assert finding.state == "bad"
    assert finding.details[0].startswith("cms.cern.ch: hidden: ")
    (tmp_path / "cms.cern.ch" / "cmsset_default.sh").touch()
    assert look("cvmfs", AFKIT_CVMFS=str(tmp_path)).state == "ok"


def test_a_session_without_what_the_hub_should_have_told_it_is_unknown_not_ok() -> None:
    states = {one.name: one.state for one in afkit.doctor(session_environment())}
    assert states["hub"] == states["limits"] == states["lifetime"] == "unknown"
    assert look("lifetime", AFKIT_LIFETIME="{}").state == "ok"
    assert look("lifetime", AFKIT_LIFETIME=json.dumps({"max": 60, "ends": time.time() + 60})).state == "bad"
    assert look("session", AFKIT_ARCH="arm64" if os.uname().machine == "x86_64" else "amd64").state == "bad"


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU")
def test_a_gpu_that_was_promised_and_is_not_there_is_bad() -> None:
    finding = look("gpu", AFKIT_DASK=json.dumps({"where": "local", "pools": [], "worker": {}, "accelerators": 1}), PYTHONPATH="/nowhere")
    assert (finding.state, finding.message) == ("bad", "This session has 1 GPU, but none can be seen.")


def test_a_report_shows_itself_and_escapes_what_it_shows() -> None:
    report = Report("session", (Finding("space", "bad", "<b>full</b>", "Delete & go.", ("a < b",)), Finding("gpu", "ok", "none")))
    assert "&lt;b&gt;full&lt;/b&gt;" in report._repr_html_()
    assert "Delete &amp; go." in report._repr_html_()
    assert str(report).splitlines() == [
        "bad      space  <b>full</b>",
        "                → Delete & go.",
        "                - a < b",
        "ok       gpu    none",
    ]
    assert repr(report) == str(report)
    assert not report.good
