"""``afkit doctor``: checks this session, this machine, or the cluster of a facility file, and says what to do."""

from __future__ import annotations

import argparse
import dataclasses
import json

from afkit.facility.model import Facility
from afkit.session.report import Finding, Report

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``afkit doctor``."""
    text = "a facility file: the cluster that it is for is looked at (the one that kubectl uses), or this machine where there is none"
    parser.add_argument("file", metavar="FILE", nargs="?", help=text)
    parser.add_argument("--kubeconfig", metavar="FILE", help="the cluster of this kubeconfig, instead of the one that kubectl uses")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; 1 if anything is ``bad``."""
    from afkit.facility.load import check_facility

    facility, problems = check_facility(arguments.file) if arguments.file is not None else (None, ())
    errors = tuple(str(problem) for problem in problems if problem.severity == "error")
    if facility is not None and not errors and _for_cluster(facility, arguments.kubeconfig):
        report = _cluster(facility, arguments.file, arguments.kubeconfig)
    else:
        from afkit.session.doctor import doctor

        report = doctor()
        if arguments.file is not None:
            report = dataclasses.replace(report, findings=report.findings + _facility(arguments.file, facility, errors))
    print(json.dumps(report.as_json(), indent=2, ensure_ascii=False) if arguments.json else report)
    return 0 if report.good else 1


def _for_cluster(facility: Facility, kubeconfig: str | None) -> bool:
    if facility.kubernetes is None or not facility.kubernetes.namespace:
        return False
    from afkit.cli.doctor_cluster import configured

    return kubeconfig is not None or configured()


def _cluster(facility: Facility, path: str, kubeconfig: str | None) -> Report:
    from afkit.cli.doctor_cluster import look

    return Report("cluster", (Finding("file", "ok", f"{path} has no error."), *look(facility, path, kubeconfig)))


def _facility(path: str, facility: Facility | None, errors: tuple[str, ...]) -> tuple[Finding, ...]:
    from afkit.policy.laptop import not_applied

    if facility is None or errors:
        text = f"{path} has {len(errors)} error{'' if len(errors) == 1 else 's'}."
        return (Finding("file", "bad", text, f"Run: afkit check {path}", errors[:3]),)
    found = Finding("file", "ok", f"{path} has no error.")
    sentences = not_applied(facility)
    if not sentences:
        return (found,)
    return found, Finding("not applied", "ok", f"On one machine this of {path} does not hold:", "", tuple(sentences))
