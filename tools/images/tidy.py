"""What earlier builds have left: the newest of each thing stays, with all that it was made from."""

from __future__ import annotations

import contextlib
import json
import shutil
import time

from tools.images import buildah, store

KEPT = 2
"""How many of each image stay, so that going back and forth between two states of the source builds nothing."""
DAY = 86400.0
LEFT = ("export-*", "layer-*", "secrets-*")
"""What is only there while something is built."""


def tidy() -> None:
    """Remove old images, steps of builds that nothing is made from, and blobs that no image has; not while anything is built."""
    with buildah.alone() as nobody_builds:
        if not nobody_builds:
            return
        # what interrupted builds have left
        with contextlib.suppress(buildah.BuildError):
            buildah.buildah("rm", "--all")
        for left in (found for pattern in LEFT for found in buildah.folder().glob(pattern)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        seen: dict[str, int] = {}
        for image in sorted(json.loads(buildah.buildah("images", "--json")), key=lambda each: str(each["createdatraw"]), reverse=True):
            for name in image.get("names") or ():
                kind = name.rpartition(":")[0]
                seen[kind] = seen.get(kind, 0) + 1
                if seen[kind] > KEPT:
                    remove(name)
        with contextlib.suppress(buildah.BuildError):
            buildah.buildah("rmi", "--prune")
        forget()


def remove(name: str) -> None:
    """Remove an image of the storage and what is noted of it; one that somebody has mounted stays."""
    with contextlib.suppress(buildah.BuildError):
        buildah.buildah("rmi", name)
        kind, _, tag = name.removeprefix("localhost/afkit-").partition(":")
        (buildah.folder() / "made" / f"{kind}-{tag}.json").unlink(missing_ok=True)


def forget() -> None:
    """Remove blobs that nothing noted refers to and that nobody has taken in since yesterday."""
    known: set[str] = set()
    for note in (buildah.folder() / "made").glob("*.json"):
        image = store.Image(**json.loads(note.read_text()))
        known |= set(image.blobs()) if image.arch else {image.digest}
    for blob in (buildah.folder() / "blobs").iterdir():
        if f"sha256:{blob.name}" not in known and blob.stat().st_mtime < time.time() - DAY:
            blob.unlink()
