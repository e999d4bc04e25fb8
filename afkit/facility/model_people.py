"""The people's part of a facility as frozen records: groups, identity, limits, and where secrets are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from afkit.quantities import UNSET, Unset

Audience = tuple[str, ...]
"""Facility groups; ``everyone`` may be among them."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of a Kubernetes Secret (``{secret: NAME, key: KEY}``). It names a secret, it never holds one."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret is read from: exactly one of an environment variable, a file, a Kubernetes Secret."""

    env: str | None = None
    file: Path | None = None
    kubernetes: SecretKey | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A facility group: its members by canonical claim group (``sources``) and by login name (``users``, files already read)."""

    name: str
    sources: tuple[str, ...] = ()
    users: frozenset[str] = frozenset()
    admin: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class RunAs:
    """User and group ids of servers: numbers, or the name of the claim that has them. ``None``: not given here."""

    uid: int | str | None = None
    gid: int | str | None = None
    fs_group: int | str | Literal["none"] | None = None
    groups: tuple[int, ...] | str | None = None
    root: bool | None = None


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """An audience for which sessions may get access tokens; ``min_life`` in seconds, ``None``: 20 minutes or half the life."""

    audience: str
    scopes: tuple[str, ...] = ()
    min_life: int | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OpenID provider, or JupyterHub's own authenticator (dialect ``hub``)."""

    name: str
    dialect: str
    url: str | None = None
    client_id: str | None = None
    client_secret: SecretSource | None = None
    scopes: tuple[str, ...] = ()
    key_claim: str | None = None
    username_claim: str = "preferred_username"
    username: str = "{value}"
    audience: str | None = None
    authorities: tuple[str, ...] = ()
    require: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: tuple[TokenGrant, ...] = ()
    run_as: RunAs = RunAs()


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """Who may log in and as whom servers run. ``local``: login name → facility groups; ``None``: no local people.

    ``refresh``, ``outage`` and ``notice`` are seconds.
    """

    allow: Audience = ()
    run_as: RunAs = RunAs()
    refresh: int = 300
    outage: int = 43200
    notice: int = 900
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    local: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How much at once, for one group. ``UNSET``: this group does not say; ``None``: ``none``, no limit; 0 forbids."""

    servers: int | Unset | None = UNSET
    cpu: int | Unset | None = UNSET
    memory: int | Unset | None = UNSET
    accelerators: Mapping[str, int | None] = field(default_factory=dict)
    clusters: int | Unset | None = UNSET
    workers: int | Unset | None = UNSET
