"""The kinds of objects that afkit reads or writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from afkit.errors import KubernetesError

__all__ = ["KINDS", "Kind", "kind_of", "path_of"]


@dataclass(frozen=True, slots=True)
class Kind:
    """``api_version`` as an object writes it, the resource's ``plural`` in paths and rules, whether it lies in namespaces."""

    name: str
    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group (empty: the core)."""
        return self.api_version.rpartition("/")[0]


def _table(*rows: tuple[str, str, str]) -> dict[str, Kind]:
    return {
        name: Kind(name, version, plural.removeprefix("*"), not plural.startswith("*"))
        for version, names, plurals in rows
        for name, plural in zip(names.split(), plurals.split(), strict=True)
    }


# a plural with a star belongs to the cluster, not to a namespace
KINDS: Final[dict[str, Kind]] = _table(
    ("v1", "Pod PersistentVolumeClaim Secret ConfigMap", "pods persistentvolumeclaims secrets configmaps"),
    ("v1", "Service ServiceAccount Event Endpoints", "services serviceaccounts events endpoints"),
    ("v1", "ResourceQuota LimitRange", "resourcequotas limitranges"),
    ("v1", "Namespace Node PersistentVolume", "*namespaces *nodes *persistentvolumes"),
    ("apps/v1", "Deployment ReplicaSet StatefulSet DaemonSet", "deployments replicasets statefulsets daemonsets"),
    ("batch/v1", "Job CronJob", "jobs cronjobs"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("networking.k8s.io/v1", "NetworkPolicy Ingress IngressClass", "networkpolicies ingresses *ingressclasses"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    ("coordination.k8s.io/v1", "Lease", "leases"),
    (
        "rbac.authorization.k8s.io/v1",
        "Role RoleBinding ClusterRole ClusterRoleBinding",
        "roles rolebindings *clusterroles *clusterrolebindings",
    ),
    ("storage.k8s.io/v1", "StorageClass CSIDriver CSINode VolumeAttachment", "*storageclasses *csidrivers *csinodes *volumeattachments"),
    ("node.k8s.io/v1", "RuntimeClass", "*runtimeclasses"),
    ("scheduling.k8s.io/v1", "PriorityClass", "*priorityclasses"),
    ("resource.k8s.io/v1", "ResourceClaim ResourceClaimTemplate", "resourceclaims resourceclaimtemplates"),
    ("resource.k8s.io/v1", "DeviceClass ResourceSlice", "*deviceclasses *resourceslices"),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
        "*validatingadmissionpolicies *validatingadmissionpolicybindings",
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "*customresourcedefinitions"),
    ("authentication.k8s.io/v1", "TokenReview SelfSubjectReview", "*tokenreviews *selfsubjectreviews"),
    ("authorization.k8s.io/v1", "SubjectAccessReview SelfSubjectAccessReview", "*subjectaccessreviews *selfsubjectaccessreviews"),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", "*selfsubjectrulesreviews"),
    ("kubernetes.dask.org/v1", "DaskCluster DaskWorkerGroup", "daskclusters daskworkergroups"),
)
"""Every kind by its name."""


def kind_of(name: str) -> Kind:
    """The kind of a name; `KubernetesError` (reason ``UnknownKind``) for one that afkit has no use for."""
    kind = KINDS.get(name)
    if kind is None:
        raise KubernetesError(f"afkit does not know the kind {name[:80]!r}.", reason="UnknownKind", kind=name[:80])
    return kind


def path_of(kind: Kind, namespace: str = "", name: str = "", api_version: str = "") -> str:
    """The path of an object, or without a name of a list; without a namespace, of all namespaces."""
    if {name, namespace} & {".", ".."}:
        raise KubernetesError("A path is no name.", reason="Invalid", kind=kind.name, namespace=namespace, name=name)
    version = api_version or kind.api_version
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if kind.namespaced and namespace else ""
    return f"{root}{place}/{kind.plural}" + (f"/{quote(name, safe='')}" if name else "")
