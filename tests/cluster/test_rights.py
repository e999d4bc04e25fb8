"""What each identity can not do, tried with its own token; and what it can, compared with the table of the security page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afkit.kube.client import Kubernetes
from afkit.kube.kinds import kind_of, path_of
from afkit.pods.layout import MANIFESTS
from afkit.render.manifests import manifests
from afkit.render.policies import policies
from afkit.render.table import CLUSTER, HUB_NAMESPACE, USER_NAMESPACE, rights_table
from afkit.render.z2jh import objects as objects_of_z2jh
from afkit.services.namespaces.keeper import Keeper, Tenant, tenant
from tests.cluster.calls import caller
from tests.cluster.site import Site, denied, in_force, put, refused, secret, site as whole_site, soon
from tests.unit.render.rendering import SETTINGS, files, loaded
from tools.kubernetes.api import Api, ApiError
from tools.kubernetes.cluster import Cluster

HUB, PROVISIONER, DASK, SESSION = "afkit-hub", "afkit-namespaces", "afkit-dask", "afkit-session"
OTHER = "rights-stranger"
Call = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def site(api: Api, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with whole_site(api, kubeconfig, tmp_path_factory.mktemp("identities")) as made:
        labels = {"afkit.io/facility": "rights"}
        put(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OTHER, "labels": labels}})
        put(api, secret(OTHER, "treasure", key="value"))
        yield made


@pytest.fixture(scope="module")
def ada(site: Site) -> Tenant:
    """Somebody whose namespace stands."""
    person = tenant(site.facility, "ada", "hub", "ada", ("readers",))

    async def ensure() -> None:
        async with await Kubernetes.connect(str(site.identity(PROVISIONER))) as kube:
            await Keeper(kube, MANIFESTS).ensure(site.facility, person)

    asyncio.run(ensure())
    hub = site.call(HUB)
    soon(lambda: _taken(lambda: hub("GET", f"/api/v1/namespaces/{person.namespace}/persistentvolumeclaims/afkit-data")))
    return person


def _taken(call: Callable[[], object]) -> bool:
    try:
        call()
    except ApiError:
        return False
    return True


@pytest.fixture(scope="module")
def hub(site: Site) -> Call:
    return site.call(HUB)


@pytest.fixture(scope="module")
def provisioner(site: Site) -> Call:
    return site.call(PROVISIONER)


@pytest.fixture(scope="module")
def server(site: Site, ada: Tenant) -> Call:
    """A server that got hold of a token of the API server's audience, which none has."""
    return site.call(SESSION, ada.namespace)


def rules(call: Call, namespace: str) -> set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """What ``kubectl auth can-i --list`` shows: (group, resource, verbs, names)."""
    asked = {"spec": {"namespace": namespace}, "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    status = call("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", asked)["status"]
    return {
        (group, resource, tuple(sorted(rule["verbs"])), tuple(sorted(rule.get("resourceNames", []))))
        for rule in status["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def of_table(site: Site, identity: str, *places: str) -> set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return {
        (right.group, right.resource, tuple(sorted(right.verbs)), tuple(sorted(right.names)))
        for right in rights_table(site.facility, MANIFESTS)
        if right.identity == identity and right.place in places
    }


@pytest.mark.parametrize("identity", [HUB, PROVISIONER, DASK, SESSION])
def test_what_is_allowed_is_exactly_the_table(site: Site, ada: Tenant, identity: str) -> None:
    call = site.call(identity, ada.namespace if identity == SESSION else "")
    everybody = rules(site.call("default"), OTHER)
    for namespace, places in {
        OTHER: (CLUSTER,),
        "kube-system": (CLUSTER,),
        site.namespace: (CLUSTER, HUB_NAMESPACE),
        ada.namespace: (CLUSTER, USER_NAMESPACE),
    }.items():
        assert rules(call, namespace) - everybody == of_table(site, identity, *places), namespace


@pytest.mark.parametrize("target", ["manifests", "z2jh"])
@pytest.mark.parametrize("name", ["example", "wide", "together"])
def test_every_rendered_object_passes_the_validation_of_the_api_server(site: Site, name: str, target: str) -> None:
    objects = _moved(name, target)
    places = {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]}
    try:
        for place in places:
            put(site.api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
        for one in objects:
            put(site.api, one, dry_run=True)
    finally:
        for place in places:
            site.api.delete(f"/api/v1/namespaces/{place}")


def _moved(name: str, target: str) -> list[dict[str, Any]]:
    """The objects of a facility in namespaces of this test's own: those of the file may be somebody's."""
    facility = loaded(name)
    assert facility.kubernetes is not None
    shared = facility.kubernetes.user_namespaces
    own = f"dry-{name}-{target}"
    moved = replace(facility.kubernetes, namespace=own, user_namespaces=shared if shared == "per-user" else f"{own}-people")
    render = {"manifests": manifests, "z2jh": objects_of_z2jh}[target]
    return [one for group in render(replace(facility, kubernetes=moved), files(name), SETTINGS).values() for one in group]


def test_the_api_server_has_no_doubt_about_the_policies(site: Site) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    for name in ("namespaces", "volumes", "shared", "clusters"):
        found = site.api.until(f"{path}/afkit-rights-{name}", lambda one: "observedGeneration" in (one or {}).get("status", {}))
        assert found is not None
        assert not found["status"].get("typeChecking", {}).get("expressionWarnings"), name


def pod(name: str = "one", **spec: Any) -> dict[str, Any]:
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "notebook", "image": "one", "securityContext": context, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    whole = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": SESSION,
            "securityContext": whole,
            "containers": [{**container, **spec.pop("container", {})}],
            **spec,
        },
    }


