"""The Pods of hub, proxy and services, all under Pod Security ``restricted``. Pure."""

from __future__ import annotations

from typing import Any, Final

from afkit.facility.model import Facility
from afkit.names import AUDIENCE, client_secret_variable
from afkit.pods.layout import (
    DASK_PATH,
    DASK_PORT,
    HUB_PORT,
    MANIFESTS,
    NAMESPACES_PATH,
    NAMESPACES_PORT,
    PROXY_API_PORT,
    PROXY_PORT,
    TOKEN_FILE,
    Layout,
    namespaces_url,
    runs_dask,
    section,
)
from afkit.render.rights import provisioned
from afkit.render.settings import Files, Settings

__all__ = [
    "CONFIGURATION",
    "FACILITY_FOLDER",
    "FACILITY_MAP",
    "SECRETS",
    "base_path",
    "client_secrets",
    "dask_pod",
    "dask_registration",
    "file_items",
    "hub_pod",
    "namespaces_pod",
    "proxy_pod",
    "token_volume",
]

Object = dict[str, Any]

SECRETS: Final = "afkit-hub"
"""The Secret that the installation makes: ``proxy-token``, ``cookie-secret``, ``crypt-key``, ``dask-token`` (where some profile gives
Dask clusters), each of 64 hexadecimal digits."""
DASK_TOKEN: Final = "AFKIT_DASK_TOKEN"  # noqa: S105 - a name
"""Variable of hub and Dask service with the service's token of the hub."""
FACILITY_MAP: Final = "afkit-facility"
CONFIGURATION: Final = "afkit-hub"
"""ConfigMaps: the facility's files; the hub's configuration."""
OWN_CONFIGURATION: Final = "afkit-hub-config"
"""ConfigMap that the site may make: its own files of the hub's configuration (``*.py``)."""
FACILITY_FOLDER: Final = "/etc/afkit"
STATE: Final = "/srv/jupyterhub"
_CONFIGURATION_FOLDER: Final = "/etc/jupyterhub"
_UID: Final = 1000
_SECONDS: Final = 3600
"""Life of a projected token; the kubelet renews it."""


def base_path(facility: Facility) -> str:
    """The path of the facility's address, with a slash at both ends."""
    _, _, rest = facility.url.partition("://")
    return "/" + "/".join(part for part in rest.split("/")[1:] if part) + "/" if rest.strip("/").count("/") else "/"


def file_items(files: Files) -> tuple[dict[str, str], list[dict[str, str]]]:
    """(ConfigMap key → text, where each key lies in the folder); keys have no slashes."""
    keys = {path: path.replace("/", "..") for path in files.texts}
    return {keys[path]: text for path, text in files.texts.items()}, [{"key": key, "path": path} for path, key in keys.items()]


