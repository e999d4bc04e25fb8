"""Deploys a facility into a cluster, as its administrators would: images, rendered objects, and what only the site has."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.render.pods import base_path
from tools.images import build as recipes, store
from tools.kubernetes import site
from tools.kubernetes.build import Say
from tools.kubernetes.cluster import Cluster, ClusterError
from tools.kubernetes.layout import CONTAINERD_SOCKET

Object = dict[str, Any]

TAG = "dev"
"""A tag of the images that stays the same, for facility files; Deployments name the tag that changes with the content."""
PATIENCE = 180.0
README = "Data that everybody of the facility may read.\n"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A facility that runs: its address on the machine (a slash at the end), its people's password, the token of a script."""

    facility: Facility
    url: str
    password: str = field(repr=False)
    token: str = field(repr=False)


def deploy(
    cluster: Cluster,
    file: Path,
    *,
    say: Say,
    configuration: str = "",
    change: Callable[[Object], Object] = lambda one: one,
) -> Deployment:
    """Deploy the facility of this file, or what has changed since; returns once all of it is available.

    ``configuration``: more lines of the hub's own; ``change``: what is to be different in an object. Raises ``ClusterError``.
    """
    facility = load_facility(file)
    if facility.kubernetes is None:
        raise ClusterError(f"{file} is for no cluster: it has no section `kubernetes`")
    images = give_images(cluster, say)
    known = kept(cluster)
    say(f"applying what afkit renders for {facility.name}")
    data = cluster.volume_root / "data"
    own = [*site.hub_objects(facility, known, configuration), *site.named(facility, data)]
    fill(data, (one["spec"]["hostPath"]["path"] for one in own if one["kind"] == "PersistentVolume"))
    made = [change(one) for one in rendered(cluster, file, images)]
    # the namespace first, and what the programs start with before the programs
    apply(cluster, [one for one in made if one["kind"] == "Namespace"] + [change(one) for one in own])
    apply(cluster, made)
    for one in made:
        if one["kind"] == "Deployment":
            available(cluster, one["metadata"]["namespace"], one["metadata"]["name"])
    return Deployment(facility, f"{address(cluster, facility)}{base_path(facility)}", known["password"], known["token"])


def give_images(cluster: Cluster, say: Say) -> Mapping[str, store.Image]:
    """Build the images of this checkout and give the node what it does not have of them."""
    built = {name: recipes.build(name, say=say) for name in recipes.RECIPES}
    take_in(cluster, built.values(), say, tags=[TAG])
    return built


def take_in(cluster: Cluster, images: Iterable[store.Image], say: Say, *, tags: Sequence[str] = ()) -> None:
    """Give the node what it does not have of these images; ``tags``: under these tags too. Raises ``ClusterError``."""
    ctr = [str(cluster.programs.ctr), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
    names = set(cluster.run([*ctr, "images", "list", "--quiet"], mounts=True).split())
    digests = cluster.run([*ctr, "content", "list", "--quiet"], mounts=True).split()
    new = [image for image in images if image.digest not in digests or not store.names(image, tags) <= names]
    if new:
        size = sum(store.blob(digest).stat().st_size for digest in {each for image in new for each in image.blobs()}.difference(digests))
        say(f"importing {', '.join(image.name for image in new)} ({size / 1e6:.0f} MB that the node does not have)")
        command = cluster.enter([*ctr, "images", "import", "-"], mounts=True)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as importer:
            assert importer.stdin is not None
            assert importer.stdout is not None
            with importer.stdin:
                store.write(new, importer.stdin, tags=tags, known=digests)
            said = importer.stdout.read().decode()
        if importer.returncode != 0:
            raise ClusterError(f"the images could not be imported: {said[-1000:]}")


def kept(cluster: Cluster) -> Mapping[str, str]:
    """The deployment's secrets, chosen by chance at the first call and kept with the cluster."""
    file = cluster.layout.etc / "secrets.json"
    known = {name: secrets.token_hex(32) for name in ("proxy-token", "cookie-secret", "crypt-key", "dask-token", "token")}
    known["password"] = secrets.token_urlsafe(12)
    if file.exists():
        known |= json.loads(file.read_text())
    file.touch(mode=0o600)
    file.write_text(json.dumps(known))
    return known


def rendered(cluster: Cluster, file: Path, images: Mapping[str, store.Image]) -> Iterator[Object]:
    """What ``afkit render --target manifests`` writes."""
    folder = cluster.layout.state / "manifests"
    shutil.rmtree(folder, ignore_errors=True)
    chosen = [f"--hub-image={images['hub'].reference}", f"--proxy-image={images['proxy'].reference}"]
    afkit = str(Path(sys.executable).with_name("afkit"))
    command = [afkit, "render", str(file), "--target", "manifests", "--out", str(folder), *chosen]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise ClusterError(f"{file} could not be rendered:\n{ended.stderr}{ended.stdout}")
    for manifest in sorted(folder.glob("*.yaml")):
        # the definitions of Dask's objects are long
        yield from filter(None, yaml.load_all(manifest.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def fill(data: Path, folders: Iterable[str]) -> None:
    """Make the folders of shared data: something to read in each, and real collision data where the machine has some."""
    given = os.environ.get("AFKIT_TEST_DATA", "")
    for folder in map(Path, folders):
        assert folder.is_relative_to(data)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README").write_text(README)
        for file in Path(given).glob("*.root") if given else ():
            if not (folder / file.name).exists():
                shutil.copy(file, folder)


def apply(cluster: Cluster, objects: Iterable[Mapping[str, Any]]) -> None:
    """``kubectl apply --server-side``."""
    command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "apply", "--server-side", "--force-conflicts", "-f", "-"]
    ended = subprocess.run(command, input="\n---\n".join(map(json.dumps, objects)), capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise ClusterError(f"the objects were not accepted:\n{ended.stderr}")


def available(cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until a Deployment is what its object says. Raises with its pods' last words where it does not become so."""
    try:
        cluster.api.until(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}", rolled_out, PATIENCE)
    except TimeoutError as error:
        kubectl = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "-n", namespace]
        words = (["describe", "pods"], ["logs", f"deployment/{name}", "--tail=20"])
        said = [subprocess.run([*kubectl, *each], capture_output=True, text=True, check=False).stdout[-2000:] for each in words]
        raise ClusterError("\n".join([f"{name} did not become available in {PATIENCE:.0f} s", *said])) from error


def rolled_out(deployment: Mapping[str, Any] | None) -> bool:
    """Whether all pods of a Deployment are those of its newest version, and available."""
    if deployment is None:
        return False
    status = deployment.get("status", {})
    counts = {status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == {deployment["spec"]["replicas"]}


def address(cluster: Cluster, facility: Facility) -> str:
    """The proxy's address on the machine: the same as long as the cluster runs."""
    file = cluster.layout.state / f"url-{site.namespace(facility)}"
    if not file.exists():
        file.write_text(cluster.forward(f"{site.namespace(facility)}/proxy-public"))
    return file.read_text()