def test_the_hub_starts_servers_in_a_users_namespace(hub: Call, ada: Tenant) -> None:
    base = f"/api/v1/namespaces/{ada.namespace}"
    hub("POST", f"{base}/pods?dryRun=All", pod())
    hub("POST", f"{base}/secrets?dryRun=All", secret(ada.namespace, "jupyter-ada-hub", token="x"))
    hub("GET", "/api/v1/pods?limit=1")
    hub("GET", "/api/v1/nodes?limit=1")


@pytest.mark.parametrize("namespace", ["own", OTHER, "kube-system", "default"])
def test_the_hub_makes_and_changes_nothing_elsewhere(site: Site, hub: Call, ada: Tenant, namespace: str) -> None:
    base = f"/api/v1/namespaces/{site.namespace if namespace == 'own' else namespace}"
    refused(lambda: hub("POST", f"{base}/pods?dryRun=All", pod(serviceAccountName="default")))
    refused(lambda: hub("DELETE", f"{base}/pods/one?dryRun=All"))
    refused(lambda: hub("GET", f"{base}/secrets"))
    refused(lambda: hub("GET", f"{base}/secrets/{'afkit-hub' if namespace == 'own' else 'treasure'}"))
    refused(lambda: hub("POST", f"{base}/secrets?dryRun=All", {"metadata": {"name": "x"}}))
    refused(lambda: hub("POST", f"{base}/persistentvolumeclaims?dryRun=All", {"metadata": {"name": "x"}}))


