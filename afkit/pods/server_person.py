"""The person of a server that runs, read off its Pod. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afkit.facility.pod_rules import MAIN
from afkit.names import OWNER_LABEL, USER_ANNOTATION
from afkit.pods.person import Person
from afkit.policy.model import Entitlements

__all__ = ["person_from_pod"]


def person_from_pod(pod: Mapping[str, Any], entitlements: Entitlements) -> Person:
    """The person whose server runs as this Pod: its name, owner and ids are what the hub made it with, from a login."""
    about, spec = pod["metadata"], pod["spec"]
    ids = spec.get("securityContext") or {}
    main: Mapping[str, Any] = next((one.get("securityContext") or {} for one in spec["containers"] if one["name"] == MAIN), {})
    return Person(
        name=about["annotations"][USER_ANNOTATION],
        issuer="",
        key="",
        owner=about["labels"][OWNER_LABEL],
        namespace=about["namespace"],
        uid=ids.get("runAsUser", 0),
        gid=ids.get("runAsGroup", 0),
        fs_gid=ids.get("fsGroup"),
        groups=tuple(ids.get("supplementalGroups") or ()),
        root=main.get("runAsUser") == 0,
        facility_groups=frozenset(entitlements.groups),
    )
