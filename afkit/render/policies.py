"""Admission policies that hold the namespace provisioner to what it is for, whatever its roles would allow. Pure.

They concern its service account only (but for the one of `afkit.render.dask_policy`): namespaces of the facility's own form and Pod
Security level, the bindings with their one subject each, and static volumes of exactly the sources that the facility file names. The
source of a claim is known to the cluster only: the policy compares with the volume behind the claim itself, which an administrator marks
with `shared_label`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from afkit.facility.model import Facility
from afkit.names import FACILITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL, OWNER_LABEL, digest
from afkit.pods.brought import StaticVolume, static_volumes
from afkit.pods.layout import Layout, facility_labels, role_name, runs_dask, section
from afkit.pods.namespace import CLUSTERS, KEEPER, MOUNT_LABEL, POD_SECURITY_LABEL, SESSIONS
from afkit.pods.placeholders import PLACEHOLDER
from afkit.render.dask_policy import clusters_policy
from afkit.render.rights import Object, bound_roles, brings_volumes

__all__ = ["policies", "shared_label"]

_API: Final = "admissionregistration.k8s.io/v1"
_SOURCES: Final = (
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
)
"""Every kind of source that a PersistentVolume can have (Kubernetes 1.35)."""
_BESIDE: Final = ("mountOptions", "nodeAffinity", "volumeMode")
"""What else decides how a volume is mounted."""
_LONGEST_VALUE: Final = 63
_HANDLE: Final = "volumeHandle"
_FIELDS: Final = {
    "nfs": ("server", "path", "readOnly"),
    "csi": (
        "driver",
        _HANDLE,
        "readOnly",
        "fsType",
        "volumeAttributes",
        "controllerPublishSecretRef",
        "nodeStageSecretRef",
        "nodePublishSecretRef",
        "controllerExpandSecretRef",
        "nodeExpandSecretRef",
    ),
}
"""Every field of the sources that a facility file can name for a static volume."""
_FORMS: Final = {
    "username": "[a-z0-9-]+",
    "escaped_username": "[a-z0-9-]+",
    "unescaped_username": "[.]?[^/.][^/]*",
    "servername": "",
    "initial": "[a-z0-9]",
    "uid": "[0-9]+",
    "gid": "[0-9]+",
}
"""What a placeholder can become (`afkit.pods.placeholders`)."""


def shared_label(facility: Facility, claim: str) -> tuple[str, str]:
    """(key, value) of the label by which an administrator shares the volume behind a claim with the users' namespaces."""
    return f"{facility.name}.afkit.io/claim", claim if len(claim) <= _LONGEST_VALUE else digest(claim.encode())


def policies(facility: Facility, layout: Layout) -> tuple[Object, ...]:
    """All policies with their bindings; none with ``policies: off``."""
    if section(facility).policies == "off":
        return ()
    made = [*_bound(facility, layout, "namespaces", _NAMESPACED, _namespace_rules(facility, layout))]
    if runs_dask(facility):
        made += (clusters_policy(facility), _binding(facility, CLUSTERS, CLUSTERS))
    if brings_volumes(facility):
        made += _bound(facility, layout, "volumes", _VOLUMES, _volume_rules(facility))
        made += _shared(facility, layout)
    return tuple(made)


_NAMESPACED: Final = (("", "namespaces"), ("rbac.authorization.k8s.io", "rolebindings"))
_VOLUMES: Final = (("", "persistentvolumes"),)


def _text(value: str) -> str:
    """A text as CEL writes it."""
    return json.dumps(value, ensure_ascii=False)


def _label(of: str, key: str) -> str:
    return f'{of}.metadata.?labels[?{_text(key)}].orValue("")'