def test_the_hub_has_no_way_to_more(site: Site, hub: Call, ada: Tenant) -> None:
    binding = {
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": HUB, "namespace": site.namespace}],
    }
    user = f"namespaces/{ada.namespace}"
    attempts: list[tuple[str, str, object]] = [
        ("POST", f"/apis/rbac.authorization.k8s.io/v1/{user}/rolebindings?dryRun=All", binding),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?dryRun=All", binding),
        ("POST", "/api/v1/namespaces?dryRun=All", {"metadata": {"name": "af-rights-x"}}),
        ("POST", f"/api/v1/namespaces/{site.namespace}/serviceaccounts/{PROVISIONER}/token", {"spec": {}}),
        ("POST", f"/api/v1/{user}/serviceaccounts/{SESSION}/token", {"spec": {}}),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}),
        ("POST", "/api/v1/persistentvolumes?dryRun=All", {"metadata": {"name": "x"}}),
        ("GET", f"/api/v1/{user}/secrets", None),
        ("POST", f"/api/v1/{user}/pods/one/exec?command=id", None),
        ("DELETE", f"/api/v1/{user}?dryRun=All", None),
        ("DELETE", "/api/v1/nodes/one?dryRun=All", None),
    ]
    for method, path, body in attempts:
        refused(lambda method=method, path=path, body=body: hub(method, path, body))  # type: ignore[misc]
    patch = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    refused(lambda: hub("PATCH", f"/api/v1/{user}", patch, kind="application/merge-patch+json"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"container": {"securityContext": {"privileged": True}}},
        {"hostNetwork": True},
        {"hostPID": True},
        {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
        {"securityContext": {"runAsUser": 0}},
    ],
)
def test_a_pod_below_the_level_is_refused_whoever_asks(site: Site, hub: Call, ada: Tenant, wrong: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{ada.namespace}/pods?dryRun=All"
    assert "PodSecurity" in refused(lambda: hub("POST", path, pod(**wrong)))
    assert "PodSecurity" in refused(lambda: site.api.request("POST", path, pod(**wrong)))


def test_more_than_the_limits_is_refused_by_the_quota(hub: Call, ada: Tenant) -> None:
    large = pod(container={"resources": {"requests": {"cpu": "9", "memory": "1Gi"}}})
    assert "exceeded quota" in refused(lambda: hub("POST", f"/api/v1/namespaces/{ada.namespace}/pods?dryRun=All", large))


def test_a_side_container_without_requests_is_taken(hub: Call, ada: Tenant) -> None:
    with_side = pod()
    [main] = with_side["spec"]["containers"]
    with_side["spec"]["containers"].append({**main, "name": "side", "resources": {}})
    hub("POST", f"/api/v1/namespaces/{ada.namespace}/pods?dryRun=All", with_side)


def test_the_provisioner_reads_the_secrets_that_the_file_names_and_no_others(site: Site, provisioner: Call, ada: Tenant) -> None:
    base = f"/api/v1/namespaces/{site.namespace}"
    provisioner("GET", f"{base}/secrets/object-store")
    refused(lambda: provisioner("GET", f"{base}/secrets/unnamed"))
    refused(lambda: provisioner("GET", f"{base}/secrets"))
    refused(lambda: provisioner("GET", f"/api/v1/namespaces/{OTHER}/secrets/object-store"))
    refused(lambda: provisioner("GET", f"/api/v1/namespaces/{ada.namespace}/secrets"))
    refused(lambda: provisioner("GET", f"/api/v1/namespaces/{ada.namespace}/secrets/jupyter-ada-hub"))
    refused(lambda: provisioner("PATCH", *_apply(secret(site.namespace, "object-store", access="changed")), kind=APPLY))


APPLY = "application/apply-patch+yaml"


def _apply(one: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    metadata = one["metadata"]
    path = path_of(kind_of(one["kind"]), metadata.get("namespace", ""), metadata["name"])
    return f"{path}?fieldManager=test&force=true&dryRun=All", one


def test_the_provisioner_starts_nothing(site: Site, provisioner: Call, ada: Tenant) -> None:
    for namespace in (ada.namespace, site.namespace, OTHER):
        refused(lambda namespace=namespace: provisioner("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod()))  # type: ignore[misc]
        refused(lambda namespace=namespace: provisioner("DELETE", f"/api/v1/namespaces/{namespace}?dryRun=All"))  # type: ignore[misc]
    refused(lambda: provisioner("POST", f"/api/v1/namespaces/{site.namespace}/serviceaccounts/{HUB}/token", {"spec": {}}))


def namespace_of(name: str, owner: str, level: str = "restricted", **labels: str) -> dict[str, Any]:
    own = {"app.kubernetes.io/managed-by": "afkit", "afkit.io/facility": "rights", "afkit.io/owner": owner}
    metadata = {"name": name, "labels": {**own, "pod-security.kubernetes.io/enforce": level, **labels}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


OWNER = "a" * 26


def test_the_provisioner_makes_namespaces_of_one_form_and_level(provisioner: Call, ada: Tenant) -> None:
    def make(one: dict[str, Any]) -> dict[str, Any]:
        return provisioner("PATCH", *_apply(one), kind=APPLY)

    make(namespace_of(f"af-rights-{OWNER}", OWNER))
    wrong = [
        namespace_of("kube-system", OWNER),
        namespace_of("default", OWNER),
        namespace_of(OTHER, OWNER),
        namespace_of("rights-more", OWNER),
        namespace_of(f"af-rights-{OWNER}", "b" * 26),
        namespace_of("af-rights-short", "short"),
        namespace_of(f"af-other-{OWNER}", OWNER, **{"afkit.io/facility": "other"}),
        namespace_of(f"af-rights-{OWNER}", OWNER, "privileged"),
        namespace_of(f"af-rights-{OWNER}", OWNER, "baseline"),
        namespace_of(ada.namespace, ada.owner, "privileged"),
        namespace_of(ada.namespace, ada.owner, **{"pod-security.kubernetes.io/enforce-version": "v1.0"}),
        namespace_of(ada.namespace, "b" * 26),
    ]
    for one in wrong:
        assert "ValidatingAdmissionPolicy" in refused(lambda one=one: make(one)), one  # type: ignore[misc]
    lifted: dict[str, Any] = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}
    path = f"/api/v1/namespaces/{ada.namespace}?dryRun=All"
    refused(lambda: provisioner("PATCH", path, lifted, kind="application/merge-patch+json"))


def binding_of(place: str, name: str = "afkit-sessions", role: str = "afkit-rights-sessions", **subject: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": place},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": HUB, "namespace": "rights-system", **subject}],
    }


def test_the_provisioner_binds_each_role_to_its_account_in_users_namespaces(site: Site, provisioner: Call) -> None:
    def bind(one: dict[str, Any]) -> dict[str, Any]:
        return provisioner("PATCH", *_apply(one), kind=APPLY)

    fresh = f"af-rights-{OWNER}"
    put(site.api, namespace_of(fresh, OWNER))
    bind(binding_of(fresh))
    clusters = binding_of(fresh, "afkit-clusters", "afkit-rights-clusters")
    refused(lambda: bind(clusters))
    clusters["subjects"][0]["name"] = DASK
    bind(clusters)
    wrong = [
        binding_of(fresh, role="afkit-rights-dask"),
        binding_of(fresh, role="cluster-admin"),
        binding_of(fresh, role="admin"),
        binding_of(fresh, role="afkit-rights-namespaces"),
        binding_of(fresh, name="another"),
        binding_of(fresh, role="afkit-rights-keeper"),
        binding_of(fresh, kind="User", apiGroup="rbac.authorization.k8s.io"),
        binding_of(fresh, namespace="default"),
        binding_of(site.namespace),
        binding_of(OTHER),
        binding_of("kube-system"),
        binding_of("default"),
    ]
    for one in wrong:
        refused(lambda one=one: bind(one))  # type: ignore[misc]
    several = binding_of(fresh)
    several["subjects"].append({"kind": "ServiceAccount", "name": "default", "namespace": "default"})
    refused(lambda: bind(several))
    keeper = binding_of("kube-system", "afkit-keeper", "afkit-rights-keeper")
    keeper["subjects"][0]["name"] = PROVISIONER
    refused(lambda: bind(keeper))
    cluster = {**binding_of(""), "kind": "ClusterRoleBinding", "metadata": {"name": "afkit-sessions"}}
    refused(lambda: provisioner("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?dryRun=All", cluster))
    refused(lambda: provisioner("PATCH", f"{path_of(kind_of('ClusterRole'), '', 'afkit-rights-keeper')}?dryRun=All", {}, kind=APPLY))


def cluster_of(**spec: Any) -> dict[str, Any]:
    pods = {"containers": [{"name": "one", "image": "one"}]}
    service = {"selector": {"a": "b"}, "ports": [{"name": "tcp-comm", "protocol": "TCP", "port": 8786, "targetPort": "tcp-comm"}]}
    worker = {"replicas": spec.pop("replicas", 0), "spec": pods}
    return {"worker": worker, "scheduler": {"spec": pods, "service": service}, **spec}


def dask_object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "kubernetes.dask.org/v1", "kind": kind, "metadata": {"name": "mine"}, "spec": spec}


def test_clusters_are_the_dask_services_to_scale_and_end(site: Site, ada: Tenant) -> None:
    """Whoever asks: an operator beside it finds nothing that would make it call a scheduler."""

    def post(kind: str, spec: dict[str, Any], namespace: str = ada.namespace) -> dict[str, Any]:
        path = f"/apis/kubernetes.dask.org/v1/namespaces/{namespace}/{kind.lower()}s?dryRun=All"
        return site.api.request("POST", path, dask_object(kind, spec))

    job = {"job": {"spec": {"containers": []}}, "cluster": {"spec": cluster_of()}}
    scaled = {"cluster": "mine", "minimum": 0, "maximum": 10}
    group = {"cluster": "mine", "worker": cluster_of()["worker"]}
    more = {**group, "worker": cluster_of(replicas=1)["worker"]}
    soon(lambda: denied(lambda: post("DaskCluster", cluster_of(replicas=1))))
    wrong = [
        ("DaskCluster", cluster_of(idleTimeout=60)),
        ("DaskCluster", cluster_of(replicas=3)),
        ("DaskWorkerGroup", more),
        ("DaskAutoscaler", scaled),
        ("DaskJob", job),
    ]
    for kind, spec in wrong:
        assert "Dask service" in refused(lambda kind=kind, spec=spec: post(kind, spec)), kind  # type: ignore[misc]
    post("DaskCluster", cluster_of(idleTimeout=0))
    post("DaskCluster", cluster_of())
    post("DaskWorkerGroup", group)
    # what a site does elsewhere is the site's
    for kind, spec in wrong:
        post(kind, spec, OTHER)


def test_the_dask_service_makes_clusters_in_users_namespaces_and_nothing_elsewhere(site: Site, ada: Tenant) -> None:
    call = site.call(DASK)
    dask = "/apis/kubernetes.dask.org/v1"
    soon(
        lambda: _taken(
            lambda: call("POST", f"{dask}/namespaces/{ada.namespace}/daskclusters?dryRun=All", dask_object("DaskCluster", cluster_of()))
        )
    )
    call("POST", f"/api/v1/namespaces/{ada.namespace}/pods?dryRun=All", pod())
    call("GET", f"{dask}/daskclusters?limit=1")
    user = f"/api/v1/namespaces/{ada.namespace}"
    attempts: list[tuple[str, str, object]] = [
        ("GET", f"{user}/secrets", None),
        ("DELETE", f"{user}/secrets/object-store?dryRun=All", None),
        ("GET", f"{user}/services", None),
        ("GET", f"/apis/apps/v1/namespaces/{ada.namespace}/deployments", None),
        ("POST", f"{user}/persistentvolumeclaims?dryRun=All", {"metadata": {"name": "x"}}),
        ("POST", f"{user}/pods/one/exec?command=id", None),
        ("POST", f"{user}/serviceaccounts/{SESSION}/token", {"spec": {}}),
        ("DELETE", f"{user}?dryRun=All", None),
        ("POST", f"{dask}/namespaces/{ada.namespace}/daskautoscalers?dryRun=All", dask_object("DaskAutoscaler", {})),
        ("POST", f"{dask}/namespaces/{OTHER}/daskclusters?dryRun=All", dask_object("DaskCluster", cluster_of())),
        *[("POST", f"/api/v1/namespaces/{place}/pods?dryRun=All", pod()) for place in (site.namespace, OTHER, "kube-system")],
        ("GET", f"/api/v1/namespaces/{site.namespace}/secrets/afkit-hub", None),
        ("GET", f"/api/v1/namespaces/{OTHER}/secrets/treasure", None),
    ]
    for method, path, body in attempts:
        refused(lambda method=method, path=path, body=body: call(method, path, body))  # type: ignore[misc]


def volume_of(person: Tenant, mount: str, claim: str = "", **spec: Any) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/managed-by": "afkit",
        "afkit.io/facility": "rights",
        "afkit.io/owner": person.owner,
        "afkit.io/mount": mount,
    }
    reference = {"namespace": person.namespace, "name": claim or f"afkit-{mount}"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{person.namespace}-{mount}", "labels": labels},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "claimRef": reference,
            "persistentVolumeReclaimPolicy": "Retain",
            **spec,
        },
    }


