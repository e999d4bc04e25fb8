"""Volumes: every source, who may write, what is made and kept, and what /cvmfs is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from afkit.errors import NotEntitledError
from afkit.facility.model import Cvmfs, Facility, Kubernetes, Mount, Storage
from afkit.pods.cvmfs import cvmfs_volumes, pinned_attributes, pinned_claim
from afkit.pods.person import Person
from afkit.pods.storage import Volume, is_made, is_static, mounts_of, own_claim, volume_of
from tests.unit.pods.asking import loaded, mounts, server, volumes
from tests.unit.policy.facilities import GI, by_name, facility

ADA = Person("ada", "local", "ada", "o" * 26, "af-test-oo", facility_groups=frozenset({"everyone", "red"}))
ABOUT: dict[str, Any] = {"labels": {"a": "b"}, "annotations": {}}
PER_USER, SHARED = Kubernetes(namespace="hub"), Kubernetes(namespace="hub", user_namespaces="shared")


def made(mount: Mount, kubernetes: Kubernetes = PER_USER, person: Person = ADA) -> Volume:
    return volume_of(facility(kubernetes=kubernetes), mount, person.names("gpu"), person, ABOUT)


def source(mount: Mount, kubernetes: Kubernetes = PER_USER) -> dict[str, Any]:
    return {key: value for key, value in made(mount, kubernetes).volume.items() if key != "name"}


def claimed(name: str) -> dict[str, Any]:
    return {"persistentVolumeClaim": {"claimName": name}}


def test_a_home_of_ones_own_is_made_and_kept() -> None:
    home = Mount("home", "/home/jovyan", size=20 * GI, storage_class="fast", access="ReadWriteMany")
    assert source(home) == claimed("afkit-home")
    claim = own_claim(facility(kubernetes=PER_USER), home, ADA.names(), ADA, ABOUT)
    assert claim == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "afkit-home", "namespace": "af-test-oo", **ABOUT},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
    }


def test_in_one_namespace_homes_do_not_collide() -> None:
    home = Mount("home", "/home/jovyan", size=GI)
    assert source(home, SHARED) == claimed(f"afkit-home-{'o' * 26}")
    claim = own_claim(facility(kubernetes=SHARED), home, ADA.names(), ADA, ABOUT)
    assert claim is not None
    assert "storageClassName" not in claim["spec"]


def test_a_claim_with_a_name_of_the_files_own_is_made_where_it_has_a_size_and_a_placeholder() -> None:
    mine = Mount("home", "/home", claim="claim-{username}-{servername}", size=GI)
    assert is_made(mine)
    assert source(mine) == source(mine, SHARED) == claimed("claim-ada-gpu")
    assert not is_made(Mount("data", "/data", claim="data", size=GI))
    existing = Mount("home", "/home", claim="claim-{username}")
    assert not is_made(existing)
    assert own_claim(facility(kubernetes=PER_USER), existing, ADA.names(), ADA, ABOUT) is None
    assert source(existing) == claimed("afkit-home")
    assert source(existing, SHARED) == claimed("claim-ada")


@pytest.mark.parametrize("name", ["Ada", "a/b", "a" * 300, "ada@example.org"])
def test_a_login_name_that_makes_no_name_of_a_claim(name: str) -> None:
    whole = loaded("example.yaml")
    home = Mount("home", "/home", claim="claim-{unescaped_username}", size=GI)
    made = replace(whole, storage=replace(whole.storage, home=home))
    assert volumes(server(made, {}, "cms:/cms"))["home"] == claimed("claim-ada")
    with pytest.raises(NotEntitledError, match="login name"):
        server(made, {}, "cms:/cms", name=name)


def test_space_that_goes_with_the_server() -> None:
    assert source(Mount("scratch", "/scratch", size=50 * GI)) == {"emptyDir": {"sizeLimit": "50Gi"}}
    template = {
        "metadata": ABOUT,
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "50Gi"}}, "storageClassName": "fast"},
    }
    scratch = Mount("scratch", "/scratch", size=50 * GI, storage_class="fast")
    assert source(scratch) == {"ephemeral": {"volumeClaimTemplate": template}}
    assert own_claim(facility(), scratch, ADA.names(), ADA, ABOUT) is None


CSI = {"csi": {"driver": "d", "volumeHandle": "one"}}
NFS = {"nfs": {"server": "nfs.example.org", "path": "/people/{username}"}}


def test_what_is_brought_along_into_per_user_namespaces_stands_behind_static_claims() -> None:
    data = Mount("data", "/data", claim="data", access="ReadOnlyMany")
    assert source(data) == source(Mount("data", "/d", volume=NFS)) == source(Mount("data", "/d", volume=CSI)) == claimed("afkit-data")
    assert source(data, SHARED) == claimed("data")
    assert source(Mount("data", "/d", volume=NFS), SHARED) == {"nfs": {"server": "nfs.example.org", "path": "/people/ada"}}
    # a handle stands in no Pod
    assert source(Mount("data", "/d", volume=CSI), SHARED) == claimed("afkit-data")
    assert not is_static(facility(kubernetes=SHARED), data)


@pytest.mark.parametrize(
    "volume",
    [
        {"hostPath": {"path": "/data/{username}"}},
        {"csi": {"driver": "inline", "volumeAttributes": {"user": "{username}"}}},
        {"emptyDir": {"medium": "Memory"}},
        {"secret": {"secretName": "s"}},
        {"configMap": {"name": "c"}},
        {"projected": {"sources": [{"secret": {"name": "{username}"}}]}},
    ],
)
def test_other_sources_stand_in_the_pod_as_they_are_written(volume: dict[str, Any]) -> None:
    filled = eval(repr(volume).replace("{username}", "ada"))  # the test's own text
    assert source(Mount("data", "/d", volume=volume)) == source(Mount("data", "/d", volume=volume), SHARED) == filled


def test_how_it_is_mounted() -> None:
    mount = Mount("data", "/data/{username}", volume=NFS, sub_path="{initial}/{username}", propagation="HostToContainer")
    volume = made(mount)
    assert volume.path == "/data/ada"
    assert volume.mount == {"name": "data", "subPath": "a/ada", "mountPropagation": "HostToContainer"}


@pytest.mark.parametrize(
    ("read_only", "write", "readable"),
    [(True, (), True), (True, ("blue",), True), (True, ("red", "blue"), None), (True, ("everyone",), None), (False, (), None)],
)
def test_who_may_write(read_only: bool, write: tuple[str, ...], readable: bool | None) -> None:
    mount = Mount("data", "/data", claim="d", read_only=read_only, write=write)
    assert made(mount).mount.get("readOnly") is readable


def test_which_mounts_a_person_has() -> None:
    storage = Storage(
        home=Mount("home", "/home", size=1),
        scratch=Mount("scratch", "/scratch", size=1, allow=("blue",)),
        shared=by_name(Mount("a", "/a", claim="a", workers=False), Mount("b", "/b", claim="b")),
    )
    made = facility(storage=storage)
    assert [mount.name for mount in mounts_of(made, ("a", "b"), ADA)] == ["home", "a", "b"]
    assert [mount.name for mount in mounts_of(made, ("a", "b"), ADA, workers=True)] == ["home", "b"]
    assert [mount.name for mount in mounts_of(made, (), replace(ADA, facility_groups=frozenset({"blue"})))] == ["home", "scratch"]


def test_any_container_mounts_storage_as_the_entry_says_unless_it_says_otherwise() -> None:
    made = server(loaded("wide.yaml"), {}, "lab:staff")
    agent = mounts(made, "agent")
    assert agent["/in"] == {"name": "readonly", "mountPath": "/in", "readOnly": True}
    assert agent["/out"]["readOnly"] is False
    assert mounts(made, "prepare") == {"/mnt": {"name": "home", "mountPath": "/mnt", "subPath": "people/a"}}
    assert mounts(server(loaded("wide.yaml"), {}, "lab:writers"), "agent")["/in"] == {"name": "readonly", "mountPath": "/in"}


def test_a_mount_that_a_person_may_not_have_is_left_out_of_all_containers() -> None:
    assert "/room" in mounts(server(loaded("wide.yaml"), {}, "lab:writers"), "prepare")
    nobody = server(loaded("wide.yaml"), {}, "lab:staff")
    assert "/room" not in {**mounts(nobody), **mounts(nobody, "prepare")}
    assert "secret-room" not in volumes(nobody)


def test_a_home_below_the_mount_of_a_fresh_claim_is_made_for_its_owner() -> None:
    made = server(loaded("wide.yaml"), {}, "lab:staff")
    assert made.pod["spec"]["containers"][0]["workingDir"] == "/home/ada"
    assert mounts(made)["/home"]["subPath"] == "people/a"
    assert mounts(made)["/home/ada"]["subPath"] == "people/a/ada"
    plain = mounts(server(loaded("example.yaml"), {}, "cms:/cms"))
    assert [mount for mount in plain.values() if mount["name"] == "home"] == [{"name": "home", "mountPath": "/home/jovyan"}]


def test_without_a_home() -> None:
    whole = loaded("example.yaml")
    made = server(replace(whole, storage=replace(whole.storage, home=None)), {}, "cms:/cms")
    assert "home" not in volumes(made)
    assert made.claims == ()
    assert "workingDir" not in made.pod["spec"]["containers"][0]


def test_shared_memory() -> None:
    made = server(loaded("example.yaml"), {"size": "large"}, "cms:/cms", "cms:/cms/ml")
    assert volumes(made)["shm"] == {"emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}
    assert mounts(made)["/dev/shm"] == {"name": "shm", "mountPath": "/dev/shm"}


# /cvmfs
def with_cvmfs(**keys: Any) -> Facility:
    return facility(
        cvmfs=Cvmfs(**{"driver": "csi", "repositories": {"a.org": {}, "b.org": {"tag": "it's 1"}}, **keys}), kubernetes=PER_USER
    )


WHOLE = Volume(
    {"name": "cvmfs", "persistentVolumeClaim": {"claimName": "afkit-cvmfs", "readOnly": True}},
    {"name": "cvmfs", "readOnly": True, "mountPropagation": "HostToContainer"},
    "/cvmfs",
)


def test_the_whole_root_is_mounted_once_with_propagation() -> None:
    assert cvmfs_volumes(with_cvmfs(), ("a.org",)) == (WHOLE,)
    assert cvmfs_volumes(with_cvmfs(), ()) == ()
    assert cvmfs_volumes(facility(), ("a.org",)) == ()
    assert cvmfs_volumes(with_cvmfs(driver="none"), ("a.org",)) == ()
    assert cvmfs_volumes(with_cvmfs(driver="directory", path="/x"), ("a.org",)) == ()


def test_a_pinned_repository_is_a_volume_of_its_own() -> None:
    whole, own = cvmfs_volumes(with_cvmfs(), ("a.org", "b.org"))
    assert whole == WHOLE
    assert own.path == "/cvmfs/b.org"
    assert own.volume["persistentVolumeClaim"] == {"claimName": "afkit-cvmfs-b.org", "readOnly": True}
    assert own.mount == {"name": own.volume["name"], "readOnly": True}
    assert cvmfs_volumes(with_cvmfs(), ("b.org",)) == (own,)
    assert pinned_claim("b.org") == "afkit-cvmfs-b.org"


@pytest.mark.parametrize(
    ("pin", "line"),
    [
        ({"tag": "it's 1"}, "CVMFS_REPOSITORY_TAG='it'\"'\"'s 1'"),
        ({"root_hash": "a" * 40}, f"CVMFS_ROOT_HASH={'a' * 40}"),
        ({"date": "2026-11-30"}, "CVMFS_REPOSITORY_DATE=2026-11-30T00:00:00Z"),
        ({"date": "2026-11-30T12:30Z"}, "CVMFS_REPOSITORY_DATE=2026-11-30T12:30:00Z"),
        ({"date": "2026-11-30T12:30:05Z"}, "CVMFS_REPOSITORY_DATE=2026-11-30T12:30:05Z"),
    ],
)
def test_what_the_driver_mounts_for_a_pin(pin: dict[str, str], line: str) -> None:
    made = pinned_attributes(with_cvmfs(repositories={"b.org": pin}), "b.org")
    assert made["repository"] == "b.org"
    assert made["clientConfig"] == line
    other = pinned_attributes(with_cvmfs(repositories={"b.org": {"tag": "other"}}), "b.org")
    assert made["sharedMountID"] != other["sharedMountID"]


def test_the_nodes_own_client() -> None:
    [whole] = cvmfs_volumes(with_cvmfs(driver="host", path="/mnt/cvmfs"), ("a.org", "b.org"))
    assert whole == replace(WHOLE, volume={"name": "cvmfs", "hostPath": {"path": "/mnt/cvmfs", "type": "Directory"}})
