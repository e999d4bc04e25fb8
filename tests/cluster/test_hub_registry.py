"""Images that the facility pins in a registry: a server starts from exactly these; one that cannot be had ends in a sentence."""

from __future__ import annotations

import base64
import dataclasses
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import registries
from tests.cluster.conftest import say
from tests.cluster.others import Facility, beside
from tests.cluster.registries import CLOSED, FORBIDDING, OPEN, PRIVATE, SILENT
from tests.hub.harness import until
from tests.support.secrets import Secrets
from tools.images import build as recipes, store
from tools.images.registry import Registry
from tools.images.store import Image
from tools.kubernetes.cluster import Cluster

pytestmark = [
    pytest.mark.timeout(300, func_only=True),
    pytest.mark.slow("an image is pushed and pulled, and starts wait for what does not come"),
]
MARK = "opt/afkit-mark"


@dataclass(frozen=True, slots=True)
class Pinned:
    """What was pushed: name in the facility file → digest of its index; the text in each image that no node has yet."""

    registry: Registry
    digests: Mapping[str, str]
    mark: str


@pytest.fixture(scope="module")
def pinned(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pinned]:
    """The image of sessions with one more layer, so that the node has to pull it; several of them in the registry."""
    base, mark = recipes.build("session", say=say), secrets.token_hex(8)

    def marked(name: str) -> Image:
        folder = tmp_path_factory.mktemp(name)
        (folder / MARK).parent.mkdir()
        (folder / MARK).write_text(f"{name} {mark}")
        return store.put_on(base, store.layer(folder), f"{name}-{mark}")

    with registries.served(cluster) as registry:
        made = {name: [marked(name)] for name in ("pinned", "private_digest", "deleted")}
        # an index that has the image for another architecture alone
        made["foreign"] = [dataclasses.replace(made["pinned"][0], arch="arm64")]
        digests = {name: registry.push(images, "session", name.replace("_", "-")) for name, images in made.items()}
        registry.delete("session", digests["deleted"])
        yield Pinned(registry, digests, mark)


@pytest.fixture(scope="module")
def facility(cluster: Cluster, pinned: Pinned, tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Facility]:
    """A facility with these images beside the first one; it may pull from the private registry."""
    addresses = {"open": OPEN, "private": PRIVATE, "closed": CLOSED, "forbidding": FORBIDDING, "silent": SILENT}
    file = tmp_path_factory.mktemp("facility") / "registry.yaml"
    file.write_text(Path(__file__).with_name("registry.yaml").read_text() % {**addresses, **pinned.digests})
    secrets_seen.add(registries.PASSWORD)
    with beside(cluster, file, secrets_seen) as made:
        path = f"/api/v1/namespaces/{made.namespace}/secrets"
        login = base64.b64encode(f"{registries.USER}:{registries.PASSWORD}".encode()).decode()
        config = json.dumps({"auths": {PRIVATE: {"auth": login}}}).encode()
        data = {".dockerconfigjson": base64.b64encode(config).decode()}
        # the site that the tools make knows nothing of types
        made.api.delete(f"{path}/puller")
        made.api.request("POST", path, {"metadata": {"name": "puller"}, "type": "kubernetes.io/dockerconfigjson", "data": data})
        yield made


@pytest.fixture(autouse=True)
def nothing_runs(facility: Facility) -> None:
    facility.stop_all()


@pytest.mark.parametrize(("user", "image", "digest"), [("ada", "pinned", "pinned"), ("grace", "private", "private_digest")])
def test_a_server_runs_from_exactly_the_pinned_image(facility: Facility, pinned: Pinned, user: str, image: str, digest: str) -> None:
    """The private one is pulled with the facility's Secret, which the provisioner has brought to the person's namespace."""
    answer = facility.start(user, {"profile": "plain", "image": image})
    assert answer.status_code == 201, answer.text
    (pod,) = facility.pods(user)
    assert pod["spec"]["containers"][0]["image"].endswith(f"/session@{pinned.digests[digest]}")
    (status,) = pod["status"]["containerStatuses"]
    assert pinned.digests[digest] in status["imageID"]
    with facility.kernel(user) as kernel:
        assert kernel.run(f"print(open('/{MARK}').read())").strip() == f"{digest} {pinned.mark}"
        # what the image starts with is the first process, also of a hub that gives no command
        assert kernel.run("print(open('/proc/1/cmdline').read().split(chr(0))[0])").strip() == "/opt/afkit/bin/dumb-init"
        assert kernel.run("import os; print(os.environ['JUPYTER_IMAGE_SPEC'])").strip() == pod["spec"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("unauthorised", f"The image {CLOSED}/session@%(pinned)s cannot be pulled: the registry does not let this cluster have it."),
        ("forbidden", f"The image {FORBIDDING}/session@%(pinned)s cannot be pulled: the registry does not let this cluster have it."),
        ("foreign", f"The image {OPEN}/session@%(foreign)s cannot be pulled: it has none for this node's architecture (amd64)."),
        ("deleted", f"The image {OPEN}/session@%(deleted)s cannot be pulled: the registry does not have it (any more)."),
    ],
)
def test_an_image_that_cannot_be_had_is_told_at_once(facility: Facility, pinned: Pinned, image: str, sentence: str) -> None:
    start = facility.begin("noor", {"profile": "plain", "image": image})
    message = start.failed()
    assert sentence % pinned.digests in message
    assert "Choose another image, or ask help@example.org" in message
    assert start.seconds < 30
    until(lambda: not facility.pods("noor"), 30, "the pod is gone")
    assert facility.server("noor") is None


