"""What a facility's site makes by itself, for a cluster that has no site: whatever the facility file names and afkit does not make."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from afkit.facility.model import Facility, SecretKey
from afkit.pods.brought import named_objects, static_volumes
from afkit.render.pods import OWN_CONFIGURATION, SECRETS
from afkit.render.policies import shared_label

Object = dict[str, Any]

CONFIGURATION = """\
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.services = [{{"name": "tests", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{"name": "tests", "services": ["tests"], "scopes": {scopes!r}}}]
"""
"""The hub's own configuration: everybody logs in with one password, a script has all rights."""
SCOPES = ["admin:users", "admin:servers", "admin:groups", "admin:server_state", "read:servers", "tokens", "proxy", "read:metrics", "shares"]


def namespace(facility: Facility) -> str:
    """Where hub and services are."""
    assert facility.kubernetes is not None
    return facility.kubernetes.namespace


def hub_objects(facility: Facility, known: Mapping[str, str], configuration: str) -> Iterator[Object]:
    """The hub's secrets, and its configuration with more lines at its end."""
    yield secret(facility, SECRETS, {name: known[name] for name in ("proxy-token", "cookie-secret", "crypt-key", "dask-token")})
    text = CONFIGURATION.format(password=known["password"], token=known["token"], scopes=SCOPES) + configuration
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": OWN_CONFIGURATION, "namespace": namespace(facility)},
        "data": {"site.py": text},
    }


def named(facility: Facility, data: Path) -> Iterator[Object]:
    """The Secrets, ConfigMaps and claims that the file names; a claim NAME has the folder NAME of ``data`` behind it."""
    keys: dict[str, set[str]] = {}
    for reference in secret_keys(facility):
        keys.setdefault(reference.secret, set()).add(reference.key)
    names = named_objects(facility)
    for name in names.secrets:
        yield secret(facility, name, {key: f"{key} of {name}" for key in sorted(keys.get(name, {"key"}))})
    for name in names.config_maps:
        metadata = {"name": name, "namespace": namespace(facility)}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": f"of {name}"}}
    for claim in sorted({static.claim for static in static_volumes(facility) if static.claim}):
        yield from shared(facility, claim, data / claim)


def shared(facility: Facility, claim: str, folder: Path) -> Iterator[Object]:
    """A volume that the facility may bring to its users' namespaces, and the claim that the file names."""
    key, value = shared_label(facility, claim)
    place = {"namespace": namespace(facility), "name": claim}
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    behind = {"capacity": {"storage": "1Gi"}, "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": str(folder)}}
    name = f"{facility.name}-{claim}"
    metadata = {"name": name, "labels": {key: value}}
    yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": {**spec, **behind, "claimRef": place}}
    wanted = {**spec, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": place, "spec": wanted}


def secret(facility: Facility, name: str, texts: Mapping[str, str]) -> Object:
    """A Secret with these texts."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace(facility)}, "data": data}


def secret_keys(value: object) -> Iterator[SecretKey]:
    """Every reference to a key of a Secret, however deep in the facility."""
    if isinstance(value, SecretKey):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from secret_keys(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from secret_keys(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from secret_keys(getattr(value, field.name))


def people(facility: Facility) -> tuple[str, ...]:
    """Everybody whom the file names in its groups."""
    return tuple(sorted({name for group in facility.groups.values() for name in group.users}))
