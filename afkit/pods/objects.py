"""What every object of a person carries: labels, annotations, owner. Pure."""

from __future__ import annotations

from typing import Any

from afkit.facility.model import Facility
from afkit.names import FACILITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL, OWNER_LABEL, USER_ANNOTATION
from afkit.pods.person import Person

__all__ = ["marks", "metadata"]


def marks(facility: Facility, person: Person) -> dict[str, dict[str, str]]:
    """``labels`` and ``annotations`` that say whose an object is; before one is reused or removed they are compared."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, FACILITY_LABEL: facility.name, OWNER_LABEL: person.owner}
    return {"labels": labels, "annotations": {USER_ANNOTATION: person.name}}


def metadata(facility: Facility, person: Person, name: str) -> dict[str, Any]:
    """The whole ``metadata`` of an object in the person's namespace."""
    return {"name": name, "namespace": person.namespace, **marks(facility, person)}
