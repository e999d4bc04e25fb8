"""Images that a new cluster has at once: a folder of containerd's in the cache, made once from what seldom changes of them.

A cluster sees the layers and blobs by read-only mounts of its own: nothing is copied, nothing that runs in it can change them, and
cache and state may be on different file systems. Only containerd's notes of them, small files, are copied into its state.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tools.cache import cached, forget, use
from tools.images import store
from tools.images.store import Image
from tools.kubernetes.build import Say
from tools.kubernetes.commands import Programs
from tools.kubernetes.layout import CONTAINERD_ROOT, CONTAINERD_SOCKET

KIND = "node-images"
KEPT = 2
"""How many stay, so that going back and forth between two states of the images imports nothing."""
SNAPSHOTTER = "overlayfs"
BLOBS = Path("io.containerd.content.v1.content/blobs/sha256")
LAYERS = Path(f"io.containerd.snapshotter.v1.{SNAPSHOTTER}/snapshots")
LARGE = 1 << 20
"""Bytes from which on a blob is not kept twice."""
MAKE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"),
    *("sh", "-euc"),
)
"""Whoever makes a folder does so in namespaces that end with him, however he ends."""
IMPORT = f"""
mount -t tmpfs none /run
"$1" --config "$3/containerd.toml" >"$3/log" 2>&1 &
until [ -S {CONTAINERD_SOCKET} ]; do kill -0 $! && sleep 0.05; done
"$2" --address {CONTAINERD_SOCKET} --namespace k8s.io images import --snapshotter {SNAPSHOTTER} -
kill $!
wait $! || true
"""
LEND = """
while [ $# -gt 0 ]; do
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
  shift 2
done
"""


def prepare(programs: Programs, images: Sequence[Image], say: Say) -> Path | None:
    """The folder that has these images, made or found; None where it cannot be made: they have to be imported then."""
    if not images:
        return None
    version = subprocess.run([programs.containerd, "--version"], capture_output=True, text=True, check=False).stdout
    content = "\n".join([version, SNAPSHOTTER, IMPORT, *sorted(f"{image.reference} {image.digest}" for image in images)])
    try:
        folder = cached(KIND, content.encode(), partial(make, programs, images, say), say)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"the images have to be imported, since they cannot be prepared: {error}")
        return None
    with contextlib.suppress(FileNotFoundError):
        os.utime(folder)
    forget(KIND, KEPT)
    return folder


def make(programs: Programs, images: Iterable[Image], say: Say, folder: Path) -> None:
    """Let a containerd import the images into ``folder``, which is the root of all that it has."""
    listed = list(images)
    say(f"preparing {', '.join(f'{image.name} ({image.size / 1e6:.0f} MB)' for image in listed)} for nodes (once; kept in {folder.parent})")
    (folder / "containerd.toml").write_text(
        f"""version = 2
root = "{folder}/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]

[grpc]
address = "{CONTAINERD_SOCKET}"
"""
    )
    command: list[str | Path] = [*MAKE, IMPORT, "sh", programs.containerd, programs.ctr, folder]
    environment = {"PATH": programs.path}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as importer:
        assert importer.stdin is not None
        assert importer.stdout is not None
        with contextlib.suppress(BrokenPipeError), importer.stdin:
            store.write(listed, importer.stdin)
        said = importer.stdout.read().decode(errors="replace")
    if importer.returncode != 0:
        raise subprocess.SubprocessError(said[-1000:])
    for blob in (folder / "root" / BLOBS).iterdir():
        share(blob)


def share(blob: Path) -> None:
    """Let a large blob be the file that the store of images has, where both are on one file system."""
    own = store.blob(blob.name)
    if blob.stat().st_size < LARGE:
        return
    link = blob.with_suffix(".new")
    with contextlib.suppress(OSError):
        link.hardlink_to(own)
        link.replace(blob)


def taken(folder: Path) -> int | None:
    """A descriptor that keeps the folder there as long as somebody has it open; None where the folder has gone."""
    file = use(folder)
    if file is None:
        return None
    with file:
        return os.dup(file.fileno())


def lend(folder: Path, state: Path) -> list[str]:
    """Copy containerd's notes into its (empty) folder ``state``; returns the command that mounts the rest, to be run inside."""
    pairs: list[str] = []
    for lent in parts(folder / "root"):
        place = lent.relative_to(folder / "root")
        (state / place.parent).mkdir(parents=True, exist_ok=True)
        (state / place).mkdir(mode=0o700) if lent.is_dir() else (state / place).touch(mode=0o400)
        pairs += [str(lent), str(CONTAINERD_ROOT / place)]
    for note in (folder / "root").glob("*/*.db"):
        copy = state / note.relative_to(folder / "root")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(note, copy)
    return ["sh", "-euc", LEND, "sh", *pairs]


def parts(root: Path) -> Iterator[Path]:
    """Each layer and each blob."""
    yield from (root / LAYERS).iterdir()
    yield from (root / BLOBS).iterdir()
