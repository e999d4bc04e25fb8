"""Runs one benchmark in this process and prints its rows; exits 1 where an aim is missed."""

from __future__ import annotations

import importlib
import sys

from benchmarks.table import show


def main(name: str) -> int:
    """Run ``benchmarks.NAME``; a module without ``rows`` prints for itself, and may return an exit code."""
    module = importlib.import_module(f"benchmarks.{name}")
    if not hasattr(module, "rows"):
        return int(module.main() or 0)
    rows = module.rows()
    print(show(rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
