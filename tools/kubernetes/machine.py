"""What a machine must have before a cluster can run on it; all that is missing is said at once."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

from tools.cache import cached, home
from tools.kubernetes.build import Say, programs as built
from tools.kubernetes.commands import Programs
from tools.kubernetes.layout import HIDDEN
from tools.suite import debian

ROOT = Path(__file__).resolve().parents[2]
CHOICE = "XDG_CACHE_HOME chooses another place"
MOVE = "use a checkout somewhere else"
GIGABYTE = 10**9
DISK = 20
"""Gigabytes that must be free before the first build: caches of Go, programs, images, volumes."""
DISK_WARM = 8
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNPACKED = ("containerd", "runc", "containernetworking-plugins")
"""Debian's packages that are unpacked into the cache, never installed: one would start a service, and another package of the
machine (Docker's) may exclude them."""
INSTALLED = {"nft": "nftables", "ip": "iproute2"}
FUSE = "libfuse2"
"""A library for the file system that stands in for CVMFS."""
CNI_PLACES = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
CNI_PLUGINS = ("ptp", "host-local", "loopback")


class MachineError(Exception):
    """The machine cannot run a cluster; the text has a line for every reason, each with what to do."""


def ready(state: Path, say: Say) -> Programs:
    """Check the machine, install and build what is missing, and return where the programs are. Raises ``MachineError``."""
    problems = list(reasons_against(state))
    if problems:
        raise MachineError("\n".join(problems))
    missing = [package for program, package in INSTALLED.items() if not which(program)]
    missing += [FUSE] if not find_library("fuse") else []
    if missing and not debian.install(*missing):
        raise MachineError(f"these packages are missing and could not be installed: {' '.join(missing)}")
    tools = node_programs(say)
    return Programs(built(say), tools["containerd"], tools["ctr"], tools["runc"], tools["cni"], f"{tools['containerd'].parent}:{SBIN}")


def reasons_against(state: Path) -> Iterator[str]:
    """Every reason why no cluster can run here, one sentence each."""
    if sys.platform != "linux":
        yield "a cluster needs Linux: use a virtual machine, or point AFKIT_TEST_KUBECONFIG at a cluster that you have"
        return
    if os.geteuid() != 0:
        yield "a cluster needs root (it makes namespaces, mounts and network cards, all of its own): run this with sudo"
    else:
        effective = int(re.findall(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())[0], 16)
        lacking = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
        if lacking:
            yield f"root has no {' and no '.join(lacking)} here: a container must be started with these capabilities"
    warm = (home() / "programs").is_dir()
    for folder, needed in ((home(), DISK_WARM if warm else DISK), (state, DISK_WARM)):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free / GIGABYTE
        if free < needed:
            yield f"{there} has {free:.0f} GB free, {needed} GB are needed: {CHOICE}"
    for folder, remedy in ((home(), CHOICE), (state, CHOICE), (ROOT, MOVE), (Path(sys.prefix), MOVE)):
        if any(folder.resolve().is_relative_to(hidden) for hidden in HIDDEN):
            yield f"{folder} is under one of {', '.join(HIDDEN)}, which the cluster hides: {remedy}"
    if (
        "overlay" not in Path("/proc/filesystems").read_text()
        and subprocess.run(["modprobe", "overlay"], capture_output=True, check=False).returncode
    ):
        yield "this kernel has no overlay file systems (modprobe overlay failed)"


def node_programs(say: Say) -> dict[str, Path]:
    """containerd, ctr, runc and the folder of the CNI plugins: the machine's, else Debian's, unpacked."""
    found = {name: place for name in ("containerd", "ctr", "runc") if (place := which(name))}
    if "containerd" in found and old_containerd(found["containerd"]):
        found = {}
    cni = next((Path(place) for place in CNI_PLACES if all(Path(place, plugin).exists() for plugin in CNI_PLUGINS)), None)
    if cni is not None:
        found["cni"] = cni
    if len(found) == 4:
        return found
    content = f"{platform.machine()} {debian.release()} {UNPACKED}".encode()
    folder = cached("node-packages", content, lambda folder: debian.unpack(folder, *UNPACKED), say)
    unpacked = {"containerd": "usr/bin/containerd", "ctr": "usr/bin/ctr", "runc": "usr/sbin/runc", "cni": "usr/lib/cni"}
    if "containerd" not in found:
        found = {}  # one version of everything
    return {name: folder / place for name, place in unpacked.items()} | found


def old_containerd(program: Path) -> bool:
    """Whether a containerd is older than 1.6."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\bv?(\d+)\.(\d+)\.\d+", told)
    return match is None or (int(match[1]), int(match[2])) < (1, 6)


def which(name: str) -> Path | None:
    """A program of the machine; administrators' folders are looked at too."""
    place = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    return Path(place) if place else None
