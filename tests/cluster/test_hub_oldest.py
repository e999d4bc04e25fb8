"""The oldest JupyterHub and KubeSpawner in their pod: start, refusal, adoption, stop; and brought up to date under running servers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.conftest import say
from tests.cluster.hubs import HubInPod
from tests.cluster.others import CONFIGURATION, Facility
from tests.cluster.site import clear
from tests.hub.harness import until
from tests.support.secrets import Secrets
from tools.constraints import OLDEST
from tools.images import build as recipes, store
from tools.kubernetes.api import Object
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.deploy import deploy, take_in

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("an image of its own, and real servers started one after another")]

FILE = Path(__file__).with_name("oldest.yaml")
VERSION = OLDEST[0].partition("==")[2]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> store.Image:
    """The hub's image as this checkout makes it, with the versions of ``hub-oldest.lock``."""
    root = tmp_path_factory.mktemp("checkout")
    for place in (*recipes.SOURCE, "images"):
        found = recipes.ROOT / place
        copy = shutil.copytree if found.is_dir() else shutil.copyfile
        copy(found, root / place)
    shutil.copyfile(root / "images/hub-oldest.lock", root / "images/hub/lock.txt")
    return recipes.build("hub", root=root, say=say)


@pytest.fixture(scope="module")
def oldest(cluster: Cluster, hub: HubInPod, image: store.Image, secrets_seen: Secrets) -> Iterator[Facility]:
    """A facility with that hub, beside the first one; its other programs are the newest."""

    def older(one: Object) -> Object:
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "afkit-hub":
            one["spec"]["template"]["spec"]["containers"][0]["image"] = image.reference
        return one

    take_in(cluster, [image], say)
    made = deploy(cluster, FILE, say=say, configuration=CONFIGURATION, change=older)
    secrets_seen.add(made.password, made.token)
    facility = Facility(cluster, made)
    try:
        facility.back()
        yield facility
        facility.stop_all()
    finally:
        clear(cluster.api, made.facility)


def version(hub: HubInPod) -> str:
    return str(hub.client.get("/").json()["version"])


def reached(hub: HubInPod, user: str) -> bool:
    return httpx.get(f"{hub.url}/user/{user}/api", timeout=10).status_code == 200


def test_start_refusal_adoption_and_stop(oldest: Facility) -> None:
    assert version(oldest) == VERSION
    refused = oldest.start("ada", {"profile": "training"})
    assert 400 <= refused.status_code < 500 and refused.json()["message"], refused.text
    assert oldest.start("ada", {"user_options": {"profile": "plain"}}).status_code == 201
    (pod,) = oldest.pods("ada")
    assert pod["metadata"]["namespace"] == oldest.place("ada")
    oldest.kill()
    assert until(lambda: oldest.server("ada"), 30, "the server is known")["ready"]
    assert [one["metadata"]["uid"] for one in oldest.pods("ada")] == [pod["metadata"]["uid"]]
    assert reached(oldest, "ada")
    assert oldest.stop("ada").status_code == 204
    assert oldest.pods("ada") == []


def test_an_upgrade_keeps_running_servers(oldest: Facility, cluster: Cluster) -> None:
    """What an administrator does: render with the new image, apply. The database is brought up to date by the hub itself.

    Here `kube-up` does it, in a cluster that runs already; into a log it prints no password.
    """
    assert version(oldest) == VERSION
    assert oldest.start("ada", {"profile": "plain"}).status_code == 201
    (pod,) = oldest.pods("ada")
    state = cluster.layout.state
    command = [sys.executable, "-m", "tools.kubernetes", "--state", str(state), "up", "--facility", str(FILE)]
    done = subprocess.run(command, cwd=recipes.ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"afkit: {oldest.deployed.url}"
    assert oldest.deployed.password not in done.stdout + done.stderr
    told = state / "facility.json"
    assert f"the passwords are in {told}" in done.stdout
    assert told.stat().st_mode & 0o777 == 0o600
    assert json.loads(told.read_text())["users"]["grace"] == oldest.deployed.password
    oldest.back()
    assert version(oldest) != VERSION
    assert until(lambda: oldest.server("ada"), 30, "the server is known")["ready"]
    assert [one["metadata"]["uid"] for one in oldest.pods("ada")] == [pod["metadata"]["uid"]]
    assert reached(oldest, "ada")
    with oldest.kernel("ada") as kernel:
        assert kernel.run("print(6 * 7)").strip() == "42"
    assert oldest.stop("ada").status_code == 204
    assert oldest.start("ada").status_code in (201, 202), "the saved choice"
    until(lambda: (oldest.server("ada") or {}).get("ready"), 90, "the server is ready")
