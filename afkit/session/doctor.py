"""Looks at a session, or at a machine that has none, and says what works, what does not, and what to do.

Nothing here raises, nothing is changed for good, and no token is ever shown. What cannot be tried is ``unknown``.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from afkit.session.doctor_checks import cvmfs, dask, gpu, hub, lifetime, limits, not_applied, ports, proxy, session, space
from afkit.session.report import Finding, Report

__all__ = ["doctor"]

_Check = Callable[[Mapping[str, str]], Finding | None]

_SESSION: tuple[tuple[str, _Check], ...] = (
    ("session", session),
    ("hub", hub),
    ("limits", limits),
    ("lifetime", lifetime),
    ("dask", dask),
    ("cvmfs", cvmfs),
    ("gpu", gpu),
    ("space", space),
    ("not applied", not_applied),
)
_MACHINE: tuple[tuple[str, _Check], ...] = (("proxy", proxy), ("ports", ports), ("dask", dask), ("gpu", gpu), ("space", space))


def doctor(environment: Mapping[str, str] | None = None) -> Report:
    """Look at everything; takes some seconds, for a small Dask cluster is really started where there is Dask.

    ``environment`` is by default this process's own. In a session of a facility (``AFKIT_FACILITY``) the hub, the limits, the
    lifetime, Dask, CVMFS, the GPU and the space are looked at; elsewhere what `afkit up` needs.
    """
    seen = os.environ if environment is None else environment
    inside = "AFKIT_FACILITY" in seen
    findings = [_versions()]
    for name, check in _SESSION if inside else _MACHINE:
        finding = _looked(name, check, seen)
        if finding is not None:
            findings.append(finding)
    return Report("session" if inside else "machine", tuple(findings))


def _looked(name: str, check: _Check, environment: Mapping[str, str]) -> Finding | None:
    try:
        return check(environment)
    except Exception as error:  # noqa: BLE001  # a doctor that dies of what it looks at is of no use
        # the class alone: the text might have a secret
        return Finding(name, "unknown", f"This could not be looked at: {type(error).__name__}.", "Tell your facility's support.")


def _versions() -> Finding:
    from afkit import __version__

    text = f"afkit {__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}, {Path(sys.prefix)}"
    return Finding("versions", "ok", text)
