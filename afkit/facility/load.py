"""A facility file → a `Facility`, or every problem of the file at once.

::

    bytes ──yaml12──▶ nodes ──extends──▶ Document ──plain──▶ data ──parse──▶ models ──build──▶ Facility
                                                              │                                  │
                                          rules, references, pods: problems                  checks: problems
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from afkit.errors import FacilityError, Problem
from afkit.facility.build import build
from afkit.facility.checks_people import check_people
from afkit.facility.checks_places import check_places
from afkit.facility.checks_profiles import ProfileChecks, TooLarge, check_profiles
from afkit.facility.extends import Sources, read_document
from afkit.facility.layers import judge_nulls
from afkit.facility.model import Facility
from afkit.facility.parse import parse
from afkit.facility.pod_rules import check_pods
from afkit.facility.pod_security import check_pod_security
from afkit.facility.references import check_references
from afkit.facility.report import Report, StopReading
from afkit.facility.rules import check_keys
from afkit.facility.traits import Traits, check_traits
from afkit.facility.tree import Positions, plain
from afkit.names import digest


def load_facility(path: str | Path, traits: Traits | None = None) -> Facility:
    """Read a facility file. Raises `FacilityError`, with all problems in the order of the file, where it has an error.

    ``traits`` knows KubeSpawner; without it the file's ``kubespawner`` keys are not looked at.
    """
    facility, problems = check_facility(path, traits=traits)
    if facility is None:
        raise FacilityError(problems)
    return facility


def check_facility(
    path: str | Path, *, strict: bool = False, traits: Traits | Literal["missing"] | None = None
) -> tuple[Facility | None, tuple[Problem, ...]]:
    """The facility (``None`` where there is an error) and all problems of its file, in the order of the file.

    ``strict`` makes errors of the warnings that `afkit.facility.codes` names. ``traits`` knows KubeSpawner; ``missing``: it is not
    installed, which is a warning where the file needs it; ``None``: its keys are not looked at.
    """
    report = Report(strict)
    sources = Sources()
    try:
        facility = _read(Path(path), report, sources, traits)
    except StopReading:
        facility = None
    problems = report.ordered(tuple(str(source) for source in sources.content))
    if facility is None or report.failed:
        return None, problems
    content = b"".join(b"%d\0%s" % (len(one), one) for one in sources.content.values())
    return dataclasses.replace(facility, digest=digest(content), sources=tuple(sources.content), warnings=problems), problems


def _read(path: Path, report: Report, sources: Sources, traits: Traits | Literal["missing"] | None) -> Facility:
    document = read_document(path, report, sources)
    data = {key: value for key, value in plain(document.root).items() if not key.startswith("x-")}
    nulls = judge_nulls(data, document, report)
    check_keys(data, document, report)
    check_references(data, document, report)
    check_pods(data, document, report)
    check_pod_security(data, document, report)
    check_traits(data, document, report, traits)
    parsed = parse(data, document, report)
    parsed.broken |= nulls.broken
    facility = build(parsed.file, nulls.removed, document, report, sources)
    checks = ProfileChecks(facility, parsed, document, report)
    try:
        check_places(checks)
        check_people(checks)
        check_profiles(checks)
    except TooLarge:
        message = "There are too many pairs of pools, images and sizes to check them all."
        report.add("AF519", (document.file, 1, 1), message, "Name fewer in each profile, or put what is alike into one.")
    return dataclasses.replace(facility, positions=Positions(document))
