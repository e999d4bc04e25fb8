"""``make up`` as a person types it: options passed on, ended by Ctrl-C and by signals, nothing left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.secrets import Secrets

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def make_up(state: Path, secrets_seen: Secrets) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, object]]]:
    """``make up`` in a process group of its own, once the hub answers; its output is kept in a file."""
    output = state.with_suffix(".log")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    command = ["make", "up", f"ARGS=--port 0 --no-browser --state {state}"]
    with output.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=clean, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not (state / "facility.json").exists():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        yield process, secrets_seen.add_facility(state / "facility.json")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        secrets_seen.watch(output, *state.rglob("*.log"))


def interrupt_group(pid: int) -> None:
    os.killpg(pid, signal.SIGINT)


def terminate_group(pid: int) -> None:
    os.killpg(pid, signal.SIGTERM)


def terminate_make(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("end", [interrupt_group, terminate_group, terminate_make])
def test_make_up_passes_options_on_and_ends_with_all_it_started(end: object, tmp_path: Path, secrets_seen: Secrets) -> None:
    """Ctrl-C is SIGINT to the whole group; make hands SIGTERM on, so that the group's own reaches afkit twice."""
    state = tmp_path / "state"
    with make_up(state, secrets_seen) as (process, facility):
        assert set(facility["users"]) == {"ada", "grace", "root-of-all"}
        assert httpx.get(f"{facility['url']}hub/api/").status_code == 200
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) >= 3, "afkit up, a hub and a proxy"
        end(process.pid)  # type: ignore[operator]
        process.wait(30)
        assert psutil.wait_procs(started, timeout=5)[1] == []
    assert not (state / "facility.json").exists()
