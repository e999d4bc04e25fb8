"""The admission policy about objects of dask-kubernetes where people's clusters are. Pure.

Clusters are the Dask service's to make. An operator of dask-kubernetes that a site runs besides must find nothing to do there: it would
open connections to schedulers, which are their users' own processes, and run what these send. So it concerns whoever asks.
"""

from __future__ import annotations

from typing import Any, Final

from afkit.facility.model import Facility
from afkit.names import FACILITY_LABEL, OWNER_LABEL
from afkit.pods.layout import facility_labels, one_namespace, role_name
from afkit.pods.namespace import CLUSTERS
from afkit.pods.network import NAMESPACE_NAME

__all__ = ["clusters_policy"]

_GROUP: Final = "kubernetes.dask.org"
_KINDS: Final = ("daskclusters", "daskworkergroups", "daskautoscalers", "daskjobs")
_COUNTED: Final = 'request.resource.resource in ["daskclusters", "daskworkergroups"]'
_RULES: Final = (
    (_COUNTED, "DaskAutoscaler and DaskJob cannot be used here: the facility's Dask service scales clusters."),
    (
        f"!({_COUNTED}) || variables.spec.worker.replicas == 0",
        "The number of workers is not in replicas here: the facility's Dask service makes them.",
    ),
    (
        'request.resource.resource != "daskclusters" || !has(variables.spec.idleTimeout) || variables.spec.idleTimeout == 0',
        "idleTimeout has to be 0 here: the facility's Dask service ends clusters.",
    ),
)


def clusters_policy(facility: Facility) -> dict[str, Any]:
    """What objects of dask-kubernetes may say in the namespaces of people."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": role_name(facility, CLUSTERS), "labels": facility_labels(facility)},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": _people(facility),
                "resourceRules": [
                    {"apiGroups": [_GROUP], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": list(_KINDS)}
                ],
            },
            # of the four kinds, two have no workers and one no idle time
            "variables": [{"name": "spec", "expression": "dyn(object.spec)"}],
            "validations": [{"expression": rule, "message": message} for rule, message in _RULES],
        },
    }


def _people(facility: Facility) -> dict[str, Any]:
    shared = one_namespace(facility)
    if shared:
        return {"matchLabels": {NAMESPACE_NAME: shared}}
    return {"matchLabels": {FACILITY_LABEL: facility.name}, "matchExpressions": [{"key": OWNER_LABEL, "operator": "Exists"}]}