def _policy(facility: Facility, layout: Layout, part: str, resources: tuple[tuple[str, str], ...], rules: list[tuple[str, str]]) -> Object:
    who = f"system:serviceaccount:{section(facility).namespace}:{layout.namespaces}"
    return {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": role_name(facility, part), "labels": facility_labels(facility)},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [name, f"{name}/*"]}
                    for group, name in resources
                ]
            },
            "matchConditions": [{"name": "namespace-provisioner", "expression": f"request.userInfo.username == {_text(who)}"}],
            "variables": [
                {"name": "owner", "expression": _label("object", OWNER_LABEL)},
                {"name": "mount", "expression": _label("object", MOUNT_LABEL)},
            ],
            "validations": [{"expression": rule, "message": message} for rule, message in rules],
        },
    }


def _binding(facility: Facility, part: str, name: str, **spec: Any) -> Object:
    actions = ["Deny"] if section(facility).policies == "enforce" else ["Warn", "Audit"]
    return {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": role_name(facility, name), "labels": facility_labels(facility)},
        "spec": {"policyName": role_name(facility, part), "validationActions": actions, **spec},
    }


def _bound(
    facility: Facility, layout: Layout, part: str, resources: tuple[tuple[str, str], ...], rules: list[tuple[str, str]]
) -> tuple[Object, Object]:
    return _policy(facility, layout, part, resources, rules), _binding(facility, part, part)


def _own(of: str, facility: Facility) -> str:
    """That an object has the facility's labels and an owner."""
    labels = ((MANAGED_BY_LABEL, MANAGED_BY), (FACILITY_LABEL, facility.name))
    owner = f'{_label(of, OWNER_LABEL)}.matches("^[a-z2-7]{{26}}$")'
    return " && ".join([*(f"{_label(of, key)} == {_text(value)}" for key, value in labels), owner])


def _kept(facility: Facility) -> str:
    """That what is changed was the same owner's before."""
    return f"oldObject == null || ({_own('oldObject', facility)} && {_label('oldObject', OWNER_LABEL)} == variables.owner)"


def _namespace_rules(facility: Facility, layout: Layout) -> list[tuple[str, str]]:
    kubernetes = section(facility)
    prefix = _text(f"af-{facility.name}-")
    level = f"{_label('object', POD_SECURITY_LABEL)} == {_text(kubernetes.pod_security)}"
    version = f'{_label("object", f"{POD_SECURITY_LABEL}-version")} in ["", "latest"]'
    around = f"{_own('namespaceObject', facility)} && namespaceObject.metadata.name == {prefix} + {_label('namespaceObject', OWNER_LABEL)}"
    of_namespaces = [
        (f"{_own('object', facility)} && object.metadata.name == {prefix} + variables.owner", "This is no user's namespace."),
        (_kept(facility), "This namespace has another owner."),
        (f"{level} && {version}", f"Users' namespaces have the Pod Security level {kubernetes.pod_security}."),
    ]
    of_bindings = [
        (f"namespaceObject != null && {around}", "Roles are bound in users' namespaces only."),
        (_pairs(facility, layout), "Each role is bound to the one service account that it is for."),
    ]
    return [(f'request.resource.resource != "namespaces" || ({rule})', message) for rule, message in of_namespaces] + [
        (f'request.resource.resource != "rolebindings" || ({rule})', message) for rule, message in of_bindings
    ]


def _pairs(facility: Facility, layout: Layout) -> str:
    """That a binding gives one of the roles to the one service account that it is for."""
    accounts = {KEEPER: layout.namespaces, SESSIONS: layout.hub, CLUSTERS: layout.dask}
    pairs = {role_name(facility, part): accounts[part] for part in bound_roles(facility)}
    bound = " || ".join(f"(object.roleRef.name == {_text(role)} && one.name == {_text(account)})" for role, account in pairs.items())
    subject = f'one.kind == "ServiceAccount" && one.namespace == {_text(section(facility).namespace)} && ({bound})'
    return f'object.roleRef.kind == "ClusterRole" && has(object.subjects) && object.subjects.all(one, {subject})'


def _volume_rules(facility: Facility) -> list[tuple[str, str]]:
    home = f"{_text(f'af-{facility.name}-')} + variables.owner"
    own = f'{_own("object", facility)} && object.metadata.name == {home} + "-" + variables.mount'
    claim = f"has(object.spec.claimRef) && object.spec.claimRef.namespace == {home}"
    sources = " || ".join(f"(variables.mount == {_text(static.name)} && {_source(static)})" for static in static_volumes(facility))
    return [
        (f"{own} && {claim}", "This is no volume of a user's namespace."),
        (_kept(facility), "This volume has another owner."),
        ('object.spec.persistentVolumeReclaimPolicy == "Retain"', "The volume would be deleted with its claim."),
        (sources, "The facility file names no such source for this mount."),
    ]


def _source(static: StaticVolume) -> str:
    """That a volume has the source of a static volume. Of a claim, the policy with the claim's volume as parameter says it."""
    if static.claim:
        return "true"
    kind, wanted = next(iter(static.source.items()))
    of = f"object.spec.{kind}"
    fields = (_field(f"{of}.{key}", wanted.get(key)) for key in _FIELDS[kind] if key != _HANDLE)
    return " && ".join([f"!has(object.spec.mountOptions) && has({of})", *fields, *_handle(kind, wanted)])


def _handle(kind: str, wanted: Mapping[str, Any]) -> list[str]:
    """The handle of a CSI volume: the file's, or the volume's own name."""
    if kind != "csi":
        return []
    of = "object.spec.csi.volumeHandle"
    return [_same(of, wanted[_HANDLE]) if _HANDLE in wanted else f"{of} == object.metadata.name"]


def _field(of: str, wanted: Any) -> str:
    """That a field is as wanted; what is empty is not stored."""
    if not wanted:
        return f"(!has({of}) || !{of})" if of.endswith(".readOnly") else f"!has({of})"
    if isinstance(wanted, Mapping) and of.endswith("Ref"):
        return " && ".join([f"has({of})", *(f"has({of}.{key}) && {_same(f'{of}.{key}', one)}" for key, one in wanted.items())])
    if isinstance(wanted, Mapping):
        each = (f"{_text(key)} in {of} && {_same(f'{of}[{_text(key)}]', one)}" for key, one in wanted.items())
        return " && ".join([f"has({of}) && {of}.size() == {len(wanted)}", *each])
    return f"has({of}) && {_same(of, wanted)}"


def _same(of: str, wanted: Any) -> str:
    """Equal, or where a user's placeholder stands in the text, of its form."""
    if not isinstance(wanted, str) or not PLACEHOLDER.search(wanted):
        return f"{of} == {json.dumps(wanted, ensure_ascii=False)}"
    parts = PLACEHOLDER.split(wanted)
    pattern = "".join(_FORMS[part] if odd % 2 else re.escape(part).replace("\\ ", " ") for odd, part in enumerate(parts))
    return f"{of}.matches({_text(f'^(?:{pattern})$')})"


def _shared(facility: Facility, layout: Layout) -> list[Object]:
    """The policy for volumes of claims, bound once a mount to the volume behind its claim."""
    claims = {static.name: static.claim for static in static_volumes(facility) if static.claim}
    if not claims:
        return []
    reference = "params.spec.?claimRef"
    behind = f'{reference}.?namespace.orValue("") == {_text(section(facility).namespace)}'
    named = f'{reference}.?name.orValue("") == {json.dumps(claims)}[variables.mount]'
    same = " && ".join(f"object.spec.?{key} == params.spec.?{key}" for key in (*_SOURCES, *_BESIDE))
    rules = [
        (f"{behind} && {named}", "The volume that is marked as shared is not the one behind the claim that the facility file names."),
        (same, "The source is not that of the claim that the facility file names."),
    ]
    policy = _policy(facility, layout, "shared", _VOLUMES, rules)
    policy["spec"]["paramKind"] = {"apiVersion": "v1", "kind": "PersistentVolume"}
    return [policy, *(_shared_binding(facility, mount, claim) for mount, claim in claims.items())]


def _shared_binding(facility: Facility, mount: str, claim: str) -> Object:
    key, value = shared_label(facility, claim)
    return _binding(
        facility,
        "shared",
        f"shared-{mount}",
        matchResources={"objectSelector": {"matchLabels": {MOUNT_LABEL: mount}}},
        paramRef={"selector": {"matchLabels": {key: value}}, "parameterNotFoundAction": "Deny"},
    )
