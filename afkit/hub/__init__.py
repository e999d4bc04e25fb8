"""The hub's side: one call in ``jupyterhub_config.py`` makes JupyterHub serve a facility file.

::

    from afkit.hub import configure
    configure(c, "facility.yaml")

A choice of a server reaches the hub by the form, a link, the REST API or saved options. Two gates ask the same resolver
(`afkit.policy`): guards in front of the hub's own routes (`afkit.hub.gate_pages`, `afkit.hub.gate_rest`) judge before
anything is stored or counted, and the spawner (`afkit.hub.mixin`) judges again before it starts. No function of JupyterHub
is replaced: its public seams are subclassed and its traits are observed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afkit.hub.authenticator import AfkitLocalAuthenticator as AfkitLocalAuthenticator
    from afkit.hub.configuration import configure as configure
    from afkit.hub.kubernetes.spawner import AfkitKubeSpawner as AfkitKubeSpawner
    from afkit.hub.oidc.authenticator import AfkitOIDCAuthenticator as AfkitOIDCAuthenticator
    from afkit.hub.spawners import AfkitLocalSpawner as AfkitLocalSpawner

__all__ = ["AfkitKubeSpawner", "AfkitLocalAuthenticator", "AfkitLocalSpawner", "AfkitOIDCAuthenticator", "configure"]

_HOMES = {
    "AfkitKubeSpawner": "afkit.hub.kubernetes.spawner",
    "AfkitLocalAuthenticator": "afkit.hub.authenticator",
    "AfkitLocalSpawner": "afkit.hub.spawners",
    "AfkitOIDCAuthenticator": "afkit.hub.oidc.authenticator",
    "configure": "afkit.hub.configuration",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'afkit.hub' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("AfkitKubeSpawner", "AfkitLocalSpawner"):
        # A configuration with plain traits does no more than name this class, so each look at it here tells afkit of the hub
        # that is being configured. (JupyterHub loads it once before that, when there is no application yet, for its help.)
        importlib.import_module("afkit.hub.wiring").install_where_running()
        return value
    globals()[name] = value
    return value
