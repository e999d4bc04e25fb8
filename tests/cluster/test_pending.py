"""Every cause for which a server does not start is provoked on a real cluster, and told in plain words by afkit's own watches."""

from __future__ import annotations

import asyncio
import datetime
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from afkit.errors import KubernetesError
from afkit.facility.model import Accelerator, NodeSize, Pool
from afkit.kube.deadline import Deadline
from afkit.kube.pending import explain_refusal
from afkit.kube.transport import Call, encode
from afkit.kube.watch import SharedWatch
from tests.cluster.seen import Seen, seeing
from tools.kubernetes import standins
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.nodes import FAKE, fake_node

GPU = "nvidia.com/gpu"
FAKES = ({"key": FAKE, "operator": "Exists"},)


def pool(name: str, **more: Any) -> Pool:
    """A pool of fake nodes that no other test has."""
    label = {f"pending.example.org/{name}": secrets.token_hex(4)}
    more.setdefault("node", NodeSize(4000, 8 << 30))
    return Pool(name=name, title=name, arch="amd64", node_selector=label, tolerations=FAKES, **more)


def node_of(pool: Pool, number: int = 0, **spec: Any) -> dict[str, Any]:
    made: dict[str, Any] = {**fake_node(pool, number)}
    made["metadata"] = {**made["metadata"], "name": f"pending-{pool.name}-{number}-{secrets.token_hex(3)}"}
    made["spec"] = {**made.get("spec", {}), **spec}
    return {"apiVersion": "v1", "kind": "Node", **made}


def on(pool: Pool, cpu: str = "1", **more: str) -> dict[str, Any]:
    """The parts of a pod that bind it to a pool and ask for something."""
    requests = {"cpu": cpu, "memory": "1Gi", **more}
    return {
        "container": {"resources": {"requests": requests, "limits": more}},
        "nodeSelector": dict(pool.node_selector),
        "tolerations": [dict(one) for one in pool.tolerations],
    }


@pytest.fixture
async def seen(kubeconfig: Path, busybox: str) -> AsyncIterator[Seen]:
    async with seeing(str(kubeconfig), f"pending-{secrets.token_hex(4)}") as made:
        yield made


async def test_no_node_of_the_pool_is_free(kubeconfig: Path) -> None:
    unit = Accelerator(vendor="nvidia", resource=GPU, per_node=4)
    full = pool("full", accelerator=unit)
    nodes = [node_of(full, 0), node_of(full, 1)]
    async with seeing(str(kubeconfig), f"pending-{secrets.token_hex(4)}", nodes) as seen:
        for number in range(2):
            await seen.make(f"taken-{number}", **on(full, **{GPU: "4"}))
        await seen.told("taken-1", "ready", pool=full)
        await seen.make("late", **on(full, **{GPU: "1"}))
        found = await seen.told("late", "no-node", "The pool has 2 nodes: each has 0 of 4 nvidia.com/gpu free.", full)
        assert not found.final
        await seen.make("huge", **on(full, "64"))
        found = await seen.told("huge", "too-large", "each has only 4 CPU in all", full)
        assert (found.who, found.final) == ("you", True)
        # room comes, and it starts by itself
        await seen.kube.delete("Pod", "taken-0", seen.namespace, grace=0)
        await seen.told("late", "ready", pool=full)


async def test_a_pool_without_nodes_and_one_with_a_taint(kubeconfig: Path) -> None:
    empty, tainted = pool("empty"), pool("tainted")
    node = node_of(tainted)
    node["spec"]["taints"] = [*node["spec"]["taints"], {"key": "lab.example.org/private", "value": "yes", "effect": "NoSchedule"}]
    async with seeing(str(kubeconfig), f"pending-{secrets.token_hex(4)}", [node]) as seen:
        await seen.make("a", **on(empty))
        found = await seen.told(
            "a", "no-node", "Pool empty has no nodes: none in the cluster has kubernetes.io/arch=amd64, pending.example.org/empty=", empty
        )
        assert found.who == "administrator"
        await seen.make("b", **on(tainted))
        await seen.told("b", "taint", "it has the taint lab.example.org/private=yes:NoSchedule", tainted)


async def test_preemption(kubeconfig: Path) -> None:
    small = pool("small")
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": f"p-{secrets.token_hex(3)}"}, "value": 1000}
    async with seeing(str(kubeconfig), f"pending-{secrets.token_hex(4)}", [node_of(small), high]) as seen:
        await seen.make("low", **on(small, "3"))
        await seen.told("low", "ready", pool=small)
        await seen.make("high", **on(small, "3"), priorityClassName=high["metadata"]["name"])
        found = await seen.told("low", "preempted", "Something more important", small, gone=True)
        assert found.final
        await seen.told("low", "gone")


