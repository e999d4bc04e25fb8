"""The objects that the stand-ins are known by in Kubernetes (pure)."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["DRIVER", "PROVISIONER", "driver", "storage_class"]

DRIVER: Final = "cvmfs.csi.cern.ch"
"""The name of CVMFS' own driver."""
PROVISIONER: Final = "local.standins.example.org"
"""The provisioner's name in storage classes and volumes."""


def driver() -> dict[str, Any]:
    """The CSI driver, as the real one's chart has it."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": False, "podInfoOnMount": False, "volumeLifecycleModes": ["Persistent"]},
    }


def storage_class(name: str, *, default: bool = True) -> dict[str, Any]:
    """A storage class of the provisioner, whose volumes follow the scheduler's choice of a node."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": str(default).lower()}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
