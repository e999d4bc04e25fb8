"""Bases for the tests, from Debian's own packages: no registry of images is asked.

For this machine's architecture a base is a small installed Debian. For another one the packages are only unpacked, so that
nothing of it runs: the few files that its install scripts would have written are written here.
"""

from __future__ import annotations

import filecmp
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.images import apart

PYTHON = ("python3", "python3-venv", "ca-certificates")
ESSENTIAL = ("base-files", "base-passwd", "bash", "coreutils", "dash", "libc-bin", "sed", "grep", "findutils", "tar", "gzip", "libstdc++6")
"""What an unpacked base has beside: as much of a Debian as a person's terminal needs."""
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


@dataclass(frozen=True, slots=True)
class Base:
    """A Debian with some packages."""

    suite: str
    packages: tuple[str, ...]


BASES = {"python": Base("bookworm", PYTHON), "node": Base("trixie", ("nodejs", "ca-certificates"))}


class BaseError(Exception):
    """A base could not be made."""


def native() -> str:
    """The architecture of this machine, as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def key(base: Base, arch: str) -> bytes:
    """What a base is made from."""
    unpacked = (*ESSENTIAL, FINISH) if arch != native() else ()
    return "\n".join([arch, base.suite, *base.packages, *LEFT_OUT, *unpacked]).encode()


def make(base: Base, arch: str, out: Path) -> None:
    """Write the base's file system as an archive."""
    foreign = arch != native()
    wanted = (*base.packages, *ESSENTIAL) if foreign else base.packages
    command = [
        "mmdebstrap",
        "--quiet",
        f"--variant={'extract' if foreign else 'minbase'}",
        f"--architectures={arch}",
        f"--include={','.join(wanted)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
    ]
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="base-") as folder:
        hook = Path(folder, "finish")
        hook.write_text(FINISH, encoding="utf-8")
        hook.chmod(0o755)
        command += [f"--extract-hook={hook}"] if foreign else []
        environment = {**os.environ, "TMPDIR": folder}
        entered = apart.enter([*command, base.suite, out])
        done = subprocess.run(entered, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise BaseError(f"mmdebstrap could not make a base of {base.suite} for {arch}:\n{done.stderr[-2000:]}")


def lend_byte_code(native_root: Path, root: Path) -> None:
    """Give a base that was only unpacked the byte code of the same files of this machine's: it is the same on all platforms."""
    for cache in native_root.glob("usr/lib/python3*/**/__pycache__"):
        copy = root / cache.relative_to(native_root)
        for compiled in cache.glob("*.pyc") if copy.parent.is_dir() else ():
            name = f"{compiled.name.partition('.')[0]}.py"
            source, same = cache.parent / name, copy.parent / name
            if same.exists() and filecmp.cmp(source, same) and source.stat().st_mtime_ns == same.stat().st_mtime_ns:
                copy.mkdir(exist_ok=True)
                shutil.copy2(compiled, copy)


FINISH = """#!/bin/sh
# what the install scripts of base-passwd and ca-certificates would have left; this machine's programs only
set -eu
cd "$1"
cp usr/share/base-passwd/passwd.master etc/passwd
cp usr/share/base-passwd/group.master etc/group
cat usr/share/ca-certificates/mozilla/*.crt > etc/ssl/certs/ca-certificates.crt
mkdir -p tmp root home
chmod 1777 tmp
"""