DATA = {"nfs": {"server": "nfs.example.org", "path": "/data"}, "mountOptions": ["nfsvers=4.2"]}
EXPORT = {"nfs": {"server": "nfs.example.org", "path": "/people/ada"}}
CEPH = {
    "driver": "cephfs.example.org",
    "volumeHandle": "one",
    "volumeAttributes": {"share": "a"},
    "nodeStageSecretRef": {"name": "ceph", "namespace": "ceph"},
}
RIGHT: list[tuple[str, dict[str, Any]]] = [("data", DATA), ("export", EXPORT), ("ceph", {"csi": CEPH})]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("data", {"nfs": {"server": "nfs.example.org", "path": "/"}, "mountOptions": ["nfsvers=4.2"]}),
    ("data", {"nfs": {"server": "evil.example.org", "path": "/data"}, "mountOptions": ["nfsvers=4.2"]}),
    ("data", {**DATA, "mountOptions": ["suid"]}),
    ("data", {"nfs": DATA["nfs"]}),
    ("data", {"hostPath": {"path": "/"}}),
    ("data", {"csi": CEPH}),
    ("secret-data", DATA),
    ("unnamed", {"nfs": {"server": "nfs.example.org", "path": "/unnamed"}}),
    ("export", {"nfs": {"server": "nfs.example.org", "path": "/people"}}),
    ("export", {"nfs": {"server": "nfs.example.org", "path": "/people/../data"}}),
    ("export", {"nfs": {"server": "nfs.example.org", "path": "/people/ada/x"}}),
    ("export", {**EXPORT, "mountOptions": ["suid"]}),
    ("export", {"hostPath": {"path": "/people/ada"}}),
    ("ceph", {"csi": {**CEPH, "volumeHandle": "two"}}),
    ("ceph", {"csi": {**CEPH, "volumeAttributes": {"share": "b"}}}),
    ("ceph", {"csi": {**CEPH, "volumeAttributes": {"share": "a", "more": "x"}}}),
    ("ceph", {"csi": {**CEPH, "nodeStageSecretRef": {"name": "other", "namespace": "kube-system"}}}),
    ("ceph", {"csi": {**CEPH, "nodePublishSecretRef": {"name": "other", "namespace": "kube-system"}}}),
    ("cvmfs", {"csi": {"driver": "cephfs.example.org", "volumeHandle": "one"}}),
    ("cvmfs", {"hostPath": {"path": "/cvmfs"}}),
    ("hostpath", {"hostPath": {"path": "/"}}),
]


