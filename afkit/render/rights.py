"""Who may do what: every role and binding of a facility, and the table of the security page. Pure.

Three identities have rights: the hub, the namespace provisioner where users have namespaces, and the Dask service where some profile
gives clusters. Servers, workers and the proxy have none. What can be bound in a namespace is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.pods.brought import named_objects, static_volumes
from afkit.pods.dasknetwork import SCHEDULERS
from afkit.pods.layout import Layout, facility_labels, one_namespace, role_name, runs_dask, section
from afkit.pods.namespace import CLUSTERS, KEEPER, LIMITS, NETWORK, QUOTA, SESSIONS, account, role_binding

__all__ = ["Object", "bound_roles", "brings_volumes", "provisioned", "rights", "rules_of"]

Object = dict[str, Any]
Rule = dict[str, list[str]]

HUB: Final = "hub"
NAMESPACES: Final = "namespaces"
DASK: Final = "dask"
_RBAC: Final = "rbac.authorization.k8s.io"
_DASK_API: Final = "kubernetes.dask.org"
_READ: Final = ("get", "list", "watch")
_KEEP: Final = ("get", "create", "patch")


def provisioned(facility: Facility) -> bool:
    """Whether every user has a namespace, which the namespace provisioner makes."""
    return not one_namespace(facility)


def bound_roles(facility: Facility) -> tuple[str, ...]:
    """Parts of the names of the roles that are bound in each user's namespace."""
    return (KEEPER, SESSIONS, CLUSTERS) if runs_dask(facility) else (KEEPER, SESSIONS)


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
            *(_dask(facility, layout) if runs_dask(facility) else ()),
        )
    return (
        *_together(facility, SESSIONS, layout.hub, [*_watched(nodes=False), *_session_rules(facility)]),
        *(_dask_together(facility, layout) if runs_dask(facility) else ()),
    )


def _together(facility: Facility, part: str, subject: str, rules: list[Rule]) -> tuple[Object, Object]:
    """A role in the one namespace of all servers, and its binding."""
    namespace = one_namespace(facility)
    binding = role_binding(facility, part, subject)
    binding["roleRef"] = {**binding["roleRef"], "kind": "Role", "name": f"afkit-{part}"}
    return _role(facility, namespace, f"afkit-{part}", rules), _labelled(facility, binding, namespace)


def _dask(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """The Dask service's: it looks everywhere, and makes clusters where its role is bound, in users' namespaces."""
    watched = [*_watched(nodes=True), _rule(_DASK_API, ["daskclusters"], _READ), *_reviews()]
    return (
        _cluster_role(facility, DASK, watched),
        _cluster_binding(facility, DASK, layout.dask),
        _cluster_role(facility, CLUSTERS, _cluster_rules(facility, seen=True)),
    )


def _dask_together(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    return (
        _cluster_role(facility, DASK, _reviews()),
        _cluster_binding(facility, DASK, layout.dask),
        *_together(facility, CLUSTERS, layout.dask, [*_watched(nodes=False), *_cluster_rules(facility, seen=False)]),
    )


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
    if _claims_devices(facility):
        rules.append(_rule("resource.k8s.io", ["resourceclaimtemplates"], ["get", "create", "delete"]))
    return rules


def _reviews() -> list[Rule]:
    """To ask whose a token is, which is a question to the whole cluster."""
    return [_rule("authentication.k8s.io", ["tokenreviews"], ["create"])]


def _cluster_rules(facility: Facility, *, seen: bool) -> list[Rule]:
    """The Dask service's rights in a namespace with clusters; ``seen``: it may look at DaskClusters everywhere already.

    Of what is made once for a cluster it reads one by name: there may be one of an earlier cluster of that name.
    """
    rules = [
        _rule(_DASK_API, ["daskclusters"], [*(() if seen else _READ), "create", "patch", "delete"]),
        _rule("", ["pods"], ["create", "delete"]),
        _rule("", ["pods/log"], ["get"]),
        _rule("", ["services", "secrets"], ["get", "create"]),
        _rule("apps", ["deployments"], ["get", "create"]),
    ]
    if _claims_devices(facility):
        rules.append(_rule("resource.k8s.io", ["resourceclaimtemplates"], ["get", "create"]))
    return rules


def _claims_devices(facility: Facility) -> bool:
    return any(pool.accelerator is not None and pool.accelerator.device_class for pool in facility.pools.values())


def _keeper_rules(facility: Facility) -> list[Rule]:
    """The provisioner's rights in a user's namespace: objects of these names only (it makes them by server-side apply)."""
    named = named_objects(facility)
    rules = [
        _rule("", ["serviceaccounts"], _KEEP, [account(facility)]),
        _rule("", ["resourcequotas"], _KEEP, [QUOTA]),
        _rule("", ["limitranges"], _KEEP, [LIMITS]),
    ]
    if section(facility).network is not None:
        networks = [NETWORK, SCHEDULERS] if runs_dask(facility) else [NETWORK]
        rules.append(_rule("networking.k8s.io", ["networkpolicies"], _KEEP, networks))
    for kind, names in (("secrets", named.secrets), ("configmaps", named.config_maps)):
        if names:
            rules.append(_rule("", [kind], _KEEP, names))
    claims = [static.claim_name for static in static_volumes(facility)] if brings_volumes(facility) else []
    if claims:
        rules.append(_rule("", ["persistentvolumeclaims"], _KEEP, claims))
    return rules


def _provisioner_rules(facility: Facility) -> list[Rule]:
    """The provisioner's rights everywhere: what exists without a namespace, and the bindings by which it enters one."""
    bound = bound_roles(facility)
    rules = [
        _rule("", ["namespaces"], ["get", "list", "create", "patch"]),
        _rule(_RBAC, ["rolebindings"], _KEEP, [f"afkit-{part}" for part in bound]),
        _rule(_RBAC, ["clusterroles"], ["bind"], [role_name(facility, part) for part in bound]),
        *_reviews(),
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
