"""Each image does what it is for, in its own file system; what is built twice is built once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tiny
from tests.support.rules import missing
from tools.images import build, buildah, settings, smoke, store
from tools.images.registry import Registry, RegistryError
from tools.images.store import Image

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Image]
SMOKE = {
    "hub": (("python3", "/tmp/smoke.py"), ("checks.py", "hub/smoke.py")),
    "session": (("python3", "/tmp/smoke.py"), ("checks.py", "session/smoke.py")),
    "proxy": (("sh", "/tmp/smoke.sh"), ("proxy/smoke.sh", "proxy/smoke.mjs")),
}
MACHINES = {"amd64": {"x86_64", "x64"}, "arm64": {"aarch64", "arm64"}}
PLATFORMS = [(name, arch) for name, recipe in build.RECIPES.items() for arch in recipe.archs]
pytestmark = pytest.mark.slow("images are built from nothing where the cache is empty, and one of them runs emulated")


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("name", "arch"), PLATFORMS, ids=[f"{name}-{arch}" for name, arch in PLATFORMS])
def test_an_image_works_read_only_for_anybody(image: Make, name: str, arch: str) -> None:
    command, files = SMOKE[name]
    made = image(name, arch)
    try:
        said = smoke.run(made, command, files=[ROOT / "images" / file for file in files], timeout=900)
    except smoke.EmulationError as error:
        missing(f"emulation of {arch}", str(error))
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.stdout}\n{error.stderr}", pytrace=False)
    facts = json.loads(said.splitlines()[-1])
    assert facts["machine"] in MACHINES[arch]


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("arch", build.RECIPES["session"].archs)
def test_the_first_process_of_a_server_takes_in_orphans_and_passes_signals_on(image: Make, arch: str) -> None:
    made = image("session", arch)
    config: dict[str, list[str]] = configuration(made)["config"]  # type: ignore[assignment]  # plain JSON
    check, files = ["/opt/afkit/bin/python", "/tmp/first_process.py"], [Path(__file__).with_name("first_process.py")]

    def found(*entry: str) -> dict[str, object]:
        try:
            said: dict[str, object] = json.loads(smoke.run(made, [*entry, *check], files=files, timeout=300).splitlines()[-1])
        except smoke.EmulationError as error:
            missing(f"emulation of {arch}", str(error))
        return said

    # as a node starts it: entry point and command in one, the first process of a namespace of its own
    told = found(*config["Entrypoint"])
    assert (told["orphan"], told["signal"]) == ("reaped", "heard"), told
    assert "dumb-init" in " ".join(told["first"])  # type: ignore[arg-type]
    # without it nobody takes them in
    assert found()["orphan"] == "zombie"


def configuration(image: Image) -> dict[str, object]:
    manifest = json.loads(store.blob(image.digest).read_bytes())
    found: dict[str, object] = json.loads(store.blob(manifest["config"]["digest"]).read_bytes())
    return found


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("name", "arch"), PLATFORMS, ids=[f"{name}-{arch}" for name, arch in PLATFORMS])
def test_an_image_says_for_what_it_is_and_nothing_of_where_it_was_built(image: Make, name: str, arch: str) -> None:
    said = configuration(image(name, arch))
    assert (said["architecture"], said["os"]) == (arch, "linux")
    assert said["config"]["User"] == "1000:1000"  # type: ignore[index]  # plain JSON
    text = json.dumps(said)
    for value in settings.settings({}, settings.own_settings(), authorities=False).values():
        assert value.startswith("/run/") or value not in text


def test_blobs_are_what_their_digests_say(image: Make) -> None:
    for digest in image("proxy").blobs():
        with store.blob(digest).open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == digest.removeprefix("sha256:")


def test_one_name_with_a_digest_is_each_platform_s_image(a_registry: Registry, tmp_path: Path) -> None:
    platforms = [tiny.image(tmp_path / arch, arch=arch, padding=1 << 22) for arch in ("amd64", "arm64")]
    digest = a_registry.push(platforms, "afkit-session", "1")
    assert a_registry.push(platforms, "afkit-session", "1") == digest
    accept = {"Accept": f"{store.INDEX}, application/vnd.oci.image.manifest.v1+json"}
    _, headers, text = a_registry.request("GET", f"/v2/afkit-session/manifests/{digest}", headers=accept, wanted=(200,))
    assert headers["docker-content-digest"] == digest == "sha256:" + hashlib.sha256(text).hexdigest()
    listed = {entry["platform"]["architecture"]: entry["digest"] for entry in json.loads(text)["manifests"]}
    assert listed == {each.arch: each.digest for each in platforms}
    for each in platforms:
        _, _, manifest = a_registry.request("GET", f"/v2/afkit-session/manifests/{each.digest}", headers=accept, wanted=(200,))
        for layer in json.loads(manifest)["layers"]:
            a_registry.request("HEAD", f"/v2/afkit-session/blobs/{layer['digest']}", wanted=(200,))
    a_registry.delete("afkit-session", digest)
    with pytest.raises(RegistryError, match="404"):
        a_registry.request("GET", "/v2/afkit-session/manifests/1", headers=accept, wanted=(200,))


@pytest.mark.timeout(2400)
def test_a_change_of_the_source_is_one_small_layer(image: Make, tmp_path: Path) -> None:
    before = image("hub")
    for file in [*build.inputs(build.RECIPES["hub"]), ROOT / ".dockerignore"]:
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    with (tmp_path / "afkit/errors.py").open("a") as changed:
        changed.write("\n# changed\n")
    after = build.build("hub", root=tmp_path)
    *same, small = layers(before)
    *kept, other = layers(after)
    assert kept == same
    assert other != small
    assert store.blob(other).stat().st_size < 20_000_000


def layers(image: Image) -> list[str]:
    return [layer["digest"] for layer in json.loads(store.blob(image.digest).read_bytes())["layers"]]


@pytest.mark.timeout(2400)
def test_a_base_of_one_s_own_is_taken(image: Make) -> None:
    image("hub")
    base = build.base_image("python", build.bases.native(), lambda _: None)
    own = build.build("hub", base=base)
    assert layers(own)[0] == layers(image("hub"))[0]


def test_two_at_once_build_once(image: Make) -> None:
    made: list[Image] = []
    threads = [threading.Thread(target=lambda: made.append(image("proxy"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.digest for each in made}) == 1 and len(made) == 4


def test_a_base_that_is_not_there_is_named(image: Make) -> None:
    with pytest.raises(buildah.BuildError, match="no-such-base"):
        build.build("proxy", base="localhost/no-such-base:1")