async def test_eviction(seen: Seen) -> None:
    await seen.make("a")
    await seen.told("a", "ready")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": seen.namespace}}
    path = f"/api/v1/namespaces/{seen.namespace}/pods/a/eviction"
    await seen.kube.transport.send(Call("evict", "POST", path, "Pod", seen.namespace, "a", body=encode(eviction)))
    assert (await seen.told("a", "evicted", "emptied for service", gone=True)).final


@pytest.mark.slow("Kubernetes counts a node as lost after 40 s")
async def test_a_node_that_is_lost(kubeconfig: Path) -> None:
    lost = pool("lost")
    node = node_of(lost)
    name, status = node["metadata"]["name"], node.pop("status")
    # nobody renews it: one sign of life, then none
    del node["metadata"]["annotations"]
    async with seeing(str(kubeconfig), f"pending-{secrets.token_hex(4)}", [node]) as seen:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        alive = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now, "lastTransitionTime": now}
        body = encode({"status": {**status, "conditions": [alive]}})
        path = f"/api/v1/nodes/{name}/status"
        await seen.kube.transport.send(Call("change", "PATCH", path, "Node", body=body, content_type="application/merge-patch+json"))
        await seen.make("a", **on(lost), nodeName=name)
        await seen.told("a", "silent", f"Node {name} has said nothing about the server for", lost)
        await seen.told("a", "node-lost", f"Node {name}, on which the server starts, does not answer.", lost, seconds=110)


async def test_quota_security_and_other_refusals(seen: Seen) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "afkit", "namespace": seen.namespace}}
    await seen.kube.create({**quota, "spec": {"hard": {"requests.cpu": "1"}}})
    await _counted(seen)
    requests = {"resources": {"requests": {"cpu": "800m"}}}
    await seen.make("a", container=requests)
    with pytest.raises(KubernetesError) as caught:
        await seen.make("b", container=requests)
    found = explain_refusal(caught.value)
    assert found.sentence == (
        "Your quota afkit has no room for it: it asks for requests.cpu=800m, in use are requests.cpu=800m, and the most is requests.cpu=1."
    )
    assert found.who == "you"
    await seen.kube.patch("Namespace", seen.namespace, "", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    deadline = Deadline.after(30)
    sentence = found.sentence
    while sentence == found.sentence and not deadline.passed:  # admission hears of the label a moment later than we
        with pytest.raises(KubernetesError) as caught:
            await seen.make("c", container=requests)
        sentence = explain_refusal(caught.value).sentence
    assert "The cluster's rule restricted:latest refuses it: allowPrivilegeEscalation != false" in sentence


async def _counted(seen: Seen) -> None:
    """Until the controller-manager has counted what is there."""
    quotas = SharedWatch(seen.kube, "ResourceQuota", namespace=seen.namespace)
    await quotas.start()
    counted = lambda quota: bool(quota and quota.get("status", {}).get("used"))  # noqa: E731
    await quotas.until((seen.namespace, "afkit"), counted, Deadline.after(30))
    await quotas.close()


async def test_an_admission_policy(kubeconfig: Path) -> None:
    name = f"pending-{secrets.token_hex(3)}"
    about = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    namespace = f"pending-{secrets.token_hex(4)}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    policy = {
        **about,
        "kind": "ValidatingAdmissionPolicy",
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules},
            "validations": [{"expression": "false", "message": "not on Sundays"}],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {
        **about,
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}},
    }
    async with seeing(str(kubeconfig), namespace, [policy, binding]) as seen:
        for number in range(100):
            try:
                await seen.make(f"a{number}")
            except KubernetesError as error:
                assert explain_refusal(error).sentence == f"The cluster's rule {name} refuses it: not on Sundays."
                break
            await asyncio.sleep(0.1)  # a new policy is in force after some moments
        else:
            raise AssertionError("the policy was never in force")


async def test_images(seen: Seen) -> None:
    await seen.make("nowhere", "registry.nowhere.example.org/i:1")
    found = await seen.told(
        "nowhere", "image", "The image registry.nowhere.example.org/i:1 cannot be pulled: the registry does not answer."
    )
    assert not found.final
    await seen.make("absent", "docker.io/local/no-such-image:1", container={"imagePullPolicy": "Never"})
    assert (await seen.told("absent", "image", "is not on the node and may not be pulled")).final
    await seen.make("wrong", "UPPER//case")
    assert (await seen.told("wrong", "image", "UPPER//case is no name of an image")).final


async def test_a_driver_that_no_node_has(kubeconfig: Path) -> None:
    driver = f"tape-{secrets.token_hex(3)}.example.org"
    known = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": driver}, "spec": {"attachRequired": False}}
    async with seeing(str(kubeconfig), f"pending-{secrets.token_hex(4)}", [known]) as seen:
        await _static(seen, "tape", driver)
        mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
        await seen.make("a", container=mounts, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "tape"}}])
        await seen.told("a", "volume", f"The volume data cannot be mounted on node node-0: the node has no driver {driver} for it.")


