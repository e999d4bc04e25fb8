"""What a pod's status means for the server in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afkit.facility.pod_rules import MAIN
from afkit.kube.pending_model import moment

__all__ = ["exit_status", "has_printed", "is_gone", "is_over", "is_ready"]

Pod = Mapping[str, Any]

_OVERDUE: Final = 30.0
"""Seconds after which a pod that should have ended is a lost one: its node does not answer."""
_RESTARTS: Final = 3
_ENDED: Final = ("Failed", "Succeeded")


def is_ready(pod: Pod | None) -> bool:
    """Whether every container is ready, the pod has an address and nobody has asked it to go."""
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return False
    status = pod["status"]
    if status.get("phase") != "Running" or not status.get("podIP"):
        return False
    containers = status.get("containerStatuses") or ()
    return bool(containers) and all(one.get("ready") for one in containers)


def is_gone(pod: Pod | None, uid: str) -> bool:
    """Whether the pod of this uid does not exist any more."""
    return pod is None or pod["metadata"]["uid"] != uid


def is_over(pod: Pod | None, uid: str) -> bool:
    """Whether the pod of this uid will not become ready: it is gone, asked to go, or ended."""
    if pod is None or pod["metadata"]["uid"] != uid or "deletionTimestamp" in pod["metadata"]:
        return True
    return pod["status"].get("phase") in _ENDED


def exit_status(pod: Pod | None, now: float = 0.0) -> int | None:
    """``None`` while a server runs or is started again by its node, else its exit code (1 where nobody knows it).

    ``now``: seconds since the epoch; 0: what takes time to tell is not told.
    """
    if pod is None:
        return 1
    known = _known_exit(pod)
    if known is not None:
        return known
    deleted = pod["metadata"].get("deletionTimestamp")
    return 1 if now and deleted and now - moment(deleted, now) > _OVERDUE else None


def _known_exit(pod: Pod) -> int | None:
    main = _main(pod) or {}
    state = main.get("state") or {}
    ended = state.get("terminated")
    if pod["status"].get("phase") in _ENDED:
        return _code(ended, 0 if pod["status"]["phase"] == "Succeeded" else 1)
    if ended is not None and ended.get("exitCode") == 0:
        return 0  # containers beside it keep the pod alive
    return _code((main.get("lastState") or {}).get("terminated"), 1) if _gives_up(main, state) else None


def has_printed(pod: Pod) -> bool:
    """Whether the main container has run, so that there may be a log."""
    main = _main(pod) or {}
    return any((main.get(key) or {}).get(state) for key in ("state", "lastState") for state in ("running", "terminated"))


def _main(pod: Pod) -> Pod | None:
    return next((one for one in pod["status"].get("containerStatuses") or () if one.get("name") == MAIN), None)


def _gives_up(main: Pod, state: Pod) -> bool:
    """Whether the server has ended so often that another start of it will do no better."""
    return (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff" and main.get("restartCount", 0) >= _RESTARTS


def _code(ended: Pod | None, otherwise: int) -> int:
    return int((ended or {}).get("exitCode", otherwise))
