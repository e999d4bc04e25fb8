"""A person's server of a facility file, for the tests of this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.pods.person import Person, person_of
from afkit.pods.server import ServerObjects, server_objects
from afkit.pods.site import Site, stock_site
from afkit.policy.capacity import declared
from afkit.policy.entitle import entitle
from afkit.policy.model import Identity
from afkit.policy.offer import offer
from afkit.policy.select import select

FOLDER = Path(__file__).parent
IDS = {"uid_number": 4711, "gid_number": "4712", "gids": [300, 301]}


@cache
def loaded(name: str) -> Facility:
    """A facility file of this folder."""
    return load_facility(FOLDER / name)


def ada(facility: Facility, *groups: str, name: str = "ada", claims: dict[str, Any] | None = None) -> Person:
    """A person of the first issuer in these claim groups or facility groups."""
    who = identity(facility, *groups, name=name)
    return person_of(facility, who, entitle(facility, who), IDS if claims is None else claims)


def identity(facility: Facility, *groups: str, name: str = "ada") -> Identity:
    issuers = list(facility.identity.issuers) if facility.identity else []
    claims = tuple(group for group in groups if ":" in group)
    return Identity(
        name, issuers[0] if issuers else "local", f"key-of-{name}", claims, tuple(group for group in groups if ":" not in group)
    )


def server(
    facility: Facility, choice: dict[str, str] | None = None, *groups: str, name: str = "ada", server: str = "", site: Site | None = None
) -> ServerObjects:
    """The objects of a choice of somebody in these groups."""
    who = identity(facility, *groups, name=name)
    selection = select(offer(facility, entitle(facility, who), declared(facility)), choice or {})
    return server_objects(facility, selection, ada(facility, *groups, name=name), server, site or stock_site(name, server))


def main(objects: ServerObjects) -> dict[str, Any]:
    """The main container."""
    found: dict[str, Any] = objects.pod["spec"]["containers"][0]
    return found


def env(objects: ServerObjects) -> dict[str, Any]:
    """The variables of the main container: value, or where it is from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in main(objects)["env"]}


def mounts(objects: ServerObjects, container: str = "notebook") -> dict[str, dict[str, Any]]:
    """Path → mount of a container."""
    spec = objects.pod["spec"]
    [found] = [one for one in (*spec.get("initContainers", ()), *spec["containers"]) if one["name"] == container]
    return {one["mountPath"]: one for one in found.get("volumeMounts", ())}


def volumes(objects: ServerObjects) -> dict[str, dict[str, Any]]:
    """Name → source of a volume."""
    return {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in objects.pod["spec"]["volumes"]}
