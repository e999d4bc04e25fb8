"""afkit: an analysis facility from one file, and one call that gives an analyst a Dask cluster.

Importing this package loads nothing but the standard library; each public name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from afkit import errors as errors
    from afkit.facility.load import load_facility as load_facility
    from afkit.session import cvmfs as cvmfs
    from afkit.session.cluster import Group as Group, cluster as cluster, clusters as clusters, connect as connect, plan as plan
    from afkit.session.doctor import doctor as doctor

_HOMES = {
    "errors": "afkit.errors",
    "load_facility": "afkit.facility.load",
    "cluster": "afkit.session.cluster",
    "clusters": "afkit.session.cluster",
    "connect": "afkit.session.cluster",
    "plan": "afkit.session.cluster",
    "Group": "afkit.session.cluster",
    "doctor": "afkit.session.doctor",
    "cvmfs": "afkit.session.cvmfs",
}

__all__ = ["Group", "__version__", "cluster", "clusters", "connect", "cvmfs", "doctor", "errors", "load_facility", "plan"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'afkit' has no attribute {name!r}")
    module = importlib.import_module(_HOMES[name])
    globals()[name] = value = getattr(module, name, module)
    return value
