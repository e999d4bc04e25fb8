"""One real cluster for the whole run: of its own, or the one that ``AFKIT_TEST_KUBECONFIG`` names (see README.md)."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from afkit.facility.load import load_facility
from tests.cluster.hubs import FAULTS, HubInPod
from tests.cluster.others import Facility, beside
from tests.support.rules import missing
from tests.support.secrets import Secrets
from tools.cache import cached, home
from tools.images.build import seldom_changed
from tools.kubernetes import images
from tools.kubernetes.api import Api, kubeconfig_from_environment
from tools.kubernetes.cluster import Cluster, ClusterError
from tools.kubernetes.deploy import Deployment, deploy
from tools.kubernetes.machine import MachineError
from tools.kubernetes.start import start
from tools.kubernetes.stop import stop
from tools.suite import debian

BUSYBOX = "docker.io/local/busybox:1"
APPLETS = ("cat", "echo", "httpd", "id", "ls", "nc", "nslookup", "sh", "sleep", "stat", "touch", "wget")
_numbers = itertools.count()


def say(line: str) -> None:
    print(f"afkit: {line}", file=sys.stderr, flush=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # the first one waits for the cluster, and where that was not done before, for its programs and images to be built
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.fixture(scope="session")
def facility_file() -> Path:
    """The facility whose pools the cluster's nodes are for."""
    return Path(__file__).parent / "facility.yaml"


@pytest.fixture(scope="session")
def given() -> Path | None:
    """The kubeconfig of a cluster that was given; None: the run starts its own."""
    return kubeconfig_from_environment()


@pytest.fixture(scope="session")
def cluster(given: Path | None, facility_file: Path) -> Iterator[Cluster]:
    """A cluster of the launcher: all of it, from inside too. Left out where another kind of cluster was given."""
    if given is not None:
        try:
            yield Cluster.attach(given.parent)
        except ClusterError:
            missing("a cluster of this launcher", "Unset AFKIT_TEST_KUBECONFIG: the cluster that it names can only be used from outside.")
        return
    for old in (home() / "clusters").glob("tests-*"):
        if old.is_dir() and not Path("/proc", old.name.removeprefix("tests-")).exists():
            stop(old, say=say)  # of a run that was killed with all that it had started
    state = home() / "clusters" / f"tests-{os.getpid()}"
    try:
        made = start(state, say=say, facility=load_facility(facility_file), bound=True, images=seldom_changed())
    except MachineError as error:
        missing("a machine that can run a cluster", str(error))
    try:
        yield made
    finally:
        stop(state, say=say)


@pytest.fixture(scope="session")
def kubeconfig(given: Path | None, request: pytest.FixtureRequest) -> Path:
    """A kubeconfig with all rights: enough for what is tested through the API alone."""
    return given or request.getfixturevalue("cluster").kubeconfig


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Api:
    """A client with all rights."""
    return Api(kubeconfig)


@pytest.fixture(scope="session")
def deployment(cluster: Cluster, facility_file: Path, secrets_seen: Secrets) -> Deployment:
    """The facility in the cluster: hub, proxy and services as pods, from what afkit renders."""
    made = deploy(cluster, facility_file, say=say, configuration=FAULTS)
    secrets_seen.add(made.password, made.token)
    return made


@pytest.fixture(scope="session")
def hub(cluster: Cluster, deployment: Deployment) -> Iterator[HubInPod]:
    """The hub in its pod; no server is left afterwards."""
    made = HubInPod(cluster, deployment)
    made.back()
    yield made
    made.stop_all()


@pytest.fixture(scope="session")
def contrary(cluster: Cluster, secrets_seen: Secrets) -> Iterator[Facility]:
    """A facility beside it, which the cluster contradicts: its hub in its pod."""
    with beside(cluster, Path(__file__).parent / "contrary.yaml", secrets_seen) as made:
        yield made


@pytest.fixture(scope="session")
def busybox(cluster: Cluster) -> str:
    """An image with Debian's busybox in it, known to the node."""

    def make(folder: Path) -> None:
        debian.unpack(folder, "busybox-static")
        program = (folder / "bin" / "busybox").read_bytes()
        links = {f"bin/{name}": "busybox" for name in APPLETS}
        images.archive(folder / "image.tar", BUSYBOX, {"bin/busybox": program}, links=links, command=["/bin/sh"])

    cluster.import_image(cached("busybox", debian.release().encode(), make) / "image.tar")
    return BUSYBOX


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace for one test, in which pods can be made; it goes away by itself afterwards."""
    name = f"test-{next(_numbers)}"
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda account: account is not None)
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
