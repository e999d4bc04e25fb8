"""A facility's rights, policies and accounts in the cluster, with what its file names: everything but its programs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.kube.crds import dask_definitions
from afkit.kube.kinds import kind_of, path_of
from afkit.render.manifests import manifests
from afkit.render.policies import shared_label
from afkit.render.settings import Files, Settings
from tests.cluster.calls import caller
from tools.kubernetes.api import Api, ApiError

FILE = Path(__file__).parent / "rights.yaml"
LEFT_OUT = ("Deployment", "Service", "PersistentVolumeClaim")
"""Programs and what belongs to them: no image is needed here."""
SOURCES = {
    "data": {"nfs": {"server": "nfs.example.org", "path": "/data"}, "mountOptions": ["nfsvers=4.2"]},
    "secret-data": {"csi": {"driver": "shared.example.org", "volumeHandle": "handle", "volumeAttributes": {"b": "2", "a": "1"}}},
    "unnamed": {"nfs": {"server": "nfs.example.org", "path": "/unnamed"}},
}
"""Claims beside the hub, and the sources of the volumes behind them; the file does not name the last one."""


@dataclass(frozen=True)
class Site:
    """The facility, a client with all rights, and kubeconfigs for its service accounts."""

    facility: Facility
    api: Api
    kubeconfig: Path
    folder: Path

    @property
    def namespace(self) -> str:
        assert self.facility.kubernetes is not None
        return self.facility.kubernetes.namespace

    def token(self, account: str, namespace: str = "", audience: str = "") -> str:
        """A token of a service account, as the kubelet would get it."""
        path = f"/api/v1/namespaces/{namespace or self.namespace}/serviceaccounts/{account}/token"
        spec = {"audiences": [audience]} if audience else {}
        answer = self.api.request("POST", path, {"spec": {**spec, "expirationSeconds": 3600}})
        return str(answer["status"]["token"])

    def call(self, account: str, namespace: str = "") -> Callable[..., dict[str, Any]]:
        """Calls with that account's token: ``call(METHOD, PATH, BODY)``."""
        return caller(self.identity(account, namespace))

    def identity(self, account: str, namespace: str = "") -> Path:
        """A kubeconfig with which one is that service account."""
        config = json.loads(self.kubeconfig.read_text())
        user = {"name": account, "user": {"token": self.token(account, namespace)}}
        context = {"name": account, "context": {"cluster": config["clusters"][0]["name"], "user": account}}
        file = self.folder / f"{namespace}{account}.json"
        file.write_text(json.dumps({**config, "users": [user], "contexts": [context], "current-context": account}))
        return file


def put(api: Api, one: Mapping[str, Any], *, dry_run: bool = False) -> None:
    """Server-side apply, as ``kubectl apply --server-side`` does."""
    metadata = one["metadata"]
    path = path_of(kind_of(one["kind"]), metadata.get("namespace", ""), metadata["name"])
    query = "fieldManager=test&force=true" + ("&dryRun=All" if dry_run else "")
    api.request("PATCH", f"{path}?{query}", one, kind="application/apply-patch+yaml")


def rendered(facility: Facility, file: Path) -> list[dict[str, Any]]:
    return [one for group in manifests(facility, Files(file.name, {file.name: file.read_text()}), Settings()).values() for one in group]


@contextmanager
def site(api: Api, kubeconfig: Path, folder: Path) -> Iterator[Site]:
    """The facility of ``rights.yaml``; nothing of it is left afterwards."""
    facility = load_facility(FILE)
    made = Site(facility, api, kubeconfig, folder)
    try:
        for one in rendered(facility, FILE):
            if one["kind"] not in LEFT_OUT:
                put(api, one)
        for one in (*sources(facility), *definitions()):
            put(api, one)
        for claim in SOURCES:
            api.until(f"/api/v1/namespaces/{made.namespace}/persistentvolumeclaims/{claim}", bound)
        in_force(made)
        yield made
    finally:
        clear(api, facility)


def definitions() -> Iterator[dict[str, Any]]:
    """The definitions of Dask's objects, which belong to the cluster and stay."""
    yield from yaml.load_all(dask_definitions(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def in_force(site: Site) -> None:
    """Wait until the policies are: of each kind that they judge one object that breaks their rules."""
    provisioner = site.call("afkit-namespaces")
    nobody = {"metadata": {"name": "af-rights-nobody"}}
    soon(lambda: denied(lambda: provisioner("POST", "/api/v1/namespaces?dryRun=All", nobody)))
    reference = {"namespace": "x", "name": "x"}
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "claimRef": reference, "nfs": {"server": "x", "path": "/x"}}
    soon(lambda: denied(lambda: provisioner("POST", "/api/v1/persistentvolumes?dryRun=All", {**nobody, "spec": spec})))


def denied(call: Callable[[], object]) -> bool:
    """Whether an admission policy refuses (not the rights, which the API server may not know yet)."""
    try:
        call()
    except ApiError as error:
        return "ValidatingAdmissionPolicy" in str(error)
    return False


def bound(claim: Mapping[str, Any] | None) -> bool:
    return (claim or {}).get("status", {}).get("phase") == "Bound"


def secret(namespace: str, name: str, **data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": "Opaque", "data": encoded}


def sources(facility: Facility) -> Iterator[dict[str, Any]]:
    """What the file names, and things beside it that it does not name."""
    assert facility.kubernetes is not None
    namespace = facility.kubernetes.namespace
    for name in ("object-store", "registry", "unnamed"):
        yield secret(namespace, name, access=f"of {name}")
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "motd", "namespace": namespace}, "data": {"motd": "hello"}}
    for claim, source in SOURCES.items():
        key, value = shared_label(facility, claim)
        labels = {"app.kubernetes.io/part-of": "rights", **({key: value} if claim != "unnamed" else {})}
        reference = {"namespace": namespace, "name": claim}
        spec = {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "", "claimRef": reference, **source}
        yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"rights-{claim}", "labels": labels}, "spec": spec}
        wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}, "storageClassName": ""}
        metadata = {"name": claim, "namespace": namespace}
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": {**wanted, "volumeName": f"rights-{claim}"},
        }


def clear(api: Api, facility: Facility) -> None:
    """Delete everything of the facility."""
    chosen = f"labelSelector=afkit.io%2Ffacility%3D{facility.name}"
    kinds = ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ClusterRoleBinding", "ClusterRole", "PersistentVolume")
    for kind in kinds:
        api.request("DELETE", f"{path_of(kind_of(kind))}?{chosen}")
    api.request("DELETE", f"{path_of(kind_of('PersistentVolume'))}?labelSelector=app.kubernetes.io%2Fpart-of%3Drights")
    names = [one["metadata"]["name"] for one in api.get(f"/api/v1/namespaces?{chosen}").get("items", [])]
    for name in names:
        api.delete(f"/api/v1/namespaces/{name}")
    for name in names:
        api.until(f"/api/v1/namespaces/{name}", lambda found: found is None)


def soon(attempt: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something is so that no watch tells of: that an admission policy or a binding is in force."""
    deadline = time.monotonic() + seconds
    while not attempt():
        assert time.monotonic() < deadline, "not in force in time"
        time.sleep(0.1)


def refused(call: Callable[[], object]) -> str:
    """What the API server says when it refuses; a failure where it does not."""
    try:
        call()
    except ApiError as error:
        assert error.status in (403, 422), error
        return str(error)
    raise AssertionError("the API server took it")
