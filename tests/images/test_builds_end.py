"""A build that is killed leaves no mount and no process, and the next one finds the storage in order."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.harness import until
from tools.images import bases, buildah
from tools.images.build import base_image
from tools.images.store import Image
from tools.images.tidy import tidy

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Image]
NAP = "86397"
"""Seconds that a step of a build would take; no other program sleeps so long."""
BUILDS = """
import sys
from pathlib import Path
from tools.images import bases, buildah
folder = Path(sys.argv[1])
buildah.build(folder / "Containerfile", folder, "localhost/afkit-tests-nap:1", arch=bases.native(), arguments=[], log=folder / "log")
"""
HOLDS = """
import subprocess, sys
from tools.images import apart, buildah
with buildah.mounted(sys.argv[1]) as root:
    assert (root / "bin").exists()
    subprocess.run(apart.enter(["sleep", sys.argv[2]]))
"""
pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow("images are built from nothing where the cache is empty")]


@pytest.fixture
def base(image: Make) -> str:  # it says where images cannot be built at all
    """A base that is in the storage."""
    return base_image("python", bases.native(), lambda _: None)


def mounts() -> set[str]:
    """What is mounted of the storage for everybody on this machine."""
    text = Path("/proc/self/mountinfo").read_text()
    return {line.split()[4] for line in text.splitlines() if str(buildah.folder()) in line}


def naps() -> list[int]:
    """Numbers of the processes that sleep that long."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", NAP.encode()]:
            found.append(int(place.parent.name))
    return found


@pytest.mark.parametrize("stopped", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_build_that_is_ended(base: str, tmp_path: Path, stopped: signal.Signals) -> None:
    (tmp_path / "Containerfile").write_text(f"FROM {base}\nRUN sleep {NAP}\n")
    _ended([sys.executable, "-c", BUILDS, str(tmp_path)], stopped)
    # the storage is in order: the next build is one like any other
    image = "localhost/afkit-tests-next:1"
    (tmp_path / "Containerfile").write_text(f"FROM {base}\nRUN echo built > /built\n")
    try:
        buildah.build(tmp_path / "Containerfile", tmp_path, image, arch=bases.native(), arguments=[], log=tmp_path / "log")
        with buildah.mounted(image) as root:
            assert (root / "built").read_text() == "built\n"
    finally:
        buildah.buildah("rmi", image)


def test_who_uses_an_image_is_ended(base: str) -> None:
    _ended([sys.executable, "-c", HOLDS, base, NAP], signal.SIGKILL)


def test_what_a_killed_build_has_left_is_tidied(base: str) -> None:
    assert buildah.has(base)
    left = [buildah.folder() / name for name in ("secrets-left", "export-left", "layer-left")]
    for place in left[:2]:
        place.mkdir()
    left[2].touch()

    def tidied() -> bool:
        tidy()  # does nothing while somebody builds
        return not any(place.exists() for place in left)

    until(tidied, 600, "nobody builds")
    assert buildah.has(base)


def _ended(command: list[str], how: signal.Signals) -> None:
    before = mounts()
    builder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        (nap,) = until(naps, 120, "the step runs")
        inside = Path(f"/proc/{nap}/ns/mnt").stat().st_ino
        assert inside != Path("/proc/self/ns/mnt").stat().st_ino
        assert str(buildah.folder()) in Path(f"/proc/{nap}/mountinfo").read_text(), "it has mounts of the storage"
        builder.send_signal(how)
        builder.wait(30)
        until(lambda: not naps(), 30, "what it ran has ended")
    finally:
        builder.kill()
        builder.wait()
    assert mounts() == before
    # those that the kernel has ended take a moment to go
    until(lambda: not [place for place in Path("/proc").glob("[0-9]*") if _namespace(place) == inside], 30, "nobody is inside")


def _namespace(process: Path) -> int:
    try:
        return (process / "ns/mnt").stat().st_ino
    except OSError:
        return 0
