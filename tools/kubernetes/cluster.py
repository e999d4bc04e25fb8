"""``Cluster``: a running cluster as others use it, and how it is started and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.kubernetes import holder
from tools.kubernetes.api import Api
from tools.kubernetes.commands import Programs, import_images
from tools.kubernetes.layout import HIDDEN, KUBELET_ROOT, Layout
from tools.kubernetes.processes import Process


class ClusterError(Exception):
    """The cluster could not do what was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster, by its state folder; any process of the machine that is root may use it."""

    layout: Layout
    programs: Programs
    holder: Process
    _apis: list[Api] = field(default_factory=list, repr=False)

    @classmethod
    def attach(cls, state: Path) -> Cluster:
        """The cluster that runs with this state folder. Raises ``ClusterError``."""
        layout = Layout(state.resolve())
        try:
            held = json.loads(layout.holder.read_text())
            facts = json.loads(layout.facts.read_text())
        except (OSError, ValueError) as error:
            raise ClusterError(f"no cluster runs with the state folder {state}: make kube-up starts one") from error
        process = Process(**held["processes"]["holder"])
        if not process.alive:
            raise ClusterError(f"the cluster of {state} has ended: make kube-down tidies up, make kube-up starts anew")
        return cls(layout, programs_from(facts["programs"]), process)

    # ---- what the cluster is

    @property
    def kubeconfig(self) -> Path:
        """With all rights, for any program of the machine."""
        return self.layout.kubeconfig

    @property
    def inside_kubeconfig(self) -> Path:
        """With all rights, for programs that were entered into the cluster's network."""
        return self.layout.kubeconfig_of("admin")

    @property
    def kubectl(self) -> Path:
        """The kubectl of this version."""
        return self.programs.built["kubectl"]

    @property
    def api(self) -> Api:
        """A client with all rights."""
        if not self._apis:
            self._apis.append(Api(self.kubeconfig))
        return self._apis[0]

    @property
    def volume_root(self) -> Path:
        """A folder for host paths and local volumes, the same inside and outside. Mounts made in it outside are not seen inside."""
        return self.layout.volumes

    @property
    def kubelet_root(self) -> Path:
        """The kubelet's folder, inside; outside it is ``outside(kubelet_root)``, without the mounts."""
        return Path(KUBELET_ROOT)

    def outside(self, inside: Path) -> Path:
        """Where a path under /run, /var/lib or /var/log of the cluster lies on the machine."""
        for hidden, own in HIDDEN.items():
            if inside.is_relative_to(hidden):
                return self.layout.state / own / inside.relative_to(hidden)
        return inside

    def log(self, name: str) -> Path:
        """What a program prints."""
        return self.layout.logs / f"{name}.log"

    # ---- going inside

    def enter(self, command: Sequence[str | Path], *, mounts: bool = False, names: bool = False) -> list[str]:
        """The command line that runs ``command`` inside.

        By itself in the cluster's network, with the machine's files. ``names``: with the cluster's names (DNS) too.
        ``mounts``: with the cluster's mounts and process numbers (paths are absolute then), which ``ctr`` and file systems need.
        """
        inside = ["nsenter", "--target", str(self.holder.pid), "--net"]
        inner = [str(word) for word in command]
        if mounts:
            return [*inside, "--mount", "--pid", "--", *inner]
        if names:
            script = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"'
            inner = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(self.layout.resolv), *inner]
        return [*inside, "--", *inner]

    def run(self, command: Sequence[str | Path], *, mounts: bool = False, names: bool = False, timeout: float = 120) -> str:
        """Run a command inside to its end; returns what it printed. Raises ``ClusterError`` with what it said."""
        entered = self.enter(command, mounts=mounts, names=names)
        ended = subprocess.run(entered, capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL)
        if ended.returncode != 0:
            raise ClusterError(f"{Path(str(command[0])).name} failed ({ended.returncode}): {ended.stderr[-2000:] or ended.stdout[-2000:]}")
        return ended.stdout

    def import_image(self, archive: Path) -> None:
        """Give the node the images of an archive (``docker-archive`` or OCI, as a file), under the names that stand in it."""
        self.run(import_images(self.programs, archive.resolve()), mounts=True, timeout=600)

    # ---- programs and ports

    def start_program(self, name: str, command: Sequence[str | Path] | None = None, environment: Mapping[str, str] | None = None) -> int:
        """Start a program that ends with the cluster at the latest; returns its number inside.

        Without a command: one of the cluster's own that was ended, or any as it was started before.
        """
        asked: dict[str, Any] = {"do": "start", "name": name}
        if command is not None:
            asked["command"] = [str(word) for word in command]
            asked["environment"] = {"PATH": self.programs.path, "HOME": "/root", **(environment or {})}
        return int(self.ask(asked)["pid"])

    def end_program(self, name: str, number: int = signal.SIGTERM, *, seconds: float = 20) -> None:
        """End a program and wait until it has; it is killed where that takes longer."""
        for each in (number, signal.SIGKILL):
            self.ask({"do": "signal", "name": name, "number": int(each)})
            with contextlib.suppress(ClusterError):
                self.ask({"do": "wait", "name": name, "seconds": seconds})
                return

    def signal_program(self, name: str, number: int) -> None:
        """Send a program a signal (SIGSTOP and SIGCONT among them)."""
        self.ask({"do": "signal", "name": name, "number": int(number)})

    def program_state(self) -> Mapping[str, Any]:
        """Every program with ``pid`` (inside) and ``code`` (None: it runs)."""
        return self.ask({"do": "state"})

    def forward(self, target: str, *, port: int = 0) -> str:
        """A URL on 127.0.0.1 for ``ADDRESS:PORT`` inside or for ``NAMESPACE/SERVICE[:PORT]``; it works as long as the cluster runs."""
        host, target_port = self.address(target)
        with socket.create_server(("127.0.0.1", port), backlog=256) as listener:
            self.ask({"do": "forward", "host": host, "port": target_port}, listener.fileno())
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def address(self, target: str) -> tuple[str, int]:
        """Host and port of a target of ``forward``."""
        place, _, port = target.rpartition(":") if ":" in target else (target, "", "")
        if "/" not in place:
            return place, int(port)
        namespace, _, service = place.partition("/")
        found = self.api.get(f"/api/v1/namespaces/{namespace}/services/{service}")["spec"]
        return str(found["clusterIP"]), int(port or found["ports"][0]["port"])

    def ask(self, message: Mapping[str, Any], descriptor: int | None = None) -> Mapping[str, Any]:
        """One request to the holder."""
        with control(self.layout) as connection:
            answer = holder.send(connection, message, descriptor)
        if "error" in answer:
            raise ClusterError(f"{message.get('do')} {message.get('name', '')}: {answer['error']}")
        return answer


@contextlib.contextmanager
def control(layout: Layout) -> Iterator[socket.socket]:
    """A connection to the holder; its socket is reached by a short path, however long that of the state folder is."""
    folder = os.open(layout.state, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(f"/proc/self/fd/{folder}/{layout.control.name}")
            yield connection
    except OSError as error:
        raise ClusterError(f"the holder of {layout.state} does not answer: {error}") from error
    finally:
        os.close(folder)


def programs_from(facts: Mapping[str, Any]) -> Programs:
    """The programs as the cluster's facts name them."""
    places = {name: Path(facts[name]) for name in ("containerd", "ctr", "runc", "cni")}
    return Programs({name: Path(place) for name, place in facts["built"].items()}, **places, path=facts["path"])


def programs_facts(programs: Programs) -> Mapping[str, Any]:
    """What ``programs_from`` reads."""
    places = {name: str(getattr(programs, name)) for name in ("containerd", "ctr", "runc", "cni", "path")}
    return {"built": {name: str(place) for name, place in programs.built.items()}, **places}
