"""Makes all objects of one server: its Pod, what goes with it, and the claims that are made for it and kept. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.facility.pod_rules import MAIN
from afkit.names import CHOICE_ANNOTATION, DEVICES_ANNOTATION
from afkit.pods.merge import merge_pods
from afkit.pods.objects import marks, metadata
from afkit.pods.overlay import Choice, Files, files_of, finish, overlay
from afkit.pods.person import Person
from afkit.pods.placeholders import fill
from afkit.pods.placement import DEVICES, device_template
from afkit.pods.probes import PORT_NAME, startup_probe
from afkit.pods.site import Site
from afkit.pods.storage import mounts_of, own_claim

__all__ = ["ServerObjects", "built"]

_SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_POD_DECIDED: Final = frozenset(("serviceAccount", "serviceAccountName", "automountServiceAccountToken", "runtimeClassName"))
_MAIN_DECIDED: Final = frozenset(("image", "imagePullPolicy", "resources", "ports"))
_CONTEXT_DECIDED: Final = frozenset(
    ("runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups", "privileged", "allowPrivilegeEscalation")
)
"""What another key of the file says; KubeSpawner's traits for it count for nothing."""


@dataclass(frozen=True, slots=True)
class ServerObjects:
    """One server. ``claims`` are made when missing and kept; ``owned`` goes with the Pod, and is made before it.

    ``secret`` is among ``owned`` and empty: the hub writes its own variables, tokens among them, into ``stringData``. ``body`` is
    the Pod as it is sent where it was written at once; ``pod`` has nothing but what it is called then.
    """

    pod: dict[str, Any]
    claims: tuple[dict[str, Any], ...]
    secret: dict[str, Any]
    owned: tuple[dict[str, Any], ...]
    body: bytes | None = None

    def all(self) -> tuple[dict[str, Any], ...]:
        """Every object in the order in which they are made."""
        return (*self.claims, *self.owned, self.pod)


def built(choice: Choice, site: Site) -> ServerObjects:
    """The objects of a choice, without what the hub notes in the Pod's ``metadata``."""
    facility, person, names = choice.facility, choice.person, choice.names
    secret = _secret(facility, person, site.hub_secret)
    files = files_of(choice, site.files_secret)
    owned = [secret]
    if files.texts:
        owned.append({**_secret(facility, person, files.secret), "stringData": files.data()})
    pool, resources = choice.selection.pool, choice.selection.resources
    template = device_template(pool, resources, metadata(facility, person, site.devices_template))
    if template is not None:
        owned.append(template)
    about = marks(facility, person)
    claims = (own_claim(facility, mount, names, person, about) for mount in mounts_of(facility, choice.session.storage, person))
    pod = _pod(choice, site, files, template is not None)
    return ServerObjects(pod, tuple(one for one in claims if one is not None), secret, tuple(owned))


def _secret(facility: Facility, person: Person, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(facility, person, name), "type": "Opaque"}


def _choice(choice: Choice) -> str:
    """What the server was made from, for the facility's own services: Dask workers follow the choice of their server."""
    return json.dumps(choice.selection.user_options(), separators=(",", ":"))


def _pod(choice: Choice, site: Site, files: Files, claims_devices: bool) -> dict[str, Any]:
    base, main = _base(site)
    made = overlay(choice, files, _server_env(choice), main.pop("env", ()))
    spec, about = made.pod["spec"], made.pod["metadata"]
    own = spec["containers"][0]
    own["ports"] = [{"name": PORT_NAME, "containerPort": site.port}]
    own["envFrom"] = [{"secretRef": {"name": site.hub_secret}}, *main.pop("envFrom", ())]
    about["namespace"] = choice.person.namespace
    about["annotations"] |= {_SAFE_TO_EVICT: "false", CHOICE_ANNOTATION: _choice(choice)}
    tolerations = spec.get("tolerations", [])
    tolerations += [one for one in base["spec"].get("tolerations", ()) if one not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations
    if claims_devices:
        spec["resourceClaims"] = [{"name": DEVICES, "resourceClaimTemplateName": site.devices_template}]
        about["annotations"][DEVICES_ANNOTATION] = str(choice.selection.resources.accelerators)
    pod = finish(choice, merge_pods(base, made.pod), made.hows)
    probe, container = startup_probe(choice.facility, choice.session.cvmfs, site.port), pod["spec"]["containers"][0]
    if "exec" in probe or "startupProbe" not in container:
        # the file's own probe may say when a server is ready, and not that one with dead repositories is
        container["startupProbe"] = probe
    return pod


def _server_env(choice: Choice) -> dict[str, str]:
    """What only a server is told: where the browser goes, and how often it reports activity."""
    session, env = choice.session, {}
    if session.default_url:
        env["JUPYTERHUB_DEFAULT_URL"] = fill(session.default_url, choice.names)
    if session.lifetime.idle is not None:
        # often enough for its idle time
        env["JUPYTERHUB_ACTIVITY_INTERVAL"] = str(max(min(300, session.lifetime.idle // 4), 1))
    return env


def _base(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hub's own Pod without what the facility file decides, and its main container, which is the first in it."""
    spec = _said(site.base.get("spec") or {}, _POD_DECIDED)
    containers = spec.get("containers", [])
    main = _said(next((one for one in containers if one.get("name") == MAIN), {}), _MAIN_DECIDED)
    main["name"] = MAIN
    for holder in (spec, main):
        if "securityContext" in holder:
            holder["securityContext"] = {key: value for key, value in holder["securityContext"].items() if key not in _CONTEXT_DECIDED}
    spec["containers"] = [main, *(one for one in containers if one.get("name") != MAIN)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": site.pod_name, "namespace": ""}, "spec": spec}, main


def _said(part: Mapping[str, Any], decided: frozenset[str]) -> dict[str, Any]:
    """What of a part says something: empty values say nothing, and what a choice decides is left out."""
    return {key: value for key, value in part.items() if key not in decided and value not in (None, {}, [], ())}
