"""What a command and ``import afkit`` cost beside a bare interpreter, and beside ``import kubespawner``."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.table import Row, alternate, show


def wall(*arguments: str) -> float:
    """Milliseconds from exec to exit of this Python with these arguments."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000


def rows() -> list[Row]:
    """Milliseconds of wall time; the first run of each is thrown away (it may compile)."""
    pairs = (
        ("import afkit", ("-c", "import afkit"), "bare interpreter", ("-c", ""), None),
        ("import afkit", ("-c", "import afkit"), "import kubespawner", ("-c", "import kubespawner"), 0.1),
        ("afkit --help", ("-m", "afkit", "--help"), "bare interpreter", ("-c", ""), None),
        ("afkit check --help", ("-m", "afkit", "check", "--help"), "import kubespawner", ("-c", "import kubespawner"), 0.2),
    )
    found = []
    for what, ours, peer_name, theirs, aim in pairs:
        wall(*ours)
        wall(*theirs)
        afkit, peer = alternate(lambda ours=ours: wall(*ours), lambda theirs=theirs: wall(*theirs))  # type: ignore[misc]  # bound now
        found.append(Row(what, peer_name, "ms", afkit, peer, aim))
    return found


def main() -> None:
    """Print the table."""
    print(show(rows()))
