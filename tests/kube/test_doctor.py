"""``afkit doctor FILE`` against a real API server: all is well with what `render` prints, and each thing that is not is named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from afkit.cli.main import main
from afkit.facility.load import load_facility
from afkit.kube.transport import Call, encode
from afkit.pods.layout import MANIFESTS
from afkit.render.manifests import manifests
from afkit.render.policies import shared_label
from afkit.render.settings import Files, Settings
from afkit.services.namespaces.keeper import Keeper, tenant
from tests.cluster.site import LEFT_OUT, sources
from tools.kubernetes.nodes import fake_node

FILE = Path(__file__).parents[1] / "cluster" / "rights.yaml"


def doctor(control, capsys, *more, user="admin", file=FILE):
    code = main(["doctor", str(file), "--kubeconfig", control.kubeconfig(user=user), "--json", *more])
    report = json.loads(capsys.readouterr().out)
    assert report["where"] == "cluster"
    assert code == (0 if report["good"] else 1)
    return {check["name"]: check for check in report["checks"]}


@pytest.fixture
def facility():
    return load_facility(FILE)


@pytest.fixture
async def standing(kube, facility):
    """What is rendered, what the file names, and a node, as a cluster with controllers would have them."""
    files = Files(FILE.name, {FILE.name: FILE.read_text()})
    rendered = [one for group in manifests(facility, files, Settings()).values() for one in group]
    objects = [one for one in rendered if one["kind"] not in LEFT_OUT or one["kind"] == "Deployment"]
    for one in (*objects, *sources(facility)):
        await apply(kube, one)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    for name in ("afkit-hub", "afkit-proxy", "afkit-namespaces", "afkit-dask"):
        await status(kube, f"/apis/apps/v1/namespaces/rights-system/deployments/{name}", counts)
    for claim in ("data", "secret-data"):
        await status(kube, f"/api/v1/namespaces/rights-system/persistentvolumeclaims/{claim}", {"phase": "Bound"})
    node = {"apiVersion": "v1", "kind": "Node", **fake_node(facility.pools["cpu"], 0)}
    await apply(kube, {**node, "spec": {}})
    await status(kube, f"/api/v1/nodes/{node['metadata']['name']}", {**node["status"], "conditions": [{"type": "Ready", "status": "True"}]})
    drivers = ("cvmfs.csi.cern.ch", "cephfs.example.org")
    for driver in drivers:
        await apply(
            kube, {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": driver}, "spec": {"attachRequired": False}}
        )
    about = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": node["metadata"]["name"]}}
    await apply(kube, {**about, "spec": {"drivers": [{"name": driver, "nodeID": "n"} for driver in drivers]}})
    default = {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    await apply(kube, {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": default, "provisioner": "fast.example.org"})
    return node["metadata"]["name"]


async def apply(kube, one):
    await kube.patch(one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", ""), one, type="apply")


async def status(kube, path, value):
    body = encode({"status": value})
    await kube.transport.send(Call("change", "PATCH", f"{path}/status", "", body=body, content_type="application/merge-patch+json"))


async def in_thread(function, *args, **more):
    return await asyncio.to_thread(function, *args, **more)


async def test_all_is_well(control, standing, capsys):
    checks = await in_thread(doctor, control, capsys)
    assert {name: check["message"] for name, check in checks.items() if check["state"] != "ok"} == {
        "servers": "Nobody has a namespace yet, and the hub has the right to make servers only in these."
    }
    assert {
        "cluster",
        "namespace",
        "pool cpu",
        "storage classes",
        "claims",
        "drivers",
        "secrets",
        "config maps",
        "rendered",
        "deployments",
    } <= checks.keys()
    assert checks["pool cpu"]["message"] == f"1 node ({standing})."
    assert checks["rights of afkit-hub"]["message"] == "All 9 that it needs cluster-wide; no user has a namespace yet."
    assert checks["rights of afkit-namespaces"]["message"].startswith("All ")


async def test_everything_that_is_missing_or_different_is_named(control, kube, standing, capsys):
    where = "rights-system"
    await kube.delete("PersistentVolumeClaim", "data", where)
    await status(kube, f"/api/v1/namespaces/{where}/persistentvolumeclaims/secret-data", {"phase": "Lost"})
    await kube.patch("Secret", "object-store", where, {"data": {"access": None, "other": "eA=="}})
    await kube.delete("Secret", "registry", where)
    await kube.delete("ConfigMap", "motd", where)
    await kube.patch("StorageClass", "fast", "", {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "false"}}})
    await kube.patch("CSINode", standing, "", {"spec": {"drivers": [{"name": "cephfs.example.org", "nodeID": "n"}]}})
    await kube.patch("Node", standing, "", {"spec": {"taints": [{"key": "lab", "value": "x", "effect": "NoSchedule"}]}})
    await kube.delete("ClusterRoleBinding", "afkit-rights-hub")
    await kube.patch("ClusterRole", "afkit-rights-keeper", "", {"rules": []})
    checks = await in_thread(doctor, control, capsys)
    said = {name: (check["state"], check["message"], *check["details"]) for name, check in checks.items() if check["state"] != "ok"}
    assert said.pop("servers")[0] == "unknown"
    assert said.pop("rights of afkit-hub")[:2] == ("bad", "It may not get pods.")
    assert said == {
        "pool cpu": ("bad", f"The taint lab=x:NoSchedule keeps servers away from {standing}: name it under taints."),
        "storage classes": ("bad", "home names no storage_class, and the cluster has no default one."),
        "claims": (
            "bad",
            "The claim data, which the mount data names, is being deleted.",
            "The claim secret-data, which the mount secret-data names, is Lost: it has no volume.",
        ),
        "drivers": ("unknown", "The cluster knows cephfs.example.org, cvmfs.csi.cern.ch; there is no node of a pool to look at."),
        "secrets": ("bad", "The Secret object-store has no key access.", f"There is no Secret registry in the namespace {where}."),
        "config maps": ("bad", f"There is no ConfigMap motd in the namespace {where}."),
        "rendered": (
            "bad",
            "The ClusterRoleBinding afkit-rights-hub is missing.",
            "The ClusterRole afkit-rights-keeper is not what this file renders.",
        ),
    }
    assert all(check["remedy"] for check in checks.values() if check["state"] == "bad")
    await kube.patch("Node", standing, "", {"spec": {"taints": None}})
    drivers = (await in_thread(doctor, control, capsys))["drivers"]
    assert drivers["message"] == f"The CSI driver cvmfs.csi.cern.ch, which cvmfs needs, does not run on {standing}."


async def test_what_may_not_be_seen_is_unknown_and_never_ok(control, standing, capsys):
    checks = await in_thread(doctor, control, capsys, user="nobody")
    states = {name: check["state"] for name, check in checks.items() if name not in ("file", "cluster")}
    assert set(states.values()) == {"unknown"}
    assert "you may not read Secret in rights-system" in checks["secrets"]["message"]


async def test_deployments_that_do_not_run_are_named_with_the_cause(control, kube, standing, capsys):
    where = "rights-system"
    path = f"/apis/apps/v1/namespaces/{where}/deployments"
    await status(kube, f"{path}/afkit-hub", {"availableReplicas": 0, "updatedReplicas": 1})
    labels = {"app.kubernetes.io/managed-by": "afkit", "afkit.io/facility": "rights", "app.kubernetes.io/component": "hub"}
    container = {"name": "hub", "image": "registry.example.org/hub:1"}
    tight = {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    spec = {"containers": [container | tight], "nodeName": standing, "serviceAccountName": "afkit-hub"}
    spec["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hub-1", "namespace": where, "labels": labels}, "spec": spec}
    await kube.create(pod)
    waits = {"reason": "ImagePullBackOff", "message": "manifest unknown"}
    state = {**container, "imageID": "", "ready": False, "restartCount": 0, "state": {"waiting": waits}}
    await status(kube, f"/api/v1/namespaces/{where}/pods/hub-1", {"phase": "Pending", "containerStatuses": [state]})
    await kube.patch("Deployment", "afkit-proxy", where, {"spec": {"replicas": 0}})
    await kube.delete("Deployment", "afkit-namespaces", where)
    try:
        check = (await in_thread(doctor, control, capsys))["deployments"]
    finally:
        await kube.delete("Pod", "hub-1", where, grace=0)
    assert (check["state"], check["message"], *check["details"]) == (
        "bad",
        "The Deployment afkit-hub is not available. "
        "The image registry.example.org/hub:1 cannot be pulled: the registry does not have it (any more).",
        f"The Deployment afkit-proxy is scaled to nothing: kubectl -n {where} scale deployment afkit-proxy --replicas=1",
        f"There is no Deployment afkit-namespaces in the namespace {where}.",
    )


async def test_a_server_of_each_kind_is_tried_as_the_hub_and_nothing_is_made(control, kube, standing, facility, capsys, tmp_path):
    person = tenant(facility, "ada", "hub", "ada", ("readers",))
    await Keeper(kube, MANIFESTS).ensure(facility, person)
    try:
        tried = (await in_thread(doctor, control, capsys))["servers"]
        assert (tried["state"], tried["message"]) == (
            "ok",
            f"The API server would take all 1 kinds of server from the hub in {person.namespace}.",
        )
        text = FILE.read_text().replace(
            "profiles: {",
            "profiles: {ranked: {allow: everyone, pools: [cpu, gpu], images: [one], sizes: [one], "
            "pod: {spec: {priorityClassName: gold}}}, ",
        )
        text = text.replace("pools: {", "pools: {gpu: {arch: amd64, runtime_class: kata}, ")
        file = tmp_path / "facility.yaml"
        file.write_text(text)
        checks = await in_thread(doctor, control, capsys, file=file)
        assert checks["priority classes"]["message"] == "There is no PriorityClass gold, which profile ranked names."
        assert checks["runtime classes"]["message"] == "There is no RuntimeClass kata, which pool gpu names."
        assert (checks["servers"]["message"], *checks["servers"]["details"]) == (
            "A server of profile ranked on pool cpu would be refused. The cluster has no priority class gold, which this choice asks for.",
            "A server of profile ranked on pool gpu would be refused. The cluster has no priority class gold, which this choice asks for.",
        )
        assert "The ConfigMap afkit-facility is not what this file renders." in (
            checks["rendered"]["message"],
            *checks["rendered"]["details"],
        )
        # without its right in the namespace the hub could start nothing
        await kube.delete("RoleBinding", "afkit-sessions", person.namespace)
        refused = (await in_thread(doctor, control, capsys))["servers"]
        assert refused["state"] == "bad"
        assert "cannot create resource" in refused["message"]
        assert (await kube.list("Pod", person.namespace))["items"] == []
        # whoever may see everything and not act as the hub cannot know
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "seer"}, "rules": rules}
        subjects = [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "seer"}
        await apply(kube, role)
        await apply(
            kube,
            {key: role[key] for key in ("apiVersion", "metadata")}
            | {"kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects},
        )
        seer = (await in_thread(doctor, control, capsys, user="nobody"))["servers"]
        assert (seer["state"], seer["message"]) == ("unknown", "Whether this is right is not known: you may not act as the facility's hub.")
    finally:
        await kube.delete("ClusterRoleBinding", "seer")
        await kube.delete("Namespace", person.namespace)


async def test_a_volume_that_is_not_shared_and_another_file_in_the_cluster_are_named(control, kube, standing, facility, capsys):
    key, value = shared_label(facility, "secret-data")
    await kube.patch("PersistentVolume", "rights-secret-data", "", {"metadata": {"labels": {key: None}}})
    await kube.patch("ConfigMap", "afkit-facility", "rights-system", {"data": {FILE.name: "version: 1"}})
    checks = await in_thread(doctor, control, capsys)
    sentence = "The volume behind the claim secret-data is not marked as shared with users: kubectl label pv rights-secret-data"
    assert f"{sentence} {key}={value}" in (checks["claims"]["message"], *checks["claims"]["details"])
    assert checks["rendered"]["message"] == "The ConfigMap afkit-facility is not what this file renders."


async def test_nodes_of_another_architecture_are_named(control, kube, standing, capsys, tmp_path):
    file = tmp_path / "facility.yaml"
    file.write_text(FILE.read_text().replace("pools: {cpu: {arch: amd64}}", 'pools: {cpu: {arch: amd64, node_selector: {room: "1"}}}'))
    await kube.patch("Node", standing, "", {"metadata": {"labels": {"kubernetes.io/arch": "arm64", "room": "1"}}})
    checks = await in_thread(doctor, control, capsys, file=file)
    assert checks["pool cpu"]["message"] == f"The file says that its nodes are amd64; {standing}: arm64."


async def test_no_cluster_there(control, capsys):
    file = control.kubeconfig(9)
    code = await in_thread(main, ["doctor", str(FILE), "--kubeconfig", file])
    printed = capsys.readouterr().out
    assert code == 1
    assert "cannot be reached (Connection refused)" in " ".join(printed.split())