async def test_volumes_that_do_not_come(seen: Seen) -> None:
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    secret = [{"name": "data", "secret": {"secretName": "vault"}}]
    await seen.make("secret", container=mounts, volumes=secret)
    await seen.told("secret", "volume", "The volume data cannot be mounted on node node-0: the Secret vault does not exist.")
    await seen.make("path", container=mounts, volumes=[{"name": "data", "hostPath": {"path": "/no/such/folder", "type": "Directory"}}])
    await seen.told("path", "volume", "The volume data cannot be mounted on node node-0: the node has no /no/such/folder.")
    await seen.make("claim", container=mounts, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "nothing"}}])
    await seen.told("claim", "volume", "The storage claim nothing does not exist.")
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "no-such-class"}
    about = {"name": "home", "namespace": seen.namespace}
    await seen.kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": wanted})
    await seen.make("home", container=mounts, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "home"}}])
    await seen.told("home", "volume", 'There is no storage for the claim home: storageclass.storage.k8s.io "no-such-class" not found.')


async def _static(seen: Seen, name: str, driver: str, **attributes: str) -> None:
    volume = f"{seen.namespace}-{name}"
    spec = {"accessModes": ["ReadOnlyMany"], "storageClassName": "static"}
    source = {"driver": driver, "volumeHandle": volume, "readOnly": True, "volumeAttributes": attributes}
    reserved = {
        "claimRef": {"namespace": seen.namespace, "name": name},
        "capacity": {"storage": "1"},
        "persistentVolumeReclaimPolicy": "Delete",
    }
    await seen.kube.create(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": {**spec, **reserved, "csi": source}}
    )
    wanted = {**spec, "volumeName": volume, "resources": {"requests": {"storage": "1"}}}
    about = {"name": name, "namespace": seen.namespace}
    await seen.kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": wanted})


async def test_programs_that_do_not_run(seen: Seen) -> None:
    await seen.make("vault", container={"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "a"}}}]})
    await seen.told("vault", "secret", "The Secret vault, which the server needs, does not exist.")
    await seen.make("crash", container={"command": ["sh", "-c", "exit 3"]})
    await seen.told("crash", "crash", "Its container notebook ended with code 3")
    await seen.make("missing", container={"command": ["no-such-program"]})
    await seen.told("missing", "container", "no-such-program")
    await seen.make(
        "greedy", container={"command": ["sh", "-c", "x=a; while :; do x=$x$x; done"], "resources": {"limits": {"memory": "16Mi"}}}
    )
    found = await seen.told("greedy", "memory", "needed more memory than its size allows")
    assert found.who == "you"


async def test_a_hung_repository_is_told_from_silence(cluster: Cluster, seen: Seen) -> None:
    cvmfs = standins.cvmfs(cluster)
    name = f"hung-{secrets.token_hex(3)}.example.org"
    repository = cvmfs.add(name, {"file": "text"})
    await _static(seen, "cvmfs", "cvmfs.csi.cern.ch", repository=name)
    volumes = [{"name": "cvmfs", "persistentVolumeClaim": {"claimName": "cvmfs"}}]
    mounts = {"volumeMounts": [{"name": "cvmfs", "mountPath": "/cvmfs", "readOnly": True}]}
    try:
        repository.say("holding")
        await seen.make("a", container=mounts, volumes=volumes)
        await seen.told("a", "silent", "probably CVMFS does not answer there", seconds=40)
        repository.say("healthy")
        await seen.told("a", "ready")
    finally:
        cvmfs.mend()


async def test_a_server_that_will_not_go(cluster: Cluster, seen: Seen) -> None:
    cvmfs = standins.cvmfs(cluster)
    name = f"stuck-{secrets.token_hex(3)}.example.org"
    repository = cvmfs.add(name, {"file": "text"})
    await _static(seen, "cvmfs", "cvmfs.csi.cern.ch", repository=name)
    volumes = [{"name": "cvmfs", "persistentVolumeClaim": {"claimName": "cvmfs"}}]
    command = ["sh", "-c", "sleep 2; while :; do cat /cvmfs/file; sleep 0.2; done"]
    mounts = {"command": command, "volumeMounts": [{"name": "cvmfs", "mountPath": "/cvmfs", "readOnly": True}]}
    try:
        await seen.make("a", container=mounts, volumes=volumes)
        await seen.told("a", "ready")
        repository.say("holding")
        await asyncio.sleep(5)  # until it has asked for the file
        await seen.kube.delete("Pod", "a", seen.namespace, grace=1)
        await seen.told("a", "stuck", "a process in it cannot be ended")
    finally:
        cvmfs.mend()
    await seen.told("a", "gone")