def test_a_registry_that_is_away_is_waited_for(facility: Facility, pinned: Pinned) -> None:
    start = facility.begin("noor", {"profile": "plain", "image": "silent"})
    name = f"{SILENT}/session@{pinned.digests['pinned']}"
    start.told(f"The image {name} cannot be pulled: the registry does not answer.")
    assert start.failed().startswith(f"The server did not start within 1m. The image {name} cannot be pulled")


def test_an_image_that_is_deleted_later_still_starts_where_the_node_has_it(facility: Facility, pinned: Pinned) -> None:
    assert facility.start("ada", {"profile": "plain", "image": "pinned"}).status_code == 201
    assert facility.stop("ada").status_code == 204
    pinned.registry.delete("session", pinned.digests["pinned"])
    assert facility.start("ada", {"profile": "plain", "image": "pinned"}).status_code == 201
    reference = f"{OPEN}/session@{pinned.digests['pinned']}"
    # and the node is told so where it has not: as after its disk was tidied
    facility.stop("ada")
    _forget(facility.cluster, reference)
    message = facility.begin("ada", {"profile": "plain", "image": "pinned"}).failed()
    assert f"The image {reference} cannot be pulled: the registry does not have it (any more)." in message


def _forget(cluster: Cluster, reference: str) -> None:
    """Remove an image from the node, with the names that containerd has given it."""
    ctr = [str(cluster.programs.ctr), "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io", "images"]
    listed = [line.split() for line in cluster.run([*ctr, "list"], mounts=True).splitlines()[1:]]
    digest = reference.partition("@")[2]
    names = [words[0] for words in listed if digest in words or digest in words[0]]
    assert reference in names
    cluster.run([*ctr, "remove", "--sync", *names], mounts=True)


ON_ARM = {
    "an image of the profile": {"image": "pinned"},
    "a reference that somebody typed": {"image": f"{OPEN}/session:pinned"},
}


@pytest.mark.parametrize("case", ON_ARM)
def test_an_amd64_image_on_an_arm64_pool_is_refused_by_name_before_any_pod(facility: Facility, case: str) -> None:
    """The profile offers both the pool and the image, and nobody can have them together; another image may be had there."""
    choice = {"profile": "plain", "pool": "arm", **ON_ARM[case]}
    begin = facility.cluster.layout.audit.stat().st_size
    answer = facility.start("emmy", choice)
    assert answer.status_code == 400, answer.text
    assert answer.headers["X-Afkit-Reason"] == "incompatible"
    said = answer.json()["message"]
    assert choice["image"] in said
    assert "arm" in said
    assert "amd64" in said
    # neither by a link: the page says the same, and nothing starts
    page = facility.page("emmy", "/hub/spawn?" + "&".join(f"{key}={value}" for key, value in choice.items()))
    assert "arm64" in page
    with facility.cluster.layout.audit.open("rb") as log:
        log.seek(begin)
        written = log.read().rpartition(b"\n")[0].splitlines()
    place = facility.place("emmy")
    created = [event for event in map(json.loads, written) if event["verb"] == "create"]
    assert not [event for event in created if place in (event["objectRef"].get("namespace"), event["objectRef"].get("name"))]
    assert facility.pods("emmy") == []
    # what runs there is what is for it
    with facility.starting("emmy", {"profile": "plain", "pool": "arm", "image": "both"}):
        (pod,) = until(lambda: [one for one in facility.pods("emmy") if one["spec"].get("nodeName")], 30, "the pod has a node")
        assert pod["spec"]["nodeName"].startswith("fake-arm")
        facility.stop("emmy")
