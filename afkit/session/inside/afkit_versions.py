"""What has to be the same in the session and in its workers, for functions and results to mean the same in both.

Standard library alone; read in the session, in the scheduler and in the workers.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

__all__ = ["PACKAGES", "differences", "versions"]

MUST = ("dask", "distributed", "cloudpickle", "msgpack")
"""Packages that carry functions and messages: workers have to have them, in the session's version."""

PACKAGES = (*MUST, "numpy", "awkward", "uproot", "coffea", "hist", "pandas", "pyarrow")
"""Packages that are compared. What is not of `MUST` may be missing among the workers (tasks that import it say so), not differ."""


def versions() -> dict[str, str]:
    """The interpreter's version, and those of the packages that are installed. Nothing is imported."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = str(version(name))
        except PackageNotFoundError:
            continue
    return found


def differences(session: Mapping[str, str], worker: Mapping[str, str]) -> list[str]:
    """A phrase for each thing that keeps a worker out: ``numpy 2.3.1 instead of 2.4.0``."""
    found = []
    # byte code is the same in all releases of one minor version
    if _minor(session.get("python", "")) != _minor(worker.get("python", "")):
        found.append(f"Python {worker.get('python')} instead of {session.get('python')}")
    for name in PACKAGES:
        ours, theirs = session.get(name), worker.get(name)
        if ours is None or ours == theirs or (theirs is None and name not in MUST):
            continue
        found.append(f"no {name}" if theirs is None else f"{name} {theirs} instead of {ours}")
    return found


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]
