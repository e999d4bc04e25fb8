"""``--target z2jh``: values for the Zero to JupyterHub chart (4.x), and the objects that the chart does not have. Pure.

The chart runs hub and proxy. Servers are afkit's: what the chart would add to them (storage, network policy, scheduler, a privileged
container against cloud metadata) is off, and so are the chart's own rights for the hub, which open every Secret beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afkit.facility.model import Facility
from afkit.pods.layout import (
    COMPONENT_LABEL,
    DASK_PORT,
    HUB_PORT,
    NAMESPACES_PORT,
    SERVER_PORT,
    Z2JH,
    facility_labels,
    runs_dask,
    section,
)
from afkit.pods.network import ports, sessions_peer
from afkit.render.manifests import accounts, dask_service, facility_map, network_policies, provisioner, sessions_objects
from afkit.render.pods import (
    FACILITY_FOLDER,
    ROUTES_INTERVAL,
    base_path,
    client_secrets,
    dask_registration,
    hub_env,
    token_mount,
    token_volume,
)
from afkit.render.policies import policies
from afkit.render.rights import Object, provisioned, rights
from afkit.render.settings import Files, Settings

__all__ = ["chart_values", "objects"]


def objects(facility: Facility, files: Files, settings: Settings) -> Mapping[str, tuple[Object, ...]]:
    """What the chart lacks: file name → objects, in the order in which they are applied; the namespace is Helm's."""
    made = {
        "policies": policies(facility, Z2JH),
        "rights": (*accounts(facility, Z2JH), *rights(facility, Z2JH)),
        "facility": (facility_map(facility, files),) if provisioned(facility) or runs_dask(facility) else (),
        "network": network_policies(facility, Z2JH),
        "sessions": sessions_objects(facility, Z2JH),
        "namespaces": provisioner(facility, Z2JH, files, settings),
        "dask": dask_service(facility, Z2JH, files, settings),
    }
    return {name: one for name, one in made.items() if one}


def chart_values(facility: Facility, files: Files, settings: Settings) -> Object:
    """The chart's values. Authenticator, ingress, TLS and database are the site's own and go into a second file of values."""
    values: dict[str, Any] = {
        "hub": _hub(facility, files, settings),
        "proxy": {"chp": {"networkPolicy": {"egress": [_to_sessions(facility), *_to_dask(facility)]}}},
        "rbac": {"create": False},
        "singleuser": {
            "cloudMetadata": {"blockWithIptables": False},
            "networkPolicy": {"enabled": False},
            "storage": {"type": "none"},
            "memory": {"guarantee": None},
            "cmd": None,
        },
        "scheduling": {
            "userScheduler": {"enabled": False},
            "userPlaceholder": {"enabled": False},
            "userPods": {"tolerations": [], "nodeAffinity": {"matchNodePurpose": "ignore"}},
        },
        "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
        "cull": {"enabled": False},
        "custom": {"afkit": {"facility": facility.name, "version": facility.digest}},
    }
    pull = list(section(facility).pull_secrets)
    return values | ({"imagePullSecrets": pull} if pull else {})


def _hub(facility: Facility, files: Files, settings: Settings) -> Object:
    name, _, tag = settings.hub_image.rpartition(":")
    address = f"http://{Z2JH.hub}.{section(facility).namespace}:{HUB_PORT}"
    hub: Object = {
        "image": {"name": name, "tag": tag},
        "baseUrl": base_path(facility),
        "config": {
            "JupyterHub": {"spawner_class": "afkit", "hub_connect_url": address, "last_activity_interval": ROUTES_INTERVAL},
            "AfkitKubeSpawner": {"facility_file": f"{FACILITY_FOLDER}/{files.main}"},
        },
        "extraFiles": _extra_files(files),
        "networkPolicy": {
            "ingress": [{"from": [sessions_peer(facility), *_dask(facility)], "ports": ports(HUB_PORT)}],
            "egress": [_to_sessions(facility), *_to_provisioner(facility), *_to_dask(facility)],
            "egressAllowRules": {"cloudMetadataServer": False},
        },
    }
    if any(issuer.dialect != "hub" for issuer in (facility.identity.issuers.values() if facility.identity else ())):
        hub["config"]["JupyterHub"]["authenticator_class"] = "afkit-oidc"
    env = {one["name"]: one["value"] for one in hub_env(facility, Z2JH)}
    env |= {one["name"]: {"valueFrom": one["valueFrom"]} for one in client_secrets(facility)}
    if env:
        hub["extraEnv"] = env
    if provisioned(facility):
        hub |= {
            "extraVolumes": [token_volume()],
            "extraVolumeMounts": [token_mount()],
        }
    if runs_dask(facility):
        service, role = dask_registration(facility, Z2JH)
        hub |= {"services": {"dask": service}, "loadRoles": {"afkit-dask": role}}
    return hub


def _to_sessions(facility: Facility) -> Object:
    return {"to": [sessions_peer(facility)], "ports": ports(SERVER_PORT)}


def _beside(facility: Facility, component: str) -> Object:
    return {"podSelector": {"matchLabels": {**facility_labels(facility), COMPONENT_LABEL: component}}}


def _to_provisioner(facility: Facility) -> list[Object]:
    return [{"to": [_beside(facility, "namespaces")], "ports": ports(NAMESPACES_PORT)}] if provisioned(facility) else []


def _dask(facility: Facility) -> list[Object]:
    return [_beside(facility, "dask")] if runs_dask(facility) else []


def _to_dask(facility: Facility) -> list[Object]:
    return [{"to": [one], "ports": ports(DASK_PORT)} for one in _dask(facility)]


def _extra_files(files: Files) -> Object:
    """The facility's files side by side; a key of the chart's Secret has no slash."""
    return {path.replace("/", ".."): {"mountPath": f"{FACILITY_FOLDER}/{path}", "stringData": text} for path, text in files.texts.items()}
