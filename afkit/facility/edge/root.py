"""The whole file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, PlainValidator, WithJsonSchema

from afkit.facility.edge.base import Part, may, several
from afkit.facility.edge.choices import Dask, Option, Profile
from afkit.facility.edge.layer import Session
from afkit.facility.edge.machines import Image, Pool, Size
from afkit.facility.edge.people import FacilitySection, Group, Identity, Limit
from afkit.facility.edge.places import Cvmfs, Kubernetes, Storage
from afkit.facility.edge.types import Name

REQUIRED = ("version", "facility", "pools", "images", "sizes", "profiles")
"""Sections that every file has (with those of the file that it extends)."""

# the version is judged file by file, before anything else is read
Version1 = Annotated[Any, PlainValidator(lambda value: value), WithJsonSchema({"const": 1})]


class FacilityFile(Part):
    """A facility: who may run what where, and what they find there."""

    model_config = ConfigDict(
        title="afkit facility file",
        json_schema_extra={
            "patternProperties": {"^x-": {}},
            "required": ["version"],
            # a file that extends another one may leave the rest to it
            "if": {"not": {"required": ["extends"]}},
            "then": {"required": list(REQUIRED)},
        },
    )

    version: Version1 = may("Version of the format.", 1, shown="(required)")
    extends: str | None = may("A file beside this one over which this one is laid.", examples=["base.yaml"])
    facility: FacilitySection | None = may("What the facility is called and whom to ask.", shown="(required)")
    groups: dict[Name, Group] = several("Facility groups.")
    identity: Identity | None = may("Who may log in, and as whom servers run.")
    session: Session = may("What every server gets.", Session(), shown={})
    pools: dict[Name, Pool] = several("Node pools.")
    images: dict[Name, Image] = several("Images.")
    sizes: dict[Name, Size] = several("Sizes.")
    options: dict[Name, Option] = several("Further things to choose.")
    cvmfs: Cvmfs | None = may("How /cvmfs comes into servers and workers.")
    storage: Storage = may("Home, scratch and shared mounts.", Storage(), shown={})
    profiles: dict[Name, Profile] = several("What people choose, in the order in which it is shown.")
    limits: dict[str, Limit] = several("How much at once, by group or `everyone`.")
    dask: Dask = may("What all Dask clusters have in common.", Dask(), shown={})
    kubernetes: Kubernetes | None = may("The cluster's side.")