def _pod(facility: Facility, account: str, container: Object, volumes: list[Object], *, calls_api: bool = True) -> Object:
    """A Pod with one container; ``calls_api``: whether it has a token of the API server."""
    ids: Object = {"runAsNonRoot": True, "runAsUser": _UID, "runAsGroup": _UID, "fsGroup": _UID}
    tight = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    mounts = [*container.pop("volumeMounts", []), {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - a path in the container
    spec: Object = {
        "serviceAccountName": account,
        "automountServiceAccountToken": calls_api,
        "enableServiceLinks": False,
        "securityContext": {**ids, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{**container, "imagePullPolicy": "IfNotPresent", "securityContext": tight, "volumeMounts": mounts}],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
    }
    pull = [{"name": name} for name in section(facility).pull_secrets]
    return spec | ({"imagePullSecrets": pull} if pull else {})


def _requests(cpu: str, memory: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": memory}}


def _probe(path: str, port: int) -> Object:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 2}


def _secret(name: str, key: str, secret: str = SECRETS) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def token_volume() -> Object:
    """The hub's token for the facility's services; the API server refuses its audience."""
    token = {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": _SECONDS, "path": TOKEN_FILE.rpartition("/")[2]}}
    return {"name": "afkit-token", "projected": {"sources": [token]}}


def token_mount() -> Object:
    """Where it is."""
    return {"name": "afkit-token", "mountPath": TOKEN_FILE.rpartition("/")[0], "readOnly": True}


def facility_volume(files: Files) -> Object:
    """The facility's files as they lie beside each other."""
    return {"name": "facility", "configMap": {"name": FACILITY_MAP, "items": file_items(files)[1]}}


def hub_env(facility: Facility, layout: Layout) -> list[Object]:
    """What the hub is told about the namespace provisioner, where there is one."""
    if not provisioned(facility):
        return []
    return [{"name": "AFKIT_NAMESPACES_URL", "value": namespaces_url(facility, layout)}]


def client_secrets(facility: Facility) -> list[Object]:
    """The secrets of the hub's clients at providers that are in a Kubernetes Secret, as variables of the hub."""
    issuers = facility.identity.issuers.values() if facility.identity else ()
    keys = [(each.name, each.client_secret.kubernetes) for each in issuers if each.client_secret is not None]
    return [_secret(client_secret_variable(name), key.key, key.secret) for name, key in keys if key is not None]


def hub_pod(facility: Facility, layout: Layout, files: Files, settings: Settings) -> Object:
    """The hub: its state on a claim, the facility's files, its own and the site's configuration."""
    keys = {"CONFIGPROXY_AUTH_TOKEN": "proxy-token", "JPY_COOKIE_SECRET": "cookie-secret", "JUPYTERHUB_CRYPT_KEY": "crypt-key"}
    keys |= {DASK_TOKEN: "dask-token"} if runs_dask(facility) else {}
    container = {
        "name": "hub",
        "image": settings.hub_image,
        "command": ["jupyterhub", "--config", f"{_CONFIGURATION_FOLDER}/jupyterhub_config.py"],
        "workingDir": STATE,
        "env": [*(_secret(name, key) for name, key in keys.items()), *client_secrets(facility), *hub_env(facility, layout)],
        "ports": [{"name": "http", "containerPort": HUB_PORT}],
        "resources": _requests("200m", "512Mi"),
        "readinessProbe": _probe(f"{base_path(facility)}hub/health", HUB_PORT),
        "volumeMounts": [
            {"name": "state", "mountPath": STATE},
            {"name": "facility", "mountPath": FACILITY_FOLDER, "readOnly": True},
            {"name": "configuration", "mountPath": _CONFIGURATION_FOLDER, "readOnly": True},
            {"name": "own-configuration", "mountPath": f"{_CONFIGURATION_FOLDER}.d", "readOnly": True},
            token_mount(),
        ],
    }
    volumes = [
        {"name": "state", "persistentVolumeClaim": {"claimName": layout.hub}},
        facility_volume(files),
        {"name": "configuration", "configMap": {"name": CONFIGURATION}},
        {"name": "own-configuration", "configMap": {"name": OWN_CONFIGURATION, "optional": True}},
        token_volume(),
    ]
    return _pod(facility, layout.hub, container, volumes)


ROUTES_INTERVAL: Final = 30
"""Seconds after which the hub looks whether the proxy has all routes."""


def hub_configuration(facility: Facility, layout: Layout, files: Files) -> str:
    """The hub's ``jupyterhub_config.py``: where things are; what the facility is comes from its file."""
    address = f"http://{layout.hub}.{section(facility).namespace}:{HUB_PORT}"
    return f'''"""Where hub and proxy are. What the facility is stands in its file, what else the site wants in {OWN_CONFIGURATION}."""

from pathlib import Path

from afkit.hub import configure

c = get_config()
c.JupyterHub.bind_url = "http://:{PROXY_PORT}{base_path(facility)}"
c.JupyterHub.hub_bind_url = "http://:{HUB_PORT}"
c.JupyterHub.hub_connect_url = "{address}"
c.JupyterHub.db_url = "sqlite:///{STATE}/jupyterhub.sqlite"
c.JupyterHub.upgrade_db = True
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
c.JupyterHub.last_activity_interval = {ROUTES_INTERVAL}  # a proxy that was started anew learns its routes so often
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://afkit-proxy:{PROXY_API_PORT}"

for file in sorted(Path("{_CONFIGURATION_FOLDER}.d").glob("*.py")):
    load_subconfig(str(file))

configure(c, "{FACILITY_FOLDER}/{files.main}", mode="kubernetes")
'''


def proxy_pod(facility: Facility, layout: Layout, settings: Settings) -> Object:
    """The proxy: it lives on while the hub does not, and keeps people connected to their servers."""
    hub = f"http://{layout.hub}:{HUB_PORT}"
    container = {
        "name": "proxy",
        "image": settings.proxy_image,
        "command": [
            "configurable-http-proxy",
            "--ip=0.0.0.0",
            f"--port={PROXY_PORT}",
            "--api-ip=0.0.0.0",
            f"--api-port={PROXY_API_PORT}",
            f"--default-target={hub}",
            f"--error-target={hub}{base_path(facility)}hub/error",
        ],
        "env": [_secret("CONFIGPROXY_AUTH_TOKEN", "proxy-token")],
        "ports": [{"name": "http", "containerPort": PROXY_PORT}, {"name": "api", "containerPort": PROXY_API_PORT}],
        "resources": _requests("200m", "256Mi"),
        "readinessProbe": _probe("/_chp_healthz", PROXY_PORT),
    }
    return _pod(facility, "afkit-proxy", container, [], calls_api=False)


def namespaces_pod(facility: Facility, layout: Layout, files: Files, settings: Settings) -> Object:
    """The namespace provisioner."""
    container = {
        "name": "namespaces",
        "image": settings.hub_image,
        "command": ["python3", "-m", "afkit.services.namespaces", f"{FACILITY_FOLDER}/{files.main}", "--layout", layout.name],
        "ports": [{"name": "http", "containerPort": NAMESPACES_PORT}],
        "resources": _requests("50m", "128Mi"),
        "readinessProbe": _probe(f"{NAMESPACES_PATH}health", NAMESPACES_PORT),
        "volumeMounts": [{"name": "facility", "mountPath": FACILITY_FOLDER, "readOnly": True}],
    }
    return _pod(facility, layout.namespaces, container, [facility_volume(files)])


def dask_registration(facility: Facility, layout: Layout) -> tuple[Object, Object]:
    """The Dask service as a hub registers it, without its token, and its role: it asks in which groups people are, and no more."""
    address = f"http://{layout.dask}.{section(facility).namespace}:{DASK_PORT}"
    return {"url": address, "display": False}, {"services": ["dask"], "scopes": ["read:users:groups"]}


def dask_pod(facility: Facility, layout: Layout, files: Files, settings: Settings) -> Object:
    """The Dask service. A chart's hub makes tokens of services by itself."""
    file, api = (
        f"{FACILITY_FOLDER}/{files.main}",
        f"http://{layout.hub}.{section(facility).namespace}:{HUB_PORT}{base_path(facility)}hub/api",
    )
    token = _secret(DASK_TOKEN, "dask-token") if layout is MANIFESTS else _secret(DASK_TOKEN, "hub.services.dask.apiToken", layout.hub)
    container = {
        "name": "dask",
        "image": settings.hub_image,
        "command": ["python3", "-m", "afkit.services.dask", file, "--layout", layout.name, "--hub", api],
        "env": [token],
        "ports": [{"name": "http", "containerPort": DASK_PORT}],
        "resources": _requests("100m", "256Mi"),
        "readinessProbe": _probe(f"{DASK_PATH}health", DASK_PORT),
        "volumeMounts": [{"name": "facility", "mountPath": FACILITY_FOLDER, "readOnly": True}],
    }
    return _pod(facility, layout.dask, container, [facility_volume(files)])
