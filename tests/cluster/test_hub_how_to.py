"""The how-to from an empty cluster to a running facility, done word by word, and taken away again: nothing is left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from afkit.facility.load import load_facility
from tests.cluster.conftest import say
from tests.cluster.listed import Listed
from tests.cluster.others import Facility
from tests.cluster.site import clear
from tests.hub.harness import until
from tests.support.secrets import Secrets
from tests.support.snippets import AFKIT, ROOT, snippets
from tools.kubernetes import site
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.deploy import Deployment, fill, give_images, kept
from tools.kubernetes.standins.objects import storage_class

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("a facility of its own with a real server")]

PAGE = ROOT / "docs/how-to/kubernetes.md"
NAMESPACE = "af-how-to"


class Reader:
    """Somebody who does what the page says, in a folder of their own, with this cluster's names in place of the page's."""

    def __init__(self, cluster: Cluster, folder: Path, names: Mapping[str, str]) -> None:
        self.folder, self.names = folder, names
        programs = folder / "bin"
        programs.mkdir()
        (programs / "kubectl").symlink_to(cluster.kubectl)
        (programs / "afkit").symlink_to(AFKIT)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)}
        # no chart can be had here
        self.blocks = [block for block in snippets(PAGE) if "helm " not in block.text]
        assert all(any(theirs in block.text for block in self.blocks) for theirs in names), "the page has other names"

    def text(self, text: str) -> str:
        for theirs, ours in self.names.items():
            text = text.replace(theirs, ours)
        return text

    def write(self, name: str, ours: bool = True) -> Path:
        """Write the file that the page shows, with this cluster's names where ``ours``."""
        (block,) = (block for block in self.blocks if block.how.get("file") == name)
        file = self.folder / name
        file.write_text(self.text(block.text) if ours else block.text)
        return file

    def do(self, beginning: str) -> str:
        """Do what the one block says that begins so; returns what it printed."""
        (block,) = (block for block in self.blocks if block.language == "shell" and block.text.startswith(beginning))
        script = f"set -e\n{self.text(block.text)}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == 0, f"{PAGE.name}, line {block.line}: {done.stdout}{done.stderr}"
        self.blocks.remove(block)
        return done.stdout


def test_the_how_to_word_by_word(cluster: Cluster, tmp_path: Path, secrets_seen: Secrets) -> None:
    images = give_images(cluster, say)
    listed = Listed(cluster)
    before = listed.everything()
    names = {
        "af-system": NAMESPACE,
        "registry.example.org/python:1@sha256:0000000000000000000000000000000000000000000000000000000000000001": images[
            "session"
        ].reference,
        "registry.example.org/af/hub:1": images["hub"].reference,
        "registry.example.org/af/proxy:1": images["proxy"].reference,
        "[10.0.0.0/8]": "[198.18.0.0/15, 203.0.113.0/24]",
    }
    reader = Reader(cluster, tmp_path, names)
    with what_the_cluster_has(cluster, tmp_path / "facility.yaml"):
        follow(reader, cluster, secrets_seen)
    until(lambda: listed.everything() == before, 60, "everything is as before")


def follow(reader: Reader, cluster: Cluster, secrets_seen: Secrets) -> None:
    """From the page's first block to its last."""
    folder = reader.folder
    # as the page has it, since an image that was imported has no digest
    reader.write("facility.yaml", ours=False)
    reader.do("afkit check")
    file = reader.write("facility.yaml")
    claim(cluster, file, folder)
    reader.do("kubectl create namespace")
    bound = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/data"
    cluster.api.until(bound, lambda found: (found or {}).get("status", {}).get("phase") == "Bound")
    reader.do("kubectl label pv")
    reader.do("afkit render facility.yaml --target manifests")
    known = kept(cluster)
    secrets_seen.add(known["password"], known["token"])
    (folder / "authenticator.py").write_text(
        site.CONFIGURATION.format(password=known["password"], token=known["token"], scopes=site.SCOPES)
    )
    assert "successfully rolled out" in reader.do("kubectl -n af-system create secret generic afkit-hub")
    a_server_runs(
        Facility(
            cluster, Deployment(load_facility(file), f"{cluster.forward(f'{NAMESPACE}/proxy-public')}/", known["password"], known["token"])
        )
    )
    print(reader.do("afkit doctor"))
    reader.do("kubectl delete -f rendered")


@contextmanager
def what_the_cluster_has(cluster: Cluster, file: Path) -> Iterator[None]:
    """A node of the pool, and a storage class for homes: what the page asks of a cluster. Afterwards nothing of it is left.

    Where a step of the page fails, the facility that it has made until then is taken away too.
    """
    cluster.api.merge("/api/v1/nodes/node-0", {"metadata": {"labels": {"pool.example.org/name": "cpu"}}})
    cluster.api.apply("/apis/storage.k8s.io/v1/storageclasses/shared", storage_class("shared", default=False))
    try:
        yield
    except BaseException:
        if file.exists():
            clear(cluster.api, load_facility(file))
        cluster.api.delete(f"/api/v1/namespaces/{NAMESPACE}")
        raise
    finally:
        cluster.api.delete("/api/v1/persistentvolumes/physics-data")
        cluster.api.delete("/apis/storage.k8s.io/v1/storageclasses/shared")
        cluster.api.merge("/api/v1/nodes/node-0", {"metadata": {"labels": {"pool.example.org/name": None}}})


def claim(cluster: Cluster, file: Path, folder: Path) -> None:
    """``data-claim.yaml``, and a volume that somebody has made for it; it is not marked yet."""
    volume, wanted = site.shared(load_facility(file), "data", cluster.volume_root / "data" / "how-to")
    fill(cluster.volume_root / "data", [volume["spec"]["hostPath"]["path"]])
    del volume["metadata"]["labels"]
    (folder / "data-claim.yaml").write_text(yaml.safe_dump_all([volume, wanted]))


def a_server_runs(hub: Facility) -> None:
    """Somebody whom the authenticator has put into the group gets a server with data; somebody else is told why not."""
    hub.back()
    refused = hub.start("ada")
    assert (refused.status_code, refused.json()["reason"]) == (403, "not-entitled")
    assert hub.client.post("/groups/physics", json={"users": ["ada"]}).status_code == 201
    started = hub.start("ada")
    assert started.status_code in (201, 202), started.text
    until(lambda: (hub.server("ada") or {}).get("ready"), 90, "the server is ready")
    with hub.kernel("ada") as kernel:
        assert kernel.run("import os; print(open('/data/README').read(), os.environ['S3_KEY'])").startswith("Data that everybody")
    hub.stop_all()
