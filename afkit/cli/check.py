"""``afkit check``: every problem of a facility file."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Literal

from afkit.errors import Problem

if TYPE_CHECKING:
    from afkit.facility.traits import Traits


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the facility file")
    parser.add_argument("--strict", action="store_true", help="images without a digest are errors")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the problems; 0: there is no error, 2: there is one."""
    from afkit.facility.load import check_facility

    _, problems = check_facility(arguments.file, strict=arguments.strict, traits=_traits())
    errors = sum(problem.severity == "error" for problem in problems)
    if arguments.json:
        json.dump({"file": arguments.file, "problems": [_plain(problem) for problem in problems]}, sys.stdout, indent=2)
        print()
    else:
        for problem in problems:
            print(problem)
        warnings = len(problems) - errors
        print(f"{arguments.file}: {_count(errors, 'error')}, {_count(warnings, 'warning')}.", file=sys.stderr)
    return 2 if errors else 0


def _traits() -> Traits | Literal["missing"]:
    if importlib.util.find_spec("kubespawner") is None:
        return "missing"
    from afkit.hub.kubernetes.traits import KubeSpawnerTraits

    return KubeSpawnerTraits()


def _plain(problem: Problem) -> dict[str, object]:
    return {name: getattr(problem, name) for name in ("code", "severity", "file", "line", "column", "message", "hint")}


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
