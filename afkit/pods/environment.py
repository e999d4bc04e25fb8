"""The environment of a Pod's main container. Pure.

Values of the facility file are literal: Kubernetes would replace ``$(NAME)`` in them, so every such dollar is doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility, SecretKey
from afkit.names import TOKEN_FILE
from afkit.pods.cvmfs import cvmfs_env
from afkit.pods.layers import Session
from afkit.pods.person import Person
from afkit.pods.placeholders import Names, fill
from afkit.pods.placement import accelerator_env
from afkit.policy.model import Resources, Selection

__all__ = ["env_list", "limits_env", "literal", "session_env", "told"]

_OPERATOR: Final = re.compile(r"\$(?:\$+|(?=\())")


def literal(text: str) -> str:
    """``text`` as the value of an environment variable that Kubernetes leaves as it is.

    In such a value ``$(NAME)`` is replaced and ``$$`` is one dollar, so dollars before a bracket or another dollar are doubled.
    """
    return _OPERATOR.sub(lambda match: match[0] * 2, text) if "$" in text else text


def session_env(session: Session, names: Names) -> dict[str, str | SecretKey]:
    """What the layers of a choice say, with the placeholders filled in."""
    return {name: fill(value, names) if isinstance(value, str) else value for name, value in session.env.items()}


def told(facility: Facility, selection: Selection, session: Session, person: Person, names: Names) -> dict[str, str]:
    """What afkit tells every Pod of a choice; no layer and no administrator changes it."""
    env = {
        "AFKIT_FACILITY": facility.name,
        "AFKIT_PROFILE": selection.profile.name,
        "AFKIT_POOL": selection.pool.name,
        "AFKIT_ARCH": selection.pool.arch,
        "AFKIT_SERVICES": f"{facility.url.rstrip('/')}/services/",
        "AFKIT_TOKEN_FILE": TOKEN_FILE,
        "JUPYTER_IMAGE": selection.reference,
        "JUPYTER_IMAGE_SPEC": selection.reference,
    }
    env |= limits_env(selection.resources) | accelerator_env(selection.pool, selection.resources) | cvmfs_env(facility, session.cvmfs)
    return env | ({"NB_UID": names["uid"], "NB_GID": names["gid"]} if person.root else {})


def limits_env(resources: Resources) -> dict[str, str]:
    """Requests and limits as JupyterHub tells them: CPUs as a number with a point, memory in bytes; no limit: no variable."""
    env = {"CPU_GUARANTEE": str(resources.cpu / 1000), "MEM_GUARANTEE": str(resources.memory)}
    if resources.cpu_limit is not None:
        env["CPU_LIMIT"] = str(resources.cpu_limit / 1000)
    if resources.memory_limit is not None:
        env["MEM_LIMIT"] = str(resources.memory_limit)
    return env


def env_list(
    values: Mapping[str, str | SecretKey], owned: Mapping[str, str], base: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The ``env`` of a container: ``values`` and ``owned`` by name, then ``base``, which may refer to them.

    ``base`` is as Kubernetes writes it and wins over ``values``; ``owned`` wins over everything.
    """
    kept = [dict(one) for one in base if one["name"] not in owned]
    said = {one["name"] for one in kept}
    mine = {**{name: value for name, value in values.items() if name not in said}, **owned}
    return [_variable(name, mine[name]) for name in sorted(mine)] + kept


def _variable(name: str, value: str | SecretKey) -> dict[str, Any]:
    if isinstance(value, SecretKey):
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": value.secret, "key": value.key}}}
    return {"name": name, "value": literal(value)}
