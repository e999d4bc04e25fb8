"""The names that afkit writes and reads: facility names, environment variables, label keys, digests. All of it is pure."""

from __future__ import annotations

import base64
import difflib
import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

__all__ = [
    "ARCHITECTURES",
    "AUDIENCE",
    "CHOICE_ANNOTATION",
    "CLUSTER_LABEL",
    "DEVICES_ANNOTATION",
    "EVERYONE",
    "FACILITY_LABEL",
    "HUB_ISSUER",
    "LOCAL_ISSUER",
    "MANAGED_BY",
    "MANAGED_BY_LABEL",
    "NAME_RULE",
    "OWNER_LABEL",
    "PLAN_ANNOTATION",
    "POOL_LABEL",
    "PROFILE_LABEL",
    "SESSIONS_ACCOUNT",
    "TOKEN_FILE",
    "TOKEN_FOLDER",
    "USER_ANNOTATION",
    "WANTED_ANNOTATION",
    "architecture",
    "client_secret_variable",
    "digest",
    "is_name",
    "near",
    "owner",
    "user_namespace",
]

NAME_RULE: Final = "[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?"
"""Rule of every name in a facility file: a DNS label of at most 40 characters."""

EVERYONE: Final = "everyone"
"""The group that everybody is in; it cannot be defined."""

ARCHITECTURES: Final = ("amd64", "arm64")
"""Processor architectures of node pools and images, as container images write them."""

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "afkit"
FACILITY_LABEL: Final = "afkit.io/facility"
OWNER_LABEL: Final = "afkit.io/owner"
"""Label of the person that an object is for: `owner`, a digest."""
PROFILE_LABEL: Final = "afkit.io/profile"
POOL_LABEL: Final = "afkit.io/pool"
"""Labels of Pods: what their choice says."""
USER_ANNOTATION: Final = "afkit.io/user"
"""Annotation with the login name of that person, which may be no label's value."""
DEVICES_ANNOTATION: Final = "afkit.io/devices"
"""Annotation of Pods that claim devices: how many, for a Pod itself says only that it has a claim."""
CHOICE_ANNOTATION: Final = "afkit.io/choice"
"""Annotation of a server's Pod: the choice that it was made from, as the flat JSON object of ``user_options``."""
CLUSTER_LABEL: Final = "afkit.io/cluster"
"""Label of everything of a Dask cluster: its name as its owner knows it."""
PLAN_ANNOTATION: Final = "afkit.io/plan"
WANTED_ANNOTATION: Final = "afkit.io/wanted"
"""Annotations of a DaskCluster, JSON: what was granted, and how many workers each group is to have now."""

AUDIENCE: Final = "afkit-services"
"""Audience of the tokens with which pods call the facility's services; the API server refuses it."""
TOKEN_FOLDER: Final = "/var/run/secrets/afkit.io/services"  # noqa: S105 - a path
TOKEN_FILE: Final = f"{TOKEN_FOLDER}/token"
"""Where a Pod finds that token; the kubelet renews it."""
SESSIONS_ACCOUNT: Final = "afkit-session"
"""Service account of sessions and workers where the file names none."""

LOCAL_ISSUER: Final = "local"
HUB_ISSUER: Final = "hub"
"""What stands for the issuer's URL of people of ``identity.local``, and of dialect ``hub``."""

_OWNER_LENGTH: Final = 26
"""Characters of an owner's digest: 130 bits."""
_NAME: Final = re.compile(NAME_RULE, re.ASCII)
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def is_name(text: str) -> bool:
    """Whether ``text`` may be a name in a facility file."""
    return _NAME.fullmatch(text) is not None


def near(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """The known names that look most like ``name``, best first, at most ``most`` of them."""
    return tuple(difflib.get_close_matches(name[:80], tuple(known), n=most, cutoff=0.6))


def architecture(machine: str) -> str:
    """The container architecture of what ``uname -m`` prints (``x86_64`` → ``amd64``); unknown machines stay as they are."""
    return _MACHINES.get(machine.lower(), machine.lower())


def digest(content: bytes) -> str:
    """The first 16 hexadecimal characters of the SHA-256 of ``content``: enough to tell two facility files apart."""
    return hashlib.sha256(content).hexdigest()[:16]


@lru_cache(maxsize=4096)
def owner(facility: str, issuer: str, key: str) -> str:
    """The digest of a person, a label's value and part of a namespace's name: 26 characters of ``a`` to ``z`` and ``2`` to ``7``.

    ``issuer`` is the URL of the person's provider (`LOCAL_ISSUER`, `HUB_ISSUER` where there is none), ``key`` what it never
    changes and never gives to anybody else. The three are joined by NUL bytes, which no part may contain: raises ``ValueError``.
    """
    parts = (facility, issuer, key)
    if any("\0" in part for part in parts):
        raise ValueError("a facility's name, an issuer's URL and a key have no NUL byte")
    hashed = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(hashed).decode("ascii").lower()[:_OWNER_LENGTH]


def client_secret_variable(issuer: str) -> str:
    """The environment variable in which a hub on Kubernetes finds an issuer's ``client.secret`` that is in a Kubernetes Secret."""
    return f"AFKIT_CLIENT_SECRET_{issuer.upper().replace('-', '_')}"


def user_namespace(facility: str, owner: str) -> str:
    """The name of the namespace of the person with this digest, of at most 50 characters (a facility's name has at most 20)."""
    return f"af-{facility}-{owner}"
