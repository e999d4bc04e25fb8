"""The one call of a ``jupyterhub_config.py``."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from jupyterhub.app import JupyterHub

from afkit.errors import PlatformError
from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.facility.traits import Traits
from afkit.hub.wiring import install
from afkit.policy.entitle import hubs_issuers

__all__ = ["configure"]

_STOCK: Final = ("kubespawner", "kubespawner.KubeSpawner", "kubespawner.spawner.KubeSpawner")
"""Names of KubeSpawner itself: what a chart sets before the site's own configuration is read."""
_NOBODYS: Final = ("dummy", "jupyterhub.auth.DummyAuthenticator", "jupyterhub.authenticators.dummy.DummyAuthenticator")
"""Names of the authenticator that lets everybody in: what a chart sets before anybody has said how people log in."""
_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def configure(
    c: Any,
    path: str | Path,
    mode: Literal["auto", "kubernetes", "local"] = "auto",
    people: Mapping[str, Iterable[str]] | None = None,
) -> None:
    """Make the hub that ``c`` configures serve the facility file ``path``.

    Composes with all else that ``c`` has or gets: nothing that an administrator has set is replaced (on Kubernetes, stock
    KubeSpawner as the spawner is). ``mode``: where servers run; ``auto``: on Kubernetes if the hub does. ``people``: login name →
    facility groups, added to those of the file; only for servers on the hub's own machine.

    Raises `FacilityError` with all problems where the file has errors, and `PlatformError` where it cannot be served here, before
    the hub listens anywhere. A relative path starts at the hub's working directory.
    """
    file = Path(path).absolute()
    on_kubernetes = mode == "kubernetes" or (mode == "auto" and _in_cluster())
    facility = load_facility(file, _traits() if on_kubernetes else None)
    if on_kubernetes:
        _on_kubernetes(c, file, facility)
    else:
        _on_this_machine(c, file, facility, {name: list(groups) for name, groups in (people or {}).items()})
    install(JupyterHub.instance())


def _on_this_machine(c: Any, file: Path, facility: Facility, people: Mapping[str, list[str]]) -> None:
    c.AfkitLocalSpawner.facility_file = str(file)
    if people:
        c.AfkitLocalSpawner.people = people
    if "spawner_class" not in c.JupyterHub:
        c.JupyterHub.spawner_class = "afkit-local"
    if "authenticator_class" not in c.JupyterHub and _has_people(facility, people):
        c.JupyterHub.authenticator_class = "afkit-local"


def _on_kubernetes(c: Any, file: Path, facility: Facility) -> None:
    _check_kubernetes(facility)
    c.AfkitKubeSpawner.facility_file = str(file)
    if c.JupyterHub.get("spawner_class", _STOCK[0]) in _STOCK:
        c.JupyterHub.spawner_class = "afkit.hub.AfkitKubeSpawner"
    if hubs_issuers(facility) and c.JupyterHub.get("authenticator_class", _NOBODYS[0]) in _NOBODYS:
        c.JupyterHub.authenticator_class = "afkit.hub.AfkitOIDCAuthenticator"


def _check_kubernetes(facility: Facility) -> None:
    """What a facility needs on Kubernetes, and that people can log in."""
    if importlib.util.find_spec("kubespawner") is None:
        raise PlatformError("Servers on Kubernetes need KubeSpawner, which is not installed here.", "Install afkit[hub,kubernetes].")
    if facility.kubernetes is None or not facility.kubernetes.namespace or not facility.url:
        raise PlatformError(
            "The facility file does not say where in the cluster the facility is.", "Write facility.url and kubernetes.namespace."
        )
    issuers = facility.identity.issuers if facility.identity else {}
    if not issuers:
        raise PlatformError(
            "A hub on Kubernetes has no people of its own: identity.local is for one machine.",
            "Name an issuer in identity.issuers; with dialect `hub`, whoever JupyterHub's own authenticator lets in.",
        )
    if hubs_issuers(facility) and importlib.util.find_spec("oauthenticator") is None:
        raise PlatformError("Login through providers needs OAuthenticator, which is not installed here.", "Install afkit[hub,kubernetes].")


def _traits() -> Traits | None:
    """What KubeSpawner takes, where it is installed."""
    if importlib.util.find_spec("kubespawner") is None:
        return None
    from afkit.hub.kubernetes.traits import KubeSpawnerTraits

    return KubeSpawnerTraits()


def _in_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and _TOKEN.exists()


def _has_people(facility: Facility, added: Mapping[str, Any]) -> bool:
    return bool(added) or bool(facility.identity and facility.identity.local)
