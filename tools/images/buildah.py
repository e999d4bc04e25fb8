"""Buildah with a storage of its own in the project's cache: other images of the machine are neither seen nor touched.

It runs in namespaces that end with this process (`tools.images.apart`): no build that was killed leaves a mount or goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tools.cache import home
from tools.images import apart, bases


class BuildError(Exception):
    """An image could not be built; the text has the builder's last lines."""


def folder() -> Path:
    """Where everything of the images is kept."""
    return home() / "images"


@contextlib.contextmanager
def only_one(what: str) -> Iterator[None]:
    """One build of the same thing at a time, whoever asks: a second one finds what the first has built."""
    locks = folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / what).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Something of the storage is being made or used."""
    with (folder() / "storage.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Whether nobody builds or uses anything of the storage; nobody begins to, then."""
    with (folder() / "storage.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def buildah(*arguments: str | Path, log: Path | None = None) -> str:
    """Run a command of buildah; returns what it printed (with a ``log``, that goes there). Raises ``BuildError``."""
    place = folder()
    command = apart.enter(["buildah", "--root", place / "storage", "--runroot", place / "run", "--storage-driver", "overlay", *arguments])
    if log is None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = done.stderr
    else:
        with log.open("w") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, text=True, check=False)
        told = log.read_text(errors="replace")
    if done.returncode != 0:
        raise BuildError(f"buildah {arguments[0]} failed ({done.returncode}):\n{told[-3000:]}")
    return done.stdout or ""


def has(image: str) -> bool:
    """Whether the storage has an image of this name."""
    with contextlib.suppress(BuildError):
        return bool(buildah("images", "--quiet", image).strip())
    return False


def take_in(image: str, archive: Path, arch: str, finish: Callable[[Path], None] = lambda _: None) -> None:
    """Make an image of one layer out of a file system's archive, and of what ``finish`` does to it."""
    with building():
        made = buildah("from", "--arch", arch, "scratch").strip()
        try:
            buildah("config", "--arch", arch, "--os", "linux", made)
            buildah("add", "--quiet", made, archive, "/")
            finish(apart.outside(Path(buildah("mount", made).strip())))
            buildah("umount", made)
            buildah("commit", "--quiet", made, image)
        finally:
            buildah("rm", made)


@contextlib.contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The file system of an image, as a folder; changes to it are lost."""
    with building():
        made = buildah("from", "--pull-never", image).strip()
        try:
            yield apart.outside(Path(buildah("mount", made).strip()))
        finally:
            buildah("umount", made)
            buildah("rm", made)


def export(image: str, out: Path) -> None:
    """Write an image's manifest, configuration and layers, each a file, layers as they are."""
    buildah("push", "--quiet", "--disable-compression", image, f"dir:{out}")


def build(containerfile: Path, context: Path, image: str, *, arch: str, arguments: Sequence[str], log: Path) -> None:
    """Build an image (or a stage: ``--target`` among the arguments), taking from earlier builds every step whose input is the same."""
    fixed = ("--isolation", "chroot", "--layers", "--pull-never", "--format", "oci")
    # older ones do not know BUILDPLATFORM by themselves
    place = ("--platform", f"linux/{arch}", "--build-arg", f"BUILDPLATFORM=linux/{bases.native()}", "--file", containerfile, "--tag", image)
    with building():
        buildah("build", *fixed, *place, *arguments, context, log=log)
