"""``python -m tools.suite check|test|test-full``: runs the stages, prints their times, greps all output for secrets."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tools.suite import debian, secrets
from tools.suite.run import Lanes, Result
from tools.suite.stages import SUITES

RESULTS = Path("test-results")
MINUTES = {"check": 5, "test": 75, "test-full": 180}
"""When a run is ended whatever it does; the aims of the first two are 2 and 25 minutes, and 45 where all caches are empty."""


def main(arguments: list[str]) -> int:
    """Run one suite; returns 0 where every stage ended well and no secret was printed."""
    parser = argparse.ArgumentParser(prog="tools.suite", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--lanes", type=int, default=max(2, min(4, os.cpu_count() or 2)), help="stages at a time")
    parser.add_argument("--only", action="append", default=[], metavar="STAGE", help="run only this stage (may be given again)")
    options = parser.parse_args(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if options.suite != "check":
        debian.install_missing(root=os.geteuid() == 0)
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir()
    stages = [stage for stage in SUITES[options.suite]() if not options.only or stage.name in options.only]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="afkit-suite-") as seen:
        # kept outside the results: it holds what must not be printed
        os.environ["AFKIT_SECRETS_SEEN"] = seen
        lanes = Lanes(options.lanes, RESULTS.resolve(), MINUTES[options.suite] * 60)
        results = asyncio.run(lanes.run(stages))
        leaks = secrets.leaks(Path(seen), RESULTS)
    table(results, time.monotonic() - started)
    for line in leaks:
        print(f"  secret printed: {line}")
    return 1 if leaks or any(result.outcome == "failed" for result in results) else 0


def table(results: tuple[Result, ...], seconds: float) -> None:
    """Print when each stage began and how long it took, and what must be seen of its last lines."""
    print(f"\n{'stage':<16} {'began':>7} {'took':>7} {'cpu':>7}  outcome")
    for result in sorted(results, key=lambda result: result.began):
        print(f"{result.stage.name:<16} {result.began:6.1f}s {result.seconds:6.1f}s {result.cpu:6.1f}s  {result.outcome}")
    print(f"{'in all':<16} {'':>7} {seconds:6.1f}s {sum(result.cpu for result in results):6.1f}s")
    for result in results:
        for line in result.log.read_text(errors="replace").splitlines():
            if line.startswith("NOT TESTED"):
                print(f"{result.stage.name}: {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
