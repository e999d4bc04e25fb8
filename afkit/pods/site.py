"""What the hub adds to a server's Pod: its name, its port, and what the hub's own configuration says. Pure.

What the hub knows only at the moment of a start (tokens, addresses, when a lifetime began) is never in the Pod: the hub
writes it into the Secret `Site.hub_secret`, whose every key is an environment variable of the server. So the Pod follows from
the facility file, the choice and the person alone, and no token can be read in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from afkit.facility.pod_rules import MAIN
from afkit.pods.slugs import label, server_slug

__all__ = ["PORT", "Site", "stock_site"]

PORT: Final = 8888
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_COMPONENT: Final = "singleuser-server"


@dataclass(frozen=True, slots=True)
class Site:
    """The hub's part of one server's Pod.

    ``base`` is the Pod as the hub's own configuration has it (KubeSpawner's traits), as plain data with all placeholders filled
    in. What a choice decides is laid over it.
    """

    pod_name: str
    base: Mapping[str, Any]
    port: int = PORT

    @property
    def hub_secret(self) -> str:
        """The Secret with the environment variables that only the hub knows; it goes with the server."""
        return f"{self.pod_name}-hub"

    @property
    def files_secret(self) -> str:
        """The Secret with the texts of ``files``; it goes with the server."""
        return f"{self.pod_name}-files"

    @property
    def devices_template(self) -> str:
        """The ResourceClaimTemplate of the server's accelerators; it goes with the server."""
        return f"{self.pod_name}-devices"


def stock_site(user: str, server: str = "", traits: Mapping[str, Any] = _NOTHING) -> Site:
    """The site of a hub whose configuration says nothing about Pods: KubeSpawner's own names, labels and defaults.

    ``traits``: the choice's ``kubespawner``, with placeholders filled in.
    """
    labels = {
        "app": "jupyterhub",
        "app.kubernetes.io/component": _COMPONENT,
        "app.kubernetes.io/name": "jupyterhub",
        "component": _COMPONENT,
        "heritage": "jupyterhub",
        "hub.jupyter.org/servername": label(server) if server else "",
        "hub.jupyter.org/username": label(user),
    }
    annotations = {"hub.jupyter.org/username": user} | ({"hub.jupyter.org/servername": server} if server else {})
    spec: dict[str, Any] = {"restartPolicy": "OnFailure"}
    command = traits.get("cmd")
    if command:
        # as KubeSpawner has it: what an image starts with gets no arguments
        words = [command] if isinstance(command, str) else list(command)
        spec["containers"] = [{"name": MAIN, "args": [*words, *traits.get("args", ())]}]
    base = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    return Site(f"jupyter-{server_slug(user, server)}", base, traits.get("port", PORT))
