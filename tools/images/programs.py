"""The programs that build, keep and try images: Debian's, brought where they are missing and that is possible."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools.cache import cached
from tools.suite import debian

BUILDERS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux", "ip": "iproute2"}
"""Programs, and the packages that have them. None of them starts a service."""
UNPACKED = {"docker-registry": "docker-registry", "qemu-aarch64-static": "qemu-user-static", "qemu-x86_64-static": "qemu-user-static"}
"""Programs whose packages would start a service, or change how the machine runs programs: only their files are taken."""


class ProgramError(Exception):
    """A program is not there and cannot be brought; the text says how to get it."""


def builders() -> None:
    """Have what builds images. Raises ``ProgramError``."""
    if os.geteuid() != 0 or sys.platform != "linux":
        raise ProgramError("images are built as root on Linux; podman builds images/NAME/Containerfile without, as its first lines say")
    absent = sorted({package for program, package in BUILDERS.items() if not shutil.which(program)})
    if absent and not debian.install(*absent):
        raise ProgramError(f"images take the packages {', '.join(absent)}, and apt-get did not bring them")


def program(name: str) -> Path:
    """A program by its name. Raises ``ProgramError``."""
    if found := shutil.which(name):
        return Path(found)
    package = UNPACKED[name]
    try:
        folder = cached("packages", f"{package}\n{debian.release()}".encode(), lambda folder: debian.unpack(folder, package))
    except debian.PackageError as error:
        raise ProgramError(str(error)) from error
    return next(folder.rglob(f"bin/{name}"))
