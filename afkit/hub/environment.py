"""The environment of a server on this machine, as its choice has it."""

from __future__ import annotations

import json
from typing import Any

from afkit.facility.model import Facility
from afkit.hub.running import Running, lifetime_setting
from afkit.pods.layers import Session
from afkit.pods.placeholders import Names, fill
from afkit.policy.dask import dask_terms
from afkit.policy.laptop import not_applied
from afkit.policy.model import Offer, Selection

__all__ = ["dask_setting", "session_environment"]

_NEVER = frozenset({"HOME", "USER", "SHELL"})
"""On this machine these are the operating-system user's and the state directory's, not a container's."""


def session_environment(spawner: Any, selection: Selection, session: Session, running: Running) -> tuple[dict[str, str], str]:
    """The variables that the facility file and afkit add, and the start page (empty: none is written)."""
    desk = spawner.desk
    facility: Facility = desk.facility
    names = Names(spawner.user.name, spawner.name)
    env = {key: fill(value, names) for key, value in session.env.items() if isinstance(value, str) and key not in _NEVER}
    env |= {
        "AFKIT_FACILITY": facility.name,
        "AFKIT_PROFILE": selection.profile.name,
        "AFKIT_POOL": selection.pool.name,
        "AFKIT_ARCH": selection.pool.arch,
        "AFKIT_SERVICES": desk.services_url(),
        "AFKIT_LIFETIME": lifetime_setting(running),
        "AFKIT_DASK": spawner.dask,
        "AFKIT_NOT_APPLIED": json.dumps(list(not_applied(facility))),
    }
    env |= _reporting(running) | _cvmfs(facility)
    if spawner.name:
        # clusters of two servers of one person are two things
        env["JUPYTER_RUNTIME_DIR"] = f"{spawner.home_dir}/.local/share/jupyter/runtime-{spawner.name}"
    return env, fill(session.default_url, names)


def dask_setting(offer: Offer, selection: Selection, service: str = "") -> str:
    """``AFKIT_DASK``: what Dask clusters this server may have, and how many accelerators it has itself; ``null``: none.

    ``service``: where the server reaches the facility's Dask service; empty: clusters run beside the notebook.
    """
    terms = dask_terms(offer, selection, "facility" if service else "local")
    own = {"accelerators": selection.resources.accelerators, **({"url": service} if service else {})}
    return json.dumps(None if terms is None else {**terms, **own})


def _reporting(running: Running) -> dict[str, str]:
    """How often the server tells the hub of its activity (seconds): often enough for its idle time."""
    return {} if running.idle is None else {"JUPYTERHUB_ACTIVITY_INTERVAL": str(max(min(300, running.idle // 4), 1))}


def _cvmfs(facility: Facility) -> dict[str, str]:
    cvmfs = facility.cvmfs
    return {"AFKIT_CVMFS": cvmfs.path} if cvmfs is not None and cvmfs.driver == "directory" and cvmfs.path else {}
