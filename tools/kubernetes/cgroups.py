"""The cgroups of one cluster: a folder of its own in every hierarchy, with cgroup v1 and v2."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
COPIED = ("cpuset.cpus", "cpuset.mems")
"""Empty in a new folder of cgroup v1, where nothing can run before they are set."""


def hierarchies(root: Path = ROOT) -> Iterator[Path]:
    """Where the kernel's hierarchies are mounted; one where there is only version 2."""
    if (root / "cgroup.controllers").exists():
        yield root
        return
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir() and not folder.is_symlink() and (folder / "cgroup.procs").exists():
            yield folder


def make(name: str, root: Path = ROOT) -> None:
    """Make the cluster's folders."""
    for hierarchy in hierarchies(root):
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        for setting in COPIED:
            if hierarchy != root and (folder / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text())
        if (hierarchy / "cgroup.controllers").exists():
            delegate(hierarchy, folder)


def delegate(*folders: Path) -> None:
    """Let the children of these version 2 folders use every controller that there is."""
    for folder in folders:
        for controller in (folder / "cgroup.controllers").read_text().split():
            # one that cannot be handed on is missed by the kubelet, which then says so
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name: str, root: Path = ROOT) -> list[Path]:
    """Remove the cluster's folders, the deepest first; returns what is still there since something runs in it."""
    left = []
    for hierarchy in hierarchies(root):
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            try:
                Path(folder).rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                left.append(Path(folder))
    return left
