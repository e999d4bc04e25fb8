"""Images that are as small as can be, in the store of images: for what does not depend on what is in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tools.images import store
from tools.images.store import Image

KIND = "application/vnd.oci.image"


def image(folder: Path, name: str = "tiny", *, arch: str = "amd64", padding: int = 0) -> Image:
    """An image of two layers, the same for the same arguments, made in ``folder``; one blob is larger by ``padding``."""
    (folder / "one" / "folder").mkdir(parents=True)
    (folder / "one" / "below").write_text("below\n" + " " * padding)
    (folder / "one" / "folder" / "kept").write_text("kept")
    (folder / "two").mkdir()
    (folder / "two" / "above").write_text("above\n")
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    layers = [store.layer(folder / each) for each in ("one", "two")]
    config = json.dumps({"architecture": arch, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": layers}}).encode()
    parts = [{"mediaType": f"{KIND}.layer.v1.tar", "digest": each, "size": store.blob(each).stat().st_size} for each in layers]
    own = {"mediaType": f"{KIND}.config.v1+json", "digest": store.put(config), "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": f"{KIND}.manifest.v1+json", "config": own, "layers": parts}
    return Image(name, "1", arch, store.put(json.dumps(manifest).encode()), len(config) + sum(int(str(part["size"])) for part in parts))