def other_person(site: Site) -> Tenant:
    return tenant(site.facility, "emmy", "hub", "emmy")


def test_the_provisioner_makes_static_volumes_of_the_files_sources(site: Site, provisioner: Call) -> None:
    person = other_person(site)
    for mount, source in RIGHT:
        provisioner("POST", "/api/v1/persistentvolumes?dryRun=All", volume_of(person, mount, **source))


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_and_of_no_others(site: Site, provisioner: Call, case: int) -> None:
    mount, source = WRONG[case]
    said = refused(lambda: provisioner("POST", "/api/v1/persistentvolumes?dryRun=All", volume_of(other_person(site), mount, **source)))
    assert "ValidatingAdmissionPolicy" in said or "policy binding" in said, said


def test_a_static_volume_is_for_the_namespace_of_its_owner_and_stays(site: Site, provisioner: Call, ada: Tenant) -> None:
    person = other_person(site)
    elsewhere = volume_of(person, "export", **EXPORT)
    elsewhere["spec"]["claimRef"] = {"namespace": "kube-system", "name": "x"}
    nowhere = volume_of(person, "export", **EXPORT)
    del nowhere["spec"]["claimRef"]
    deleted = volume_of(person, "export", persistentVolumeReclaimPolicy="Delete", **EXPORT)
    named = volume_of(person, "export", **EXPORT)
    named["metadata"]["name"] = "another"
    for one in (elsewhere, nowhere, deleted, named):
        refused(lambda one=one: provisioner("POST", "/api/v1/persistentvolumes?dryRun=All", one))  # type: ignore[misc]
    patch = "application/merge-patch+json"
    own = {
        "afkit.io/owner": person.owner,
        "afkit.io/facility": "rights",
        "app.kubernetes.io/managed-by": "afkit",
        "afkit.io/mount": "export",
    }
    for name, change in {
        "rights-unnamed": {"metadata": {"labels": own}},
        "rights-data": {"spec": {"claimRef": None}},
        f"{ada.namespace}-data": {"spec": {"claimRef": {"namespace": person.namespace}}},
    }.items():
        refused(lambda name=name, change=change: provisioner("PATCH", f"/api/v1/persistentvolumes/{name}?dryRun=All", change, kind=patch))  # type: ignore[misc]


