"""The node has most of the images from the beginning, by mounts of a folder that other clusters use too."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.pods import pod
from tests.support.rules import missing
from tools.cache import home
from tools.images.build import seldom_changed
from tools.images.store import Image
from tools.kubernetes import prepared
from tools.kubernetes.api import Api, Object
from tools.kubernetes.cluster import Cluster

CHANGES = """
echo changed >>/etc/passwd
chmod 777 /etc/group
chown 1234 /etc/shells
rm /etc/issue
"""
UNCHANGED = """
! grep changed /etc/passwd
test "$(stat -c '%a %u' /etc/group /etc/shells | sort -u)" = "644 0"
test -e /etc/issue
"""
LOOKED_AT = ("passwd", "group", "shells", "issue")
AS_ROOT = {"runAsUser": 0, "runAsGroup": 0}


@pytest.fixture
def folder(cluster: Cluster) -> Path:
    """The folder that the cluster uses."""
    seen = cluster.run(["sh", "-c", f"stat --format %d:%i /var/lib/containerd/{prepared.LAYERS}/*"], mounts=True).split()
    for layer in (home() / prepared.KIND).glob(f"*/root/{prepared.LAYERS}/*"):
        if f"{layer.stat().st_dev}:{layer.stat().st_ino}" in seen:
            root = next(parent for parent in layer.parents if parent.name == "root")
            return root.parent
    return missing("a cluster that was started with images", "`.venv/bin/python -m tools.images build` builds them.")


@pytest.fixture
def image(folder: Path) -> Image:
    """One that is in the folder."""
    return next(image for image in seldom_changed() if image.name == "hub")


def look(folder: Path) -> dict[str, Any]:
    """What the folder has of the files that a pod changes."""
    found = {}
    for layer in (folder / "root" / prepared.LAYERS).iterdir():
        for file in (layer / "fs/etc" / name for name in LOOKED_AT):
            if file.exists():
                stat = file.stat()
                found[str(file)] = (stat.st_mode, stat.st_uid, stat.st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
    return found


def run_to_its_end(api: Api, namespace: str, name: str, image: Image, script: str) -> None:
    made = pod(name, image.reference, ["sh", "-euc", script], securityContext=AS_ROOT)
    api.request("POST", f"/api/v1/namespaces/{namespace}/pods", made)

    def ended(found: Object | None) -> bool:
        status = (found or {}).get("status", {})
        assert status.get("phase") != "Failed", status
        return status.get("phase") == "Succeeded"

    api.until(f"/api/v1/namespaces/{namespace}/pods/{name}", ended, 60)


def test_what_a_pod_changes_of_an_image_is_its_own(cluster: Cluster, api: Api, namespace: str, folder: Path, image: Image) -> None:
    before = look(folder)
    assert len(before) >= len(LOOKED_AT)
    run_to_its_end(api, namespace, "changes", image, CHANGES)
    run_to_its_end(api, namespace, "looks", image, UNCHANGED)
    assert look(folder) == before


def test_nothing_inside_can_write_into_the_folder(cluster: Cluster, folder: Path) -> None:
    # but for what containers have of their own
    each = 'mountpoint -q "${lent%/fs}" || continue; touch "$lent/mine" 2>&1 || true'
    script = f"for lent in /var/lib/containerd/{prepared.LAYERS}/*/fs; do {each}; done"
    said = cluster.run(["sh", "-c", script], mounts=True)
    assert said.count("Read-only file system") == len(list((folder / "root" / prepared.LAYERS).iterdir()))
    assert not list((folder / "root" / prepared.LAYERS).glob("*/fs/mine"))


def test_the_folder_stays_as_long_as_the_cluster(cluster: Cluster, folder: Path) -> None:
    text = Path("/proc/locks").read_text()
    inode = (folder / ".used").stat().st_ino
    assert f":{inode} " in text
