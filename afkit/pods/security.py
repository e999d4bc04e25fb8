"""Security contexts: the ids of ``run_as``, and what the level ``restricted`` asks for wherever the file says nothing else. Pure.

Source: Kubernetes' Pod Security Standards, level restricted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afkit.pods.person import Person

__all__ = ["main_context", "pod_context", "with_defaults"]

_DROPS: Final = ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What a program that starts as root needs to make a home ready, to become somebody else and to end their processes."""
_STRONG: Final = ("SYS_ADMIN", "CAP_SYS_ADMIN")


def pod_context(person: Person) -> dict[str, Any]:
    """The ``securityContext`` of the Pod: it holds for every container that says nothing else."""
    context: dict[str, Any] = {"runAsUser": person.uid, "runAsGroup": person.gid, "runAsNonRoot": person.uid != 0}
    if person.fs_gid is not None:
        # a large home is not gone through at every start
        context |= {"fsGroup": person.fs_gid, "fsGroupChangePolicy": "OnRootMismatch"}
    if person.groups:
        context["supplementalGroups"] = list(person.groups)
    return context | {"seccompProfile": {"type": "RuntimeDefault"}}


def main_context(person: Person) -> dict[str, Any]:
    """The ``securityContext`` of the main container, without what `with_defaults` adds."""
    if not person.root:
        return {}
    root = {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
    return root | {"capabilities": {"drop": ["ALL"], "add": list(_DROPS)}}


def with_defaults(context: Mapping[str, Any]) -> dict[str, Any]:
    """A container's context with what ``restricted`` demands, under what it says itself."""
    capabilities = {"drop": ["ALL"], **(context.get("capabilities") or {})}
    strong = context.get("privileged") or any(name in _STRONG for name in capabilities.get("add") or ())
    # the API server takes the two together from nobody
    calm = {} if strong else {"allowPrivilegeEscalation": False}
    return {**calm, **context, "capabilities": capabilities}
