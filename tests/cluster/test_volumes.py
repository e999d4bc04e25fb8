"""Volumes reach pods of a ``restricted`` namespace through the real kubelet: homes of the storage class, CVMFS, host paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.cluster.pods import run_pod
from tests.cluster.volumes import by_driver, claim, forget_volumes, run, said, static, strict_namespace, strict_pod
from tools.kubernetes import standins
from tools.kubernetes.api import Api, ApiError
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.standins.wire import decode, encode

NAME = "volumes.example.org"
MOUNT = {"name": "cvmfs", "mountPath": "/cvmfs", "readOnly": True, "mountPropagation": "HostToContainer"}


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> Iterator[str]:
    with strict_namespace(cluster.api, "volumes") as name:
        yield name
    forget_volumes(cluster.api, "volumes")


@pytest.fixture
def cvmfs(cluster: Cluster) -> Iterator[standins.Cvmfs]:
    made = standins.cvmfs(cluster)
    made.add(NAME, {"hello": "hello\n"})
    yield made
    made.mend()


def gone(api: Api, namespace: str, pod: str) -> None:
    api.delete(f"/api/v1/namespaces/{namespace}/pods/{pod}")
    api.until(f"/api/v1/namespaces/{namespace}/pods/{pod}", lambda one: one is None)


def test_a_home_can_be_written_by_its_group_and_goes_with_its_claim(cluster: Cluster, busybox: str, strict: str) -> None:
    api = cluster.api
    home = claim(api, strict, "home", accessModes=["ReadWriteMany"])
    mounts = ({"name": "home", "mountPath": "/home"}, {"name": "home", "mountPath": "/part", "subPath": "a/b"})
    run_pod(api, strict, strict_pod("first", busybox, *mounts, volumes={"home": home}))
    assert run(cluster, strict, "first", "stat", "-c", "%g %a", "/home").stdout == "100 2775\n"
    assert run(cluster, strict, "first", "touch", "/home/mine", "/part/mine").returncode == 0
    run_pod(api, strict, strict_pod("second", busybox, mounts[0], volumes={"home": home}))
    assert run(cluster, strict, "second", "ls", "/home/mine", "/home/a/b/mine").stdout.split() == ["/home/a/b/mine", "/home/mine"]
    volume = api.get(f"/api/v1/namespaces/{strict}/persistentvolumeclaims/home")["spec"]["volumeName"]
    folder = Path(api.get(f"/api/v1/persistentvolumes/{volume}")["spec"]["local"]["path"])
    assert (folder / "mine").stat().st_uid == 1000
    for name in ("first", "second"):
        gone(api, strict, name)
    api.delete(f"/api/v1/namespaces/{strict}/persistentvolumeclaims/home")
    api.until(f"/api/v1/persistentvolumes/{volume}", lambda one: one is None)
    assert not folder.exists()


def test_the_whole_root_by_the_driver_heals(cluster: Cluster, busybox: str, strict: str, cvmfs: standins.Cvmfs) -> None:
    whole = static(cluster.api, strict, "whole", by_driver("whole"))
    run_pod(cluster.api, strict, strict_pod("whole", busybox, MOUNT, volumes={"cvmfs": whole}))
    heals(cluster, strict, "whole", cvmfs)


def test_a_host_path_behind_a_claim_heals_as_well_and_a_plain_one_is_refused(
    cluster: Cluster, busybox: str, strict: str, cvmfs: standins.Cvmfs
) -> None:
    path = {"hostPath": {"path": str(cvmfs.path), "type": "Directory"}}
    with pytest.raises(ApiError, match="hostPath"):
        run_pod(cluster.api, strict, strict_pod("plain", busybox, MOUNT, volumes={"cvmfs": path}))
    behind = static(cluster.api, strict, "path", path)
    run_pod(cluster.api, strict, strict_pod("path", busybox, MOUNT, volumes={"cvmfs": behind}))
    heals(cluster, strict, "path", cvmfs)


def heals(cluster: Cluster, namespace: str, pod: str, cvmfs: standins.Cvmfs) -> None:
    """A pod that has the whole root: read-only, what is mounted later arrives, what died comes back."""
    look = ("cat", f"/cvmfs/{NAME}/hello")
    assert run(cluster, namespace, pod, *look).stdout == "hello\n"
    assert "Read-only" in run(cluster, namespace, pod, "touch", f"/cvmfs/{NAME}/mine").stderr
    cvmfs.add(f"later-{pod}.example.org", {"file": "later\n"})
    assert run(cluster, namespace, pod, "cat", f"/cvmfs/later-{pod}.example.org/file").stdout == "later\n"
    cvmfs[NAME].kill()
    assert "not connected" in run(cluster, namespace, pod, *look).stderr
    cvmfs[NAME].mount()
    assert run(cluster, namespace, pod, *look).stdout == "hello\n"


def test_one_repository_and_a_part_of_the_root_need_a_new_pod(cluster: Cluster, busybox: str, strict: str, cvmfs: standins.Cvmfs) -> None:
    api = cluster.api
    one = static(api, strict, "one", by_driver("one", repository=NAME))
    root = static(api, strict, "root", by_driver("root"))
    place = f"/cvmfs/{NAME}"
    single = strict_pod("single", busybox, {"name": "one", "mountPath": place}, volumes={"one": one})
    part = strict_pod("part", busybox, {**MOUNT, "name": "root", "mountPath": place, "subPath": NAME}, volumes={"root": root})
    for made in (single, part):
        run_pod(api, strict, made)
        name = made["metadata"]["name"]
        assert run(cluster, strict, name, "cat", f"{place}/hello").stdout == "hello\n"
    cvmfs[NAME].kill()
    cvmfs[NAME].mount()
    for made in (single, part):
        name = made["metadata"]["name"]
        assert "not connected" in run(cluster, strict, name, "cat", f"{place}/hello").stderr
        gone(api, strict, name)
        run_pod(api, strict, made)
        assert run(cluster, strict, name, "cat", f"{place}/hello").stdout == "hello\n"


def test_without_propagation_what_is_mounted_later_is_hidden(cluster: Cluster, busybox: str, strict: str, cvmfs: standins.Cvmfs) -> None:
    root = static(cluster.api, strict, "closed", by_driver("closed"))
    mount = {key: value for key, value in MOUNT.items() if key != "mountPropagation"}
    run_pod(cluster.api, strict, strict_pod("closed", busybox, mount, volumes={"cvmfs": root}))
    cvmfs.add("hidden.example.org", {"file": "x"})
    assert run(cluster, strict, "closed", "ls", "/cvmfs/hidden.example.org").stdout == ""


def test_a_driver_that_is_gone_is_said_and_its_return_is_enough(cluster: Cluster, busybox: str, strict: str, cvmfs: standins.Cvmfs) -> None:
    api = cluster.api
    root = static(api, strict, "late", by_driver("late"))
    run_pod(api, strict, strict_pod("before", busybox, MOUNT, volumes={"cvmfs": root}))
    cluster.end_program("csi", 9)
    try:
        assert run(cluster, strict, "before", "cat", f"/cvmfs/{NAME}/hello").stdout == "hello\n"
        api.request("POST", f"/api/v1/namespaces/{strict}/pods", strict_pod("after", busybox, MOUNT, volumes={"cvmfs": root}))
        assert "csi.sock" in said(api, strict, "after", "FailedMount")
    finally:
        cluster.start_program("csi")
    api.until(f"/api/v1/namespaces/{strict}/pods/after", lambda one: bool(one) and one["status"]["phase"] == "Running", 60)


def test_the_driver_takes_each_call_twice_and_refuses_what_it_does_not_know(cluster: Cluster, cvmfs: standins.Cvmfs) -> None:
    """The kubelet asks again after its own restart, also for pods that run."""
    target = str(cluster.kubelet_root / "tried" / "mount")
    address = cluster.outside(cluster.kubelet_root / "plugins" / "cvmfs.csi.cern.ch" / "csi.sock")

    def mounts() -> int:
        return sum(line.split(" ")[4] == target for line in cluster.run(["cat", "/proc/self/mountinfo"], mounts=True).splitlines())

    with grpc.insecure_channel(f"unix://{address}") as channel:
        call = {
            name: channel.unary_unary(f"/csi.v1.Node/Node{name}Volume", request_serializer=encode, response_deserializer=decode)
            for name in ("Publish", "Unpublish")
        }
        for _ in range(2):
            call["Publish"]({1: "tried", 4: target, 6: True, 8: [{1: "repository", 2: NAME}]}, timeout=10)
        assert mounts() == 1
        cvmfs[NAME].say("holding")  # it is taken away without being looked at
        for _ in range(2):
            call["Unpublish"]({1: "tried", 2: target}, timeout=10)
        assert mounts() == 0
        for attributes in ({1: "hash", 2: "x"}, {1: "clientConfig", 2: "A=b"}):
            with pytest.raises(grpc.RpcError) as refused:
                call["Publish"]({1: "tried", 4: target, 8: [attributes]}, timeout=10)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
