"""Tiny images as archives that containerd imports: a few files and a command, no tool for images needed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.kubernetes.nodes import architecture


def archive(
    target: Path, reference: str, files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None, command: Sequence[str]
) -> None:
    """Write an image archive (as ``docker save`` has it): executable ``files`` by path, symbolic ``links``, what is run."""
    layer = tar(files, links or {})
    config = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created_by": "afkit"}],
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    target.write_bytes(tar({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}, {}))


def tar(files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    """An archive whose bytes depend on nothing but its content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            made.addfile(entry, io.BytesIO(content))
        for name, place in sorted(links.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, place
            made.addfile(entry)
    return out.getvalue()
