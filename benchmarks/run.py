"""``make bench``: runs every benchmark, one after the other, and prints its table. ``--only NAME`` runs one.

A benchmark is a module of this folder with ``main() -> None``, which prints, or ``rows() -> list[Row]``.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time

NAMES = ("imports", "resolver", "form", "server", "images", "claims", "local_cluster", "hub", "load", "render", "ready")


def main(arguments: list[str]) -> int:
    """Run the benchmarks in processes of their own; returns 1 where one of them failed or missed its aim."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="run only this one (may be given again)")
    options = parser.parse_args(arguments)
    failed = []
    for name in options.only or NAMES:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            continue
        print(f"== {name}", flush=True)
        started = time.monotonic()
        if subprocess.run([sys.executable, "-m", "benchmarks.one", name], check=False).returncode:
            failed.append(name)
        print(f"-- {name}: {time.monotonic() - started:.0f} s\n", flush=True)
    if failed:
        print(f"failed or missed an aim: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
