"""Images as content: each blob is kept once, and archives are written from them, whole or only with what is new."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tools.images import buildah

INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that lies in the store: one platform of it."""

    name: str
    tag: str
    arch: str
    digest: str
    size: int
    below: str = ""
    """Where afkit is a layer that was put on top: the tag of what lies below it."""

    @property
    def reference(self) -> str:
        """The name under which a node has it."""
        return f"docker.io/local/afkit-{self.name}:{self.tag}"

    @property
    def built(self) -> str:
        """Its name in buildah's storage, or of what lies below its last layer."""
        return f"localhost/afkit-{self.name}-{self.arch}:{self.below or self.tag}"

    @property
    def pinned(self) -> str:
        """The name that means exactly this content."""
        return f"docker.io/local/afkit-{self.name}@{self.digest}"

    @property
    def descriptor(self) -> dict[str, Any]:
        """How an index names it."""
        manifest = json.loads(blob(self.digest).read_bytes())
        return {
            "mediaType": manifest["mediaType"],
            "digest": self.digest,
            "size": blob(self.digest).stat().st_size,
            "platform": {"os": "linux", "architecture": self.arch},
        }

    def blobs(self) -> Iterator[str]:
        """Digests of all that it consists of: manifest, configuration, layers."""
        manifest = json.loads(blob(self.digest).read_bytes())
        yield self.digest
        yield manifest["config"]["digest"]
        yield from (layer["digest"] for layer in manifest["layers"])


def blob(digest: str) -> Path:
    """Where a blob lies."""
    return buildah.folder() / "blobs" / digest.removeprefix("sha256:")


def keep(name: str, tag: str, arch: str) -> Image:
    """Take an image of buildah's storage into the store."""
    built = Image(name, tag, arch, "", 0).built
    pool = buildah.folder() / "blobs"
    pool.mkdir(parents=True, exist_ok=True)
    with buildah.building(), tempfile.TemporaryDirectory(dir=buildah.folder(), prefix="export-") as folder:
        out = Path(folder, "image")
        buildah.export(built, out)
        text = (out / "manifest.json").read_bytes()
        manifest = json.loads(text)
        parts = [manifest["config"], *manifest["layers"]]
        for part in parts:
            (out / part["digest"].removeprefix("sha256:")).replace(blob(part["digest"]))
    return Image(name, tag, arch, put(text), sum(part["size"] for part in parts))


def layer(folder: Path) -> str:
    """Take a folder's files into the store as a layer, everything root's; returns its digest."""
    (buildah.folder() / "blobs").mkdir(parents=True, exist_ok=True)
    with buildah.building():
        with (
            tempfile.NamedTemporaryFile(dir=buildah.folder(), prefix="layer-", delete=False) as file,
            tarfile.open(fileobj=file, mode="w") as tar,
        ):
            for path in sorted(folder.rglob("*")):
                entry = tar.gettarinfo(path, str(path.relative_to(folder)))
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                if entry.isfile():
                    with path.open("rb") as content:
                        tar.addfile(entry, content)
                else:
                    tar.addfile(entry)
        digest = hash_of(Path(file.name))
        Path(file.name).replace(blob(digest))
    return digest


def put_on(image: Image, digest: str, tag: str) -> Image:
    """The image with a layer of the store on top."""
    manifest = json.loads(blob(image.digest).read_bytes())
    configuration = json.loads(blob(manifest["config"]["digest"]).read_bytes())
    configuration["rootfs"]["diff_ids"].append(digest)
    configuration.setdefault("history", []).append({"created": configuration["created"], "created_by": "COPY afkit"})
    text = json.dumps(configuration).encode()
    manifest["config"] = manifest["config"] | {"digest": put(text), "size": len(text)}
    size = blob(digest).stat().st_size
    manifest["layers"].append({"mediaType": manifest["layers"][0]["mediaType"], "digest": digest, "size": size})
    return Image(image.name, tag, image.arch, put(json.dumps(manifest).encode()), image.size + size, below=image.tag)


def put(content: bytes) -> str:
    """Take a blob into the store; returns its digest."""
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    # never written over: others read it, and it may have more names than this one
    with tempfile.NamedTemporaryFile(dir=blob(digest).parent, prefix="new-", delete=False) as file:
        file.write(content)
    Path(file.name).replace(blob(digest))
    return digest


def hash_of(file: Path) -> str:
    """The digest of a file."""
    with file.open("rb") as content:
        return "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()


@contextlib.contextmanager
def mounted(image: Image) -> Iterator[Path]:
    """The file system of an image, as a folder; changes to it are lost."""
    with buildah.mounted(image.built) as root:
        if image.below:
            *_, top = image.blobs()
            subprocess.run(["tar", "--extract", "--file", blob(top), "--directory", root], check=True)
        yield root


def names(image: Image, tags: Collection[str] = ()) -> set[str]:
    """The names under which a node has an image: its own tag and ``tags``, and the one with its digest."""
    return {image.reference, image.pinned, *(f"docker.io/local/afkit-{image.name}:{tag}" for tag in tags)}


def write(images: Iterable[Image], out: IO[bytes], *, tags: Collection[str] = (), known: Collection[str] = ()) -> None:
    """Write an OCI archive that ``ctr images import`` reads; blobs whose digests are ``known`` there are left out.

    Each image has its own tag and ``tags``, and the name with its digest.
    """
    entries, wanted = [], dict[str, None]()
    for image in images:
        for name in sorted(names(image, tags)):
            annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
            entries.append(image.descriptor | {"annotations": annotations})
        # the manifest always: it is what the index names
        wanted |= dict.fromkeys(digest for digest in image.blobs() if digest == image.digest or digest not in known)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    with tarfile.open(fileobj=out, mode="w|") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add(archive, "index.json", json.dumps(index).encode())
        for digest in wanted:
            archive.add(blob(digest), f"blobs/sha256/{digest.removeprefix('sha256:')}")


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """One file of an archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def archive(images: Collection[Image], out: Path, *, tags: Collection[str] = ()) -> Path:
    """Write an archive as a file, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=out.parent, delete=False) as part:
        try:
            write(images, part, tags=tags)
            Path(part.name).replace(out)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
    return out


def clear() -> None:
    """Remove all images, bases and what was cached of building them."""
    for name in ("storage", "run", "blobs", "made", "archives", "bases"):
        shutil.rmtree(buildah.folder() / name, ignore_errors=True)