def test_without_the_mark_of_an_administrator_no_claim_is_shared(site: Site, provisioner: Call) -> None:
    person = other_person(site)
    key = "rights.afkit.io/claim"
    path = "/api/v1/persistentvolumes?dryRun=All"
    try:
        site.api.merge("/api/v1/persistentvolumes/rights-data", {"metadata": {"labels": {key: None}}})
        site.api.merge("/api/v1/persistentvolumes/rights-unnamed", {"metadata": {"labels": {key: "data"}}})
        unnamed = {"nfs": {"server": "nfs.example.org", "path": "/unnamed"}}
        soon(lambda: not _taken(lambda: provisioner("POST", path, volume_of(person, "data", **DATA))))
        refused(lambda: provisioner("POST", path, volume_of(person, "data", **unnamed)))
    finally:
        site.api.merge("/api/v1/persistentvolumes/rights-unnamed", {"metadata": {"labels": {key: None}}})
        site.api.merge("/api/v1/persistentvolumes/rights-data", {"metadata": {"labels": {key: "data"}}})


def test_a_server_may_nothing_even_with_a_token(site: Site, server: Call, ada: Tenant) -> None:
    user = f"/api/v1/namespaces/{ada.namespace}"
    for path in (f"{user}/pods", f"{user}/secrets/object-store", f"{user}/persistentvolumeclaims", "/api/v1/nodes", "/api/v1/namespaces"):
        refused(lambda path=path: server("GET", path))  # type: ignore[misc]
    refused(lambda: server("POST", f"{user}/pods?dryRun=All", pod()))
    refused(lambda: server("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}))


def test_a_token_for_the_services_opens_no_api_server(site: Site, ada: Tenant) -> None:

    file = site.identity(SESSION, ada.namespace)
    config = json.loads(file.read_text())
    config["users"][0]["user"]["token"] = site.token(SESSION, ada.namespace, "afkit-services")
    file.write_text(json.dumps(config))
    with pytest.raises(ApiError) as caught:
        caller(file)("GET", "/api/v1/namespaces")
    assert caught.value.status == 401


def test_with_audit_what_breaks_a_rule_is_let_through_and_noted(site: Site, provisioner: Call, cluster: Cluster) -> None:
    """Last of this file: for a moment the facility's policies refuse nothing."""
    facility, begin = site.facility, cluster.layout.audit.stat().st_size
    assert facility.kubernetes is not None
    audited = replace(facility, kubernetes=replace(facility.kubernetes, policies="audit"))
    bindings = [one for one in policies(audited, MANIFESTS) if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    path, person = "/api/v1/persistentvolumes?dryRun=All", other_person(site)
    try:
        for one in bindings:
            put(site.api, one)
        for mount, source in WRONG:
            soon(lambda mount=mount, source=source: _taken(lambda: provisioner("POST", path, volume_of(person, mount, **source))))  # type: ignore[misc]
        with cluster.layout.audit.open("rb") as log:
            log.seek(begin)
            events = [json.loads(line) for line in log.read().rpartition(b"\n")[0].splitlines()]
        noted = [one["annotations"]["validation.policy.admission.k8s.io/validation_failure"] for one in events if _let_through(one)]
        assert len(noted) >= len(WRONG)
        assert all('"policy":"afkit-rights' in one for one in noted), noted[0]
    finally:
        for one in policies(facility, MANIFESTS):
            put(site.api, one)
        in_force(site)


def _let_through(event: Mapping[str, Any]) -> bool:
    """Whether a call was answered although a policy judged against it."""
    about = event.get("annotations") or {}
    return event["responseStatus"]["code"] < 400 and "validation.policy.admission.k8s.io/validation_failure" in about
