"""A real etcd and kube-apiserver on loopback, that can be killed and started again, and a way to them that can be cut or stalled."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.kubernetes.build import MODULES, programs
from tools.kubernetes.certificates import Authority, kubeconfig, save

SERVICES = "198.19.0.0/16"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Control:
    """The control plane without controllers: what is written stays as it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self.authority = Authority()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        wanted = [module for module in MODULES if module.name == "kubernetes"]
        self._programs = programs(lambda line: print(line), wanted)
        self._write()
        self.tls = ssl.create_default_context(cadata=self.authority.pem().decode())
        self.tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self.tls.load_cert_chain(folder / "admin.crt", folder / "admin.key")

    def _write(self) -> None:
        save(self.folder / "ca.crt", self.authority.pem())
        for name, user, groups, hosts in (
            ("server", "kube-apiserver", (), ("127.0.0.1", "localhost")),
            ("admin", "admin", ("system:masters",), ()),
            ("nobody", "nobody", (), ()),
            ("accounts", "accounts", (), ()),
        ):
            certificate, key = self.authority.sign(user, groups, hosts)
            save(self.folder / f"{name}.crt", certificate)
            save(self.folder / f"{name}.key", key)

    def kubeconfig(self, port: int | None = None, user: str = "admin") -> str:
        """The path of a kubeconfig of that user, by the way of that port."""
        file = self.folder / f"{user}-{port or self.port}.config"
        certificate, key = ((self.folder / f"{user}.{kind}").read_bytes() for kind in ("crt", "key"))
        save(file, kubeconfig(f"https://127.0.0.1:{port or self.port}", self.authority.pem(), certificate, key))
        return str(file)

    def start(self) -> None:
        """Start etcd and the API server; returns when it is ready."""
        url, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        etcd = ["--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync", "--listen-client-urls", url, "--advertise-client-urls", url]
        self._run(
            "etcd", [*etcd, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        )
        self.begin_server()
        self.wait_for_server()

    async def restart_server(self) -> None:
        """Kill the API server and start it again; returns when it is ready."""
        self.kill_server()
        # from this thread: its end would be the server's end
        self.begin_server()
        await asyncio.to_thread(self.wait_for_server)

    def begin_server(self) -> None:
        """Start the API server on the state that etcd has."""
        at = self.folder
        flags = {
            "etcd-servers": f"http://127.0.0.1:{self._etcd_port}",
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.port,
            "tls-cert-file": at / "server.crt",
            "tls-private-key-file": at / "server.key",
            "client-ca-file": at / "ca.crt",
            "authorization-mode": "RBAC",
            "allow-privileged": "true",
            "disable-admission-plugins": "ServiceAccount",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": at / "accounts.key",
            "service-account-signing-key-file": at / "accounts.key",
            "service-cluster-ip-range": SERVICES,
            "endpoint-reconciler-type": "none",
        }
        self._run("kube-apiserver", [f"--{key}={value}" for key, value in flags.items()])

    def wait_for_server(self) -> None:
        """Return when the API server is ready."""
        end = time.monotonic() + 90
        while not self._ready():
            if self._processes["kube-apiserver"].poll() is not None or time.monotonic() > end:
                raise AssertionError((self.folder / "kube-apiserver.log").read_text()[-3000:])
            time.sleep(0.1)

    def kill_server(self) -> None:
        """End the API server at once, as a crash does."""
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End everything."""
        for process in reversed(self._processes.values()):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def _run(self, name: str, arguments: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            # they end with whoever runs the tests, however that ends
            command = ["setpriv", "--pdeathsig", "KILL", str(self._programs[name]), *arguments]
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/readyz", timeout=2, context=self.tls) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class Way:
    """A TCP way to the API server: what goes through it can be cut off, or be kept back without a word."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._stalled: set[asyncio.StreamWriter] = set()
        self.closed = False
        self.port = 0

    async def __aenter__(self) -> Way:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        """Reset every connection that there is."""
        for writer in self._open:
            writer.transport.abort()

    def stall(self) -> None:
        """Keep back everything on the connections that there are; new ones go through."""
        self._stalled |= self._open

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self._open -= {writer, far_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if writer not in self._stalled:
                    writer.write(data)
                    await writer.drain()
        writer.close()


def pod(name: str, namespace: str = "default", **labels: str) -> Mapping[str, object]:
    """A pod of about the size that servers have."""
    env = [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(40)]
    spec = {"containers": [{"name": "notebook", "image": "r.example.org/i:1", "env": env}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec}


READY = {"status": {"phase": "Running", "podIP": "198.18.0.9", "conditions": [{"type": "Ready", "status": "True"}]}}
