"""Parts of the test cluster that need no cluster: processes, cgroups, images, builds, certificates."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography import x509

from tools.kubernetes import build, certificates, cgroups, configuration, images, machine
from tools.kubernetes.layout import Layout
from tools.kubernetes.processes import Process, namespaces


def test_a_process_is_told_from_another_with_its_number() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = Process.of(child.pid)
        assert process is not None
        assert process.alive
        Process(child.pid, process.started + 1).send(signal.SIGKILL)
        assert not process.wait(0.1)
        process.send(signal.SIGTERM)
        assert process.wait(10)
    assert Process.of(child.pid) is None


def test_namespaces_are_known_by_their_inodes() -> None:
    assert namespaces(os.getpid()) == {kind: Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in ("mnt", "net", "pid")}


@pytest.mark.parametrize("version", [1, 2])
def test_cgroups_are_made_and_removed_in_every_hierarchy(tmp_path: Path, version: int) -> None:
    places = [tmp_path / "cpuset", tmp_path / "memory"] if version == 1 else [tmp_path]
    for place in places:
        place.mkdir(exist_ok=True)
        (place / "cgroup.procs").touch()
    if version == 2:
        (tmp_path / "cgroup.controllers").write_text("cpu memory")
    assert list(cgroups.hierarchies(tmp_path)) == places
    if version == 1:
        (tmp_path / "cpuset" / "link").symlink_to(tmp_path / "memory")
        cgroups.make("afkit-x", tmp_path)
        (tmp_path / "memory" / "afkit-x" / "kubepods" / "deep").mkdir(parents=True)
        assert cgroups.remove("afkit-x", tmp_path) == []
        assert not any((place / "afkit-x").exists() for place in places)


def test_controllers_are_handed_on_where_there_is_one_hierarchy(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    cgroups.delegate(tmp_path)
    # a real folder of cgroups adds each to what it has; a plain file keeps the last
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"


def test_a_cgroup_in_which_something_is_left_is_named(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "afkit-x").mkdir()
    (tmp_path / "afkit-x" / "busy").touch()
    assert cgroups.remove("afkit-x", tmp_path) == [tmp_path / "afkit-x"]


def test_an_image_is_an_archive_with_the_digest_of_its_layer(tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        images.archive(tmp_path / name, "docker.io/local/x:1", {"bin/x": b"#!"}, links={"bin/y": "x"}, command=["/bin/x"])
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert manifest == [{"Config": "config.json", "RepoTags": ["docker.io/local/x:1"], "Layers": ["layer.tar"]}]
        with tarfile.open(fileobj=io.BytesIO(archive.extractfile("layer.tar").read())) as layer:  # type: ignore[union-attr]
            assert {entry.name: entry.mode & 0o111 for entry in layer if entry.isfile()} == {"bin/x": 0o111}
            assert layer.getmember("bin/y").linkname == "x"


def test_programs_are_built_anew_when_what_they_are_made_from_changes() -> None:
    kubernetes, coredns = build.MODULES[:2]
    keys = {build.key(kubernetes, "go1.26"), build.key(kubernetes, "go1.27"), build.key(coredns, "go1.26")}
    assert len(keys) == 3
    assert build.key(kubernetes, "go1.26") in keys


def test_the_modules_name_no_place_where_modules_come_from() -> None:
    for file in build.SOURCES.rglob("go.*"):
        assert "://" not in file.read_text(), file


def test_progress_counts_packages_and_keeps_what_is_unusual() -> None:
    lines = ["go: downloading k8s.io/api v0\n", "k8s.io/api/core/v1\n", "./main.go:3: undefined: x\n"]
    assert build.follow(lines, 2, 0.0, lambda _: None) == ["./main.go:3: undefined: x"]


def test_a_state_folder_that_the_cluster_would_hide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DISK_WARM", 0)
    assert any("which the cluster hides" in reason for reason in machine.reasons_against(Path("/var/lib/afkit/state")))


def test_a_full_disk_is_named_before_anything_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "DISK", 10**9)
    assert any("are needed: XDG_CACHE_HOME" in reason for reason in machine.reasons_against(tmp_path / "state"))


def test_certificates_say_who_and_for_which_host() -> None:
    certificate, key = certificates.Authority().sign("system:node:node-0", ["system:nodes"], ["node-0", "203.0.113.2"])
    read = x509.load_pem_x509_certificate(certificate)
    assert read.subject.rfc4514_string() == "CN=system:node:node-0,O=system:nodes"
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node-0"]
    assert key.startswith(b"-----BEGIN EC PRIVATE KEY-----")


def test_every_cluster_has_a_name_and_an_audit_without_secrets(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    assert one.name != two.name
    assert configuration.kubelet(one)["cgroupRoot"] == f"/{one.name}"
    secrets = next(rule for rule in configuration.audit()["rules"] if rule["level"] == "Metadata")
    assert "secrets" in secrets["resources"][0]["resources"]
