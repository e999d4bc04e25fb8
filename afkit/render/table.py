"""Who may do what where, read from the rendered roles and bindings: the table of the security page. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from afkit.facility.model import Facility
from afkit.pods.layout import Layout, one_namespace, runs_dask, section
from afkit.pods.namespace import CLUSTERS, KEEPER, SESSIONS, account, role_binding
from afkit.render.rights import Object, provisioned, rights, rules_of

__all__ = ["CLUSTER", "HUB_NAMESPACE", "SESSIONS_NAMESPACE", "USER_NAMESPACE", "Right", "rights_table"]

CLUSTER: Final = "the whole cluster"
HUB_NAMESPACE: Final = "the namespace of hub and services"
USER_NAMESPACE: Final = "each user's namespace"
SESSIONS_NAMESPACE: Final = "the namespace of all servers"


@dataclass(frozen=True, slots=True)
class Right:
    """One identity, one place, one kind of resource: verbs, and the only names that they are for (empty: all)."""

    identity: str
    place: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


def rights_table(facility: Facility, layout: Layout) -> tuple[Right, ...]:
    """Every right of every identity, by identity and from the widest place to the narrowest. Who is not in it has none."""
    objects = list(rights(facility, layout))
    bindings = [*(one for one in objects if one["kind"].endswith("Binding"))]
    if provisioned(facility):
        bindings += [role_binding(facility, SESSIONS, layout.hub), role_binding(facility, KEEPER, layout.namespaces)]
        bindings += [role_binding(facility, CLUSTERS, layout.dask)] if runs_dask(facility) else []
    found = [right for binding in bindings for right in _rights(facility, objects, binding)]
    identities = [layout.hub, layout.namespaces, layout.dask, account(facility)]
    places = [CLUSTER, HUB_NAMESPACE, SESSIONS_NAMESPACE, USER_NAMESPACE]
    return tuple(sorted(found, key=lambda right: (identities.index(right.identity), places.index(right.place))))


def _rights(facility: Facility, objects: list[Object], binding: Object) -> Iterator[Right]:
    place = _place(facility, binding)
    for subject in binding["subjects"]:
        for rule in rules_of(objects, binding["roleRef"]["name"]):
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    names = tuple(rule.get("resourceNames", ()))
                    yield Right(subject["name"], place, group, resource, tuple(rule["verbs"]), names)


def _place(facility: Facility, binding: Object) -> str:
    if binding["kind"] == "ClusterRoleBinding":
        return CLUSTER
    namespace = binding["metadata"].get("namespace")
    if namespace is None:
        return USER_NAMESPACE
    if namespace == one_namespace(facility):
        return SESSIONS_NAMESPACE
    return HUB_NAMESPACE if namespace == section(facility).namespace else namespace
