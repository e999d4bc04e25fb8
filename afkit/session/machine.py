"""What this machine, or the container that this process runs in, has: cores, memory, GPUs. Reads files, decides nothing.

Sources: `Documentation/admin-guide/cgroup-v1` and `cgroup-v2` of Linux (``cpu.max``, ``memory.max``, ``cpu.cfs_quota_us``,
``memory.limit_in_bytes``); NVIDIA's ``CUDA_VISIBLE_DEVICES``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["cores", "gpus", "memory"]

_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


def cores() -> int:
    """Millicores: of this process's CPUs those that its control group may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    found = [count * 1000]
    for folder in _folders("cpu"):
        quota, period = _text(folder / "cpu.max").split() if _text(folder / "cpu.max") else ("", "")
        quota = quota or _text(folder / "cpu.cfs_quota_us")
        period = period or _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) > 0 < int(period):
            found.append(max(100, int(quota) * 1000 // int(period)))
    return min(found)


def memory() -> int:
    """Bytes: of this machine's memory what its control group may use."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in _folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(folder / name)
            if text.isdigit() and 0 < int(text) < _UNLIMITED:
                found.append(int(text))
    return min(found)


def gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What to write into ``CUDA_VISIBLE_DEVICES``, one entry for each GPU that this process may use; empty where there is none.

    An explicit ``CUDA_VISIBLE_DEVICES`` is taken as it stands, else the NVIDIA device files are counted, else AMD's.
    """
    present = len([path for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit()]) or _amd()
    written = environ.get("CUDA_VISIBLE_DEVICES")
    if not present or written is None:
        return tuple(str(index) for index in range(present))
    chosen = []
    for word in written.split(","):
        # as CUDA reads it: the first entry that is no device hides all that follow
        if not re.fullmatch(r"\s*([0-9]+|GPU-[0-9a-fA-F-]+|MIG-[^,\s]+)\s*", word):
            break
        chosen.append(word.strip())
    return tuple(chosen)


def _amd() -> int:
    """AMD's GPUs: the compute nodes of its driver that have SIMD units (its CPUs are nodes too)."""
    nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    return sum(re.search(r"^simd_count [1-9]", _text(node), re.M) is not None for node in nodes)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of its parents, both generations."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        names, _, place = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        root = _CGROUPS / names if names else _CGROUPS
        folder = root / place.lstrip("/")
        # inside a container the path may be the host's: then its own root says the limit
        while folder != root and root in folder.parents:
            if folder.is_dir():
                yield folder
            folder = folder.parent
        yield root
        if names:
            yield _CGROUPS / controller


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return ""
