"""``afkit clusters`` in a terminal of a session: clusters of this machine and of the facility."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.session.facility import HUB_TOKEN, Facility
from tests.session.harness import Place, read_line, until
from tests.session.test_facility import environment
from tests.support.secrets import Secrets


def afkit(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "afkit", "clusters", *words]
    return subprocess.run(command, env=place.environ, cwd=place.home, capture_output=True, text=True, timeout=60, check=False)


SCRIPT = """
    import afkit, sys
    cluster = afkit.cluster(workers=(1, 2), wait=1, memory="1GiB", name="mine", idle="30m")
    print("up", flush=True)
    sys.stdin.readline()
"""


def test_on_this_machine(place: Place) -> None:
    assert afkit(place).stdout == "There is no Dask cluster.\n"
    script = place.start(SCRIPT)
    assert read_line(script) == "up"
    listed = afkit(place)
    assert listed.returncode == 0
    header, line = listed.stdout.splitlines()
    assert header.split() == ["NAME", "WHERE", "WORKERS", "CORES", "MEMORY", "SCHEDULER"]
    assert line.split()[:7] == ["mine", "this", "machine", "1", "of", "1", "to"]
    (one,) = json.loads(afkit(place, "--json").stdout)["clusters"]
    assert (one["name"], one["where"], one["pid"], one["adaptive"]) == ("mine", "this machine", script.pid, [1, 2])
    logs = afkit(place, "logs", "mine")
    assert logs.returncode == 0, logs.stderr
    assert "== " in logs.stdout
    unknown = afkit(place, "stop", "mien")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "Did you mean 'mine'?" in unknown.stderr
    assert json.loads(afkit(place, "stop", "mine", "--json").stdout) == {"stopped": "mine"}
    until(lambda: afkit(place).stdout == "There is no Dask cluster.\n")
    script.communicate("\n")


def test_in_a_facility(place: Place, tmp_path: Path, secrets_seen: Secrets) -> None:
    secrets_seen.add(HUB_TOKEN)
    (tmp_path / "facility").mkdir()
    facility = Facility(tmp_path / "facility")
    place.extra |= environment(facility)
    try:
        script = place.start(SCRIPT)
        assert read_line(script) == "up"
        assert "mine  facility" in afkit(place).stdout
        (one,) = json.loads(afkit(place, "--json").stdout)["clusters"]
        assert (one["where"], one["pid"], one["adaptive"]) == ("facility", 0, [1, 2])
        logs = json.loads(afkit(place, "logs", "mine", "--json").stdout)["logs"]
        assert any("Register" in text or "Scheduler" in text for text in logs.values())
        assert not facility.clusters["mine"].ended
        assert afkit(place, "stop", "mine").stdout == "The cluster mine ends.\n"
        assert facility.clusters["mine"].ended
        assert afkit(place).stdout == "There is no Dask cluster.\n"
        facility.failures += [500]
        failed = afkit(place)
        assert failed.returncode == 3
        assert failed.stderr.startswith("afkit: Not now.")
        script.communicate("\n")
    finally:
        facility.stop()
