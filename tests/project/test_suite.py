"""The runner of the stages can say no: to a failure, a process left behind, a printed secret, a long test, a missing part."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tools.suite import reaper
from tools.suite.run import Lanes, Result
from tools.suite.secrets import leaks
from tools.suite.stages import Stage

ROOT = Path(__file__).resolve().parents[2]
LEAVES_A_PROCESS = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
"""


def run(folder: Path, *stages: Stage, lanes: int = 2, deadline: float = 60) -> dict[str, Result]:
    async def all_of_them() -> tuple[Result, ...]:
        return await Lanes(lanes, folder, deadline, haste=0.1).run(stages)

    return {result.stage.name: result for result in asyncio.run(all_of_them())}


def python(name: str, code: str, **more: object) -> Stage:
    return Stage(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


def test_stages_end_as_their_commands_do(tmp_path: Path) -> None:
    results = run(tmp_path, python("good", "print('fine')"), python("bad", "raise SystemExit(3)"))
    assert (results["good"].outcome, results["good"].last) == ("good", "fine")
    assert results["bad"].outcome == "failed"


def test_a_stage_is_not_run_after_one_that_failed(tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    second = python("second", f"open({str(flag)!r}, 'w')", after=("first",))
    results = run(tmp_path, second, python("first", "raise SystemExit(1)"))
    assert results["second"].outcome == "failed"
    assert "not run" in results["second"].last
    assert not flag.exists()


def test_a_stage_without_tests_is_left_out(tmp_path: Path) -> None:
    assert run(tmp_path, python("empty", "1/0", needs=str(tmp_path / "nothing")))["empty"].outcome == "left out"


def test_a_stage_that_is_alone_runs_beside_nothing(tmp_path: Path) -> None:
    stages = [python(f"s{number}", "import time; time.sleep(0.3)", waits=number == 2) for number in range(3)]
    results = run(tmp_path, *stages, python("alone", "pass", alone=True))
    assert results["alone"].began >= max(results[stage.name].began + results[stage.name].seconds for stage in stages) - 0.05


def test_an_idle_stage_takes_no_lane_and_has_low_priority(tmp_path: Path) -> None:
    steps_aside = """
import os, time
print("usual share:", os.nice(0) == 0 or "it was lower before", flush=True)
while os.nice(0) < 19:
    time.sleep(0.02)
time.sleep(0.5)
print(os.nice(0))
"""
    idle = python("idle", steps_aside, idle=True)
    results = run(tmp_path, idle, python("work", "pass"), lanes=1)
    assert results["idle"].last == "19"
    assert results["work"].began < results["idle"].began + results["idle"].seconds


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root raises a priority again")
def test_a_stage_steps_aside_for_a_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeping = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, preexec_fn=lambda: os.nice(19))
    try:
        assert psutil.Process(sleeping.pid).nice() == 19
        monkeypatch.setattr(reaper, "GROUP", Path(os.devnull))  # this test's own group stays as it is
        reaper.come_back()
        assert psutil.Process(sleeping.pid).nice() == 0
    finally:
        sleeping.communicate(b"\n")


def test_a_stage_that_waits_takes_no_lane(tmp_path: Path) -> None:
    results = run(tmp_path, python("waits", "import time; time.sleep(0.5)", waits=True), python("work", "pass"), lanes=1)
    assert results["work"].began < results["waits"].began + results["waits"].seconds


def test_a_stage_that_is_out_of_time_is_ended(tmp_path: Path) -> None:
    result = run(tmp_path, python("long", "import time; time.sleep(600)"), deadline=1)["long"]
    assert result.outcome == "failed"
    assert "out of time" in result.last
    assert result.seconds < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to their grandparent")
def test_a_process_that_is_left_behind_fails_its_stage_and_is_ended(tmp_path: Path) -> None:
    result = run(tmp_path, python("leaves", LEAVES_A_PROCESS))["leaves"]
    assert result.outcome == "failed"
    pid = int(result.log.read_text().splitlines()[0])
    assert f"left behind: process {pid}" in result.log.read_text()
    assert not psutil.pid_exists(pid)


def test_a_secret_is_found_in_what_was_printed_and_not_repeated(tmp_path: Path) -> None:
    seen, results = tmp_path / "seen", tmp_path / "results"
    seen.mkdir()
    results.mkdir()
    (seen / "one").write_text("a-secret-of-a-test\n")
    (results / "hub.log").write_text("first line\nthen a-secret-of-a-test in the middle\n")
    (results / "other.log").write_text("nothing\n")
    assert leaks(seen, results) == (f"{results / 'hub.log'}:2",)


def pytest_on(folder: Path, test: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test file under the rules of this suite."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = full\n slow\n oldest\n")
    (folder / "test_it.py").write_text(textwrap.dedent(test))
    plugins = ("-p", "tests.support.rules", "-p", "tests.support.secrets", "-p", "tests.support.golden")
    command = (sys.executable, "-m", "pytest", "-c", str(folder / "pytest.ini"), *plugins, "-p", "no:cacheprovider", *options, str(folder))
    clean = {name: value for name, value in os.environ.items() if name not in {"CI", "AFKIT_SECRETS_SEEN"}}
    return subprocess.run(command, cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True, check=False)


MISSING = """
    from tests.support.rules import missing
    def test_needs_a_part():
        missing("a telescope", "Buy one.")
"""
PRINTS = """
    def test_prints(secrets_seen):
        secrets_seen.add("a-secret-of-a-test")
        print("the token is a-secret-of-a-test")
"""


def test_a_missing_part_is_loud_at_a_desk(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, MISSING)
    assert done.returncode == 0
    assert "NOT TESTED: 1 test without a telescope. Buy one." in done.stdout


def test_a_missing_part_fails_in_continuous_integration(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, MISSING, CI="true")
    assert done.returncode == 1
    assert "a telescope" in done.stdout


def test_a_printed_secret_fails_the_run_even_where_the_test_passes(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    done = pytest_on(tmp_path, PRINTS, AFKIT_SECRETS_SEEN=str(seen))
    assert done.returncode == 1
    assert "1 passed" in done.stdout
    assert "a secret was printed: test_it.py::test_prints, Captured stdout call, line 1" in done.stdout
    assert [file.read_text() for file in seen.iterdir()] == ["a-secret-of-a-test\n"]


def test_a_printed_secret_fails_the_run_of_two_workers(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, PRINTS, "-n", "2")
    assert done.returncode == 1
    assert "a secret was printed" in done.stdout


def test_a_secret_in_a_watched_log_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "hub.log").write_text("token a-secret-of-a-test\n")
    test = f"""
        from pathlib import Path
        def test_watches(secrets_seen):
            secrets_seen.watch(Path({str(tmp_path / "hub.log")!r}))
            secrets_seen.add("a-secret-of-a-test")
    """
    done = pytest_on(tmp_path, test)
    assert done.returncode == 1
    assert "hub.log, line 1" in done.stdout
    assert "a-secret-of-a-test" not in done.stdout


def test_a_long_test_must_say_why(tmp_path: Path) -> None:
    test = """
        import pytest, tests.support.rules as rules
        rules.LONGEST = 0.1
        def work():
            import time
            time.sleep(0.2)
        def test_silent():
            work()
        @pytest.mark.slow("waits for the kernel")
        def test_says_why():
            work()
    """
    done = pytest_on(tmp_path, test)
    assert "1 failed, 1 passed" in done.stdout
    assert "mark it full" in done.stdout


def test_full_tests_run_only_when_asked(tmp_path: Path) -> None:
    test = """
        import pytest
        @pytest.mark.full
        def test_long(): pass
        def test_short(): pass
    """
    assert "1 passed, 1 deselected" in pytest_on(tmp_path, test).stdout
    assert "2 passed" in pytest_on(tmp_path, test, "--full").stdout


def test_golden_files_are_compared_and_written_anew(tmp_path: Path) -> None:
    test = """
        def test_golden(golden):
            golden("object.txt", "new")
    """
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "object.txt").write_text("old")
    assert pytest_on(tmp_path, test).returncode == 1
    assert pytest_on(tmp_path, test, "--update-golden").returncode == 0
    assert (tmp_path / "golden" / "object.txt").read_text() == "new"
