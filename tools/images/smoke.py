"""Runs a program in an image's file system: read-only, as a number without a name, without a network, on any architecture.

Another architecture's programs run under qemu's user emulation, which is made known to a user namespace of its own: the
machine's own settings stay as they are. That takes Linux 6.7.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.images import apart, bases, store
from tools.images.programs import program
from tools.images.store import Image

UID: Final = 4242
"""Anybody: no image has a user of this number."""
EMULATORS: Final = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}
_MACHINES: Final = {"arm64": 0xB7, "amd64": 0x3E}
_SETUP: Final = Path(__file__).with_name("smoke.sh")


class EmulationError(Exception):
    """Programs of that architecture cannot be run here; the text says what is missing."""


def run(image: Image, command: Sequence[str], *, files: Sequence[Path] = (), timeout: float = 300) -> str:
    """Run a command in an image; returns its output. ``files`` are then in /tmp, which is the one place to write.

    Raises ``CalledProcessError`` with what it printed, ``EmulationError`` where the image's architecture cannot be run.
    """
    emulator = find_emulator(image.arch)
    with store.mounted(image) as root:
        arguments = [
            str(apart.inside(root)),
            str(UID),
            emulator,
            registration(image.arch, emulator),
            str(len(files)),
            *map(str, files),
            *command,
        ]
        done = inside(arguments, emulated=bool(emulator), timeout=timeout)
    if done.returncode == 125 and emulator:
        raise EmulationError(f"this kernel registers no emulator for one's own programs (Linux 6.7 does): {done.stderr.strip()}")
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, list(command), done.stdout, done.stderr)
    return done.stdout


def inside(arguments: Sequence[str], *, emulated: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run the setup in namespaces of its own; all processes end with it."""
    namespaces = ["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private"]
    if emulated:
        namespaces = ["--user", *[word for word in namespaces if word not in {"--propagation", "private"}]]
    script = 'echo ready; read -r _; exec sh "$@"'
    command = apart.enter_mounts(["unshare", *namespaces, "sh", "-c", script, "sh", _SETUP, *arguments])
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None  # it is a pipe
        if child.stdout.readline() and emulated:
            # all numbers mean the same inside; only the right to register an emulator is new
            for kind in ("uid_map", "gid_map"):
                Path(f"/proc/{child.pid}/{kind}").write_text("0 0 4294967295\n")
        out, error = child.communicate("\n", timeout=timeout)
    finally:
        child.kill()
        child.wait()
    return subprocess.CompletedProcess(command, child.returncode, out, error)


def find_emulator(arch: str) -> str:
    """The path of the emulator that an architecture needs here; empty: none."""
    if arch == bases.native() or Path("/proc/sys/fs/binfmt_misc", EMULATORS[arch].removesuffix("-static")).exists():
        return ""
    return str(program(EMULATORS[arch]))


def registration(arch: str, emulator: str) -> str:
    """The line that makes the emulator known for programs of the architecture (`F`: it is opened now, outside the image)."""
    magic = "\\x7fELF\\x02\\x01\\x01" + "\\x00" * 9 + f"\\x02\\x00\\x{_MACHINES[arch]:02x}\\x00"
    mask = "\\xff" * 7 + "\\x00" + "\\xff" * 8 + "\\xfe\\xff\\xff\\xff"
    return f":afkit-{arch}:M::{magic}:{mask}:{emulator}:F" if emulator else ""
