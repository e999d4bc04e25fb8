"""What ``make check``, ``make test`` and ``make test-full`` run, as data.

The order is designed: a stage starts as soon as a lane is free and all stages that it comes after have ended well; the
fast ones stand first, so that a plain mistake shows within seconds. Preparations start at once, beside everything else; but for
a cluster's programs, what is not in the caches leaves the processors to the fast tests for two minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
OLDEST = ".venv-oldest/bin/python"
LISTED = ("tests/contract", "tests/hub", "tests/up", "tests/session", "tests/lab")
"""Where tests of the oldest supported hub and Dask are: the contract seams, and tests marked ``oldest``."""
LONG = ("bad_input", "devices", "exact", "foreign", "how_to", "kills", "leaves_nothing", "names", "oldest", "pending", "registry")
"""Tests of the facility in its pods that take half an hour on two cores: a part of ``make test-full``, on a cluster of their own."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One command.

    ``after``: stages that must have ended well; ``idle``: starts at once, takes no lane, at idle priority; ``waits``: takes
    no lane either, since it waits for a cluster most of the time; ``alone``: runs while nothing else does (it measures
    time); ``needs``: a folder without which there is nothing to run.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    idle: bool = False
    waits: bool = False
    alone: bool = False
    needs: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def check() -> tuple[Stage, ...]:
    """Style, types, layers, budgets and the pure tests: what a person runs before each commit."""
    return (
        Stage("style", (PYTHON, "-m", "ruff", "check", ".")),
        Stage("format", (PYTHON, "-m", "ruff", "format", "--check", ".")),
        Stage("layers", (".venv/bin/lint-imports", "--no-cache")),
        Stage("unit", pytest("tests/unit", "-n", "2", "--dist", "worksteal")),
        Stage("types", (PYTHON, "-m", "mypy")),
    )


def test() -> tuple[Stage, ...]:
    """Every behaviour once, on the newest versions; on the oldest hub and Dask the contract seams and the tests marked ``oldest``."""
    oldest = Stage("oldest-seams", pytest(*there(*LISTED), "-m", "oldest", python=OLDEST), after=("oldest",))
    return (*prepare(), *check(), *real_parts(oldest))


def test_full() -> tuple[Stage, ...]:
    """``test`` with the long runs, everything on the oldest hub and Dask too, then the benchmarks."""
    folders = there(*LISTED, "tests/browser", "tests/notebooks")
    oldest = Stage("oldest-full", pytest(*folders, "--full", python=OLDEST), after=("oldest",))
    return (*prepare(), *check(), *real_parts(oldest, "--full"), Stage("benchmarks", (PYTHON, "-m", "benchmarks.run"), alone=True))


def prepare() -> tuple[Stage, ...]:
    """What takes long: a cluster's programs, images, the second environment, the pages of the documentation.

    Where the programs are not in the cache, the longest path leads through them: then they take a lane until they are built.
    """
    programs = (PYTHON, "-m", "tools.kubernetes", "build", "--where-possible")
    images = (PYTHON, "-m", "tools.images", "build", "--where-possible")
    fill = ("sh", "tools/with-python", "tools/environment.py", "oldest")
    return (
        Stage("programs", programs),
        Stage("image-files", images, idle=True),
        Stage("platforms", (*images, "--all-platforms"), after=("image-files",), idle=True),
        Stage("oldest", fill, idle=True),
        Stage("pages", (PYTHON, "-m", "tools.docs"), idle=True),
    )


def real_parts(oldest: Stage, *extra: str) -> tuple[Stage, ...]:
    """The suites that start real hubs, servers, clusters and browsers; the longest first, so that all lanes end together."""
    images = Stage("images", pytest("tests/images", *extra), after=("platforms",), needs="tests/images")
    kube = Stage("kube", pytest("tests/kube", *extra), after=("programs",), needs="tests/kube")
    long = (suite("session", *extra), suite("hub", *extra), suite("browser", *extra), oldest, suite("lab", *extra))
    short = (suite(name, *extra) for name in ("project", "docs", "notebooks", "contract", "identity"))
    return (*on_clusters(*extra), *long, suite("up", *extra), images, kube, *short)


def suite(name: str, *extra: str) -> Stage:
    """The tests of one folder."""
    return Stage(name, pytest(f"tests/{name}", *extra), needs=f"tests/{name}")


def on_clusters(*extra: str) -> tuple[Stage, ...]:
    """The suites that start a cluster.

    One takes a lane although it waits for pods half of the time: beside two lanes that compute, what it waits for comes late.
    """
    folder, built = Path("tests/cluster"), ("programs", "image-files")
    long = there(*(str(folder / f"test_hub_{module}.py") for module in LONG))
    others = (str(folder), *(f"--ignore={file}" for file in long))
    cluster = Stage("cluster", pytest(*others, *extra), after=built, needs=str(folder))
    facility = Stage("facility", pytest(*long, *extra), after=built, waits=True, needs=str(folder))
    return (cluster, facility) if "--full" in extra else (cluster,)


def there(*folders: str) -> tuple[str, ...]:
    """Those of the folders and files that exist."""
    return tuple(folder for folder in folders if Path(folder).exists())


def pytest(*arguments: str, python: str = PYTHON) -> tuple[str, ...]:
    """The command of a pytest run."""
    return (python, "-m", "pytest", "-q", "--durations=5", "--durations-min=2", *arguments)


SUITES = {"check": check, "test": test, "test-full": test_full}
