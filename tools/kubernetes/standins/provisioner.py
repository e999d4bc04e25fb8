"""Makes a volume for each claim of its storage classes: a folder behind a ``local`` volume, on which ``fsGroup`` works.

Run inside the mount namespace of the node: ``python -m tools.kubernetes.standins.provisioner KUBECONFIG FOLDER``. A class that
waits for its first consumer is served once the scheduler has chosen a node. Every node may use every volume, as if it lay on a
server: only one node is real. A volume whose claim is gone is deleted with its folder, where its reclaim policy says so.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from afkit.errors import KubernetesError
from afkit.kube.client import Kubernetes
from afkit.kube.watch import SharedWatch
from tools.kubernetes.standins.objects import PROVISIONER

log = logging.getLogger("provisioner")
CHOSEN = "volume.kubernetes.io/selected-node"
MADE_BY = "pv.kubernetes.io/provisioned-by"
Object = Mapping[str, Any]


class Provisioner:
    """Answers claims and tidies up after them; what fails is tried again a second later."""

    def __init__(self, kube: Kubernetes, folder: Path) -> None:
        self._kube = kube
        self._folder = folder
        self._work: asyncio.Queue[partial[Any]] = asyncio.Queue()
        self._classes = SharedWatch(kube, "StorageClass", project=_ours)
        self._claims = SharedWatch(kube, "PersistentVolumeClaim")
        self._volumes = SharedWatch(kube, "PersistentVolume")

    async def run(self) -> None:
        """Serve for ever."""
        self._classes.subscribe(self._again)
        self._claims.subscribe(lambda change, claim: self._take(self.answer, change, claim))
        self._volumes.subscribe(lambda change, volume: self._take(self.tidy, change, volume))
        for watch in (self._classes, self._claims, self._volumes):
            await watch.start()
        while True:
            do = await self._work.get()
            try:
                await do()
            except (KubernetesError, OSError) as error:
                log.warning("%s: %s", do.args[0]["metadata"]["name"], error)
                asyncio.get_running_loop().call_later(1, self._work.put_nowait, do)

    def _again(self, change: str, _: Object) -> None:
        if change == "ADDED":
            for claim in self._claims.objects.values():
                self._take(self.answer, change, claim)

    def _take(self, do: Any, change: str, obj: Object) -> None:
        if change != "DELETED":
            self._work.put_nowait(partial(do, obj))

    async def answer(self, claim: Object) -> None:
        """Make the volume of a claim that waits for one."""
        storage_class = self._classes.objects.get(("", claim["spec"].get("storageClassName", "")))
        name = f"pvc-{claim['metadata']['uid']}"
        if storage_class is None or not waits(claim, storage_class) or ("", name) in self._volumes.objects:
            return
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            await self._kube.create(volume_for(claim, storage_class, name, folder))
        except KubernetesError as error:
            if error.status != 409:  # made at an earlier change
                raise
        log.info("%s/%s: %s", claim["metadata"]["namespace"], claim["metadata"]["name"], folder)

    async def tidy(self, volume: Object) -> None:
        """Delete a volume of ours whose claim is gone, and what was in it."""
        metadata, spec = volume["metadata"], volume["spec"]
        if (metadata.get("annotations") or {}).get(MADE_BY) != PROVISIONER:
            return
        if volume.get("status", {}).get("phase") == "Released" and spec["persistentVolumeReclaimPolicy"] == "Delete":
            await asyncio.to_thread(shutil.rmtree, spec["local"]["path"], ignore_errors=True)
            await self._kube.delete("PersistentVolume", metadata["name"])
            log.info("%s deleted", metadata["name"])


def _ours(storage_class: Object) -> dict[str, Any] | None:
    return dict(storage_class) if storage_class["provisioner"] == PROVISIONER else None


def waits(claim: Object, storage_class: Object) -> bool:
    """Whether a claim is to be answered now (pure)."""
    metadata = claim["metadata"]
    if claim["spec"].get("volumeName") or metadata.get("deletionTimestamp"):
        return False
    return CHOSEN in (metadata.get("annotations") or {}) or storage_class.get("volumeBindingMode") != "WaitForFirstConsumer"


def volume_for(claim: Object, storage_class: Object, name: str, folder: Path) -> dict[str, Any]:
    """The volume of a claim (pure)."""
    metadata, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
            | {key: metadata[key] for key in ("namespace", "name", "uid")},
            "local": {"path": str(folder)},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}]}
            },
        },
    }


async def main(kubeconfig: str, folder: str) -> None:
    """Serve for ever."""
    async with await Kubernetes.connect(kubeconfig) as kube:
        await Provisioner(kube, Path(folder)).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(main(*sys.argv[1:]))
