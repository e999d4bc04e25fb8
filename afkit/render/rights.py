"""Who may do what: every role and binding of a facility, and the table of the security page. Pure.

Three identities have rights: the hub, the namespace provisioner, and with one namespace for all users only the hub. Servers,
workers and the proxy have none. What can be bound in a namespace is; what is bound cluster-wide stands in `cluster_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.pods.brought import named_objects, static_volumes
from afkit.pods.layout import Layout, facility_labels, one_namespace, role_name, section
from afkit.pods.namespace import KEEPER, LIMITS, NETWORK, QUOTA, SESSIONS, account, role_binding

__all__ = ["Object", "brings_volumes", "provisioned", "rights", "rules_of"]

Object = dict[str, Any]
Rule = dict[str, list[str]]

HUB: Final = "hub"
NAMESPACES: Final = "namespaces"
_RBAC: Final = "rbac.authorization.k8s.io"
_READ: Final = ("get", "list", "watch")
_KEEP: Final = ("get", "create", "patch")


def provisioned(facility: Facility) -> bool:
    """Whether every user has a namespace, which the namespace provisioner makes."""
    return not one_namespace(facility)


def brings_volumes(facility: Facility) -> bool:
    """Whether the provisioner makes static volumes: only under an admission policy that holds it to the file's sources."""
    return section(facility).policies != "off" and bool(static_volumes(facility))


def rights(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """Every role and binding, in the order in which they are rendered."""
    if provisioned(facility):
        return (
            _cluster_role(facility, HUB, _watched(nodes=True)),
            _cluster_binding(facility, HUB, layout.hub),
            _cluster_role(facility, SESSIONS, _session_rules(facility)),
            _cluster_role(facility, KEEPER, _keeper_rules(facility)),
            _cluster_role(facility, NAMESPACES, _provisioner_rules(facility)),
            _cluster_binding(facility, NAMESPACES, layout.namespaces),
            *_sources_role(facility, layout),
        )
    namespace = one_namespace(facility)
    rules = [*_watched(nodes=False), *_session_rules(facility)]
    binding = role_binding(facility, SESSIONS, layout.hub)
    binding["roleRef"] = {**binding["roleRef"], "kind": "Role", "name": f"afkit-{SESSIONS}"}
    return (_role(facility, namespace, f"afkit-{SESSIONS}", rules), _labelled(facility, binding, namespace))


def _rule(groups: str, resources: Iterable[str], verbs: Iterable[str], names: Iterable[str] = ()) -> Rule:
    rule = {"apiGroups": [groups], "resources": list(resources), "verbs": list(verbs)}
    return rule | ({"resourceNames": list(names)} if names else {})


def _watched(*, nodes: bool) -> list[Rule]:
    """What the hub follows: cluster-wide where users have namespaces of their own."""
    return [_rule("", ["pods", "events", *(["nodes"] if nodes else [])], _READ)]


def _session_rules(facility: Facility) -> list[Rule]:
    """The hub's rights in a namespace with servers."""
    rules = [
        _rule("", ["pods"], ["create", "delete"]),
        _rule("", ["pods/log"], ["get"]),
        _rule("", ["persistentvolumeclaims"], ["get", "create"]),
        _rule("", ["secrets"], ["get", "create", "delete"]),
    ]
    if any(pool.accelerator is not None and pool.accelerator.device_class for pool in facility.pools.values()):
        rules.append(_rule("resource.k8s.io", ["resourceclaimtemplates"], ["get", "create", "delete"]))
    return rules


def _keeper_rules(facility: Facility) -> list[Rule]:
    """The provisioner's rights in a user's namespace: objects of these names only (it makes them by server-side apply)."""
    named = named_objects(facility)
    rules = [
        _rule("", ["serviceaccounts"], _KEEP, [account(facility)]),
        _rule("", ["resourcequotas"], _KEEP, [QUOTA]),
        _rule("", ["limitranges"], _KEEP, [LIMITS]),
    ]
    if section(facility).network is not None:
        rules.append(_rule("networking.k8s.io", ["networkpolicies"], _KEEP, [NETWORK]))
    for kind, names in (("secrets", named.secrets), ("configmaps", named.config_maps)):
        if names:
            rules.append(_rule("", [kind], _KEEP, names))
    claims = [static.claim_name for static in static_volumes(facility)] if brings_volumes(facility) else []
    if claims:
        rules.append(_rule("", ["persistentvolumeclaims"], _KEEP, claims))
    return rules


def _provisioner_rules(facility: Facility) -> list[Rule]:
    """The provisioner's rights everywhere: what exists without a namespace, and the bindings by which it enters one."""
    rules = [
        _rule("", ["namespaces"], ["get", "list", "create", "patch"]),
        _rule(_RBAC, ["rolebindings"], _KEEP, [f"afkit-{KEEPER}", f"afkit-{SESSIONS}"]),
        _rule(_RBAC, ["clusterroles"], ["bind"], [role_name(facility, KEEPER), role_name(facility, SESSIONS)]),
        _rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
    ]
    if brings_volumes(facility):
        rules.append(_rule("", ["persistentvolumes"], _KEEP))
    return rules


def _sources_role(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """The provisioner's rights where hub and services are: to read what the file names, by name."""
    named = named_objects(facility)
    claims = sorted({static.claim for static in static_volumes(facility) if static.claim})
    kinds: Mapping[str, Iterable[str]] = {"secrets": named.secrets, "configmaps": named.config_maps, "persistentvolumeclaims": claims}
    rules = [_rule("", [kind], ["get"], names) for kind, names in kinds.items() if names]
    if not rules:
        return ()
    namespace, name = section(facility).namespace, f"afkit-{NAMESPACES}"
    reference = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    binding = {"kind": "RoleBinding", "metadata": {"name": name}, "roleRef": reference, "subjects": [_subject(facility, layout.namespaces)]}
    return (_role(facility, namespace, name, rules), _labelled(facility, binding, namespace))


def _subject(facility: Facility, name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": section(facility).namespace}


def _labelled(facility: Facility, one: Object, namespace: str = "") -> Object:
    metadata = {"name": one["metadata"]["name"], **({"namespace": namespace} if namespace else {}), "labels": facility_labels(facility)}
    return {"apiVersion": f"{_RBAC}/v1", **one, "metadata": metadata}


def _role(facility: Facility, namespace: str, name: str, rules: list[Rule]) -> Object:
    return _labelled(facility, {"kind": "Role", "metadata": {"name": name}, "rules": rules}, namespace)


def _cluster_role(facility: Facility, part: str, rules: list[Rule]) -> Object:
    return _labelled(facility, {"kind": "ClusterRole", "metadata": {"name": role_name(facility, part)}, "rules": rules})


def _cluster_binding(facility: Facility, part: str, subject: str) -> Object:
    name = role_name(facility, part)
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    one = {"kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": reference, "subjects": [_subject(facility, subject)]}
    return _labelled(facility, one)


def rules_of(objects: Iterable[Object], name: str) -> list[Rule]:
    """The rules of the role with this name among rendered objects."""
    return next((one["rules"] for one in objects if one["kind"] in ("Role", "ClusterRole") and one["metadata"]["name"] == name), [])
