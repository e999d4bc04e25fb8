"""A CSI node plugin in the name of CVMFS' own: brings a node's CVMFS folder, or one repository of it, into pods.

Run inside the mount namespace of the node: ``python -m tools.kubernetes.standins.csi KUBELET_ROOT NODE CVMFS``. The whole folder is
mounted so that what is mounted below it later arrives; with the volume attribute ``repository`` that one alone is mounted, as it is
then. It knows no other calls than the kubelet makes for a plugin without stages and capabilities.
"""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent import futures
from contextlib import suppress
from pathlib import Path

import grpc

from tools.kubernetes.standins.objects import DRIVER
from tools.kubernetes.standins.wire import Value, decode, encode, text, texts

log = logging.getLogger("csi")
REPOSITORY = "repository"
LIBC = ctypes.CDLL(None, use_errno=True)
Fields = Mapping[int, list[int | bytes]]
Answer = Mapping[int, Value]
Methods = Mapping[str, Callable[[Fields], Answer]]
DETACH = 2
"""MNT_DETACH: take a mount away with all below it, whether anything answers there or not (umount(2))."""


class Refused(Exception):
    """The volume cannot be had so; the text says why."""


class Node:
    """What the kubelet asks of the plugin on its node."""

    def __init__(self, name: str, cvmfs: Path) -> None:
        self._name = name
        self._cvmfs = cvmfs

    def methods(self) -> Mapping[str, Methods]:
        """Service → method → what answers it."""
        identity: Methods = {
            "GetPluginInfo": lambda _: {1: DRIVER, 2: "stand-in"},
            "GetPluginCapabilities": lambda _: {},
            "Probe": lambda _: {1: {1: True}},
        }
        node: Methods = {
            "NodeGetInfo": lambda _: {1: self._name},
            "NodeGetCapabilities": lambda _: {},
            "NodePublishVolume": self.publish,
            "NodeUnpublishVolume": self.unpublish,
        }
        return {"csi.v1.Identity": identity, "csi.v1.Node": node}

    def publish(self, asked: Fields) -> Answer:
        """Mount a volume for a pod, once: the kubelet asks again for running pods when it was restarted."""
        target = Path(text(asked, 4))
        attributes = texts(asked, 8)
        unknown = set(attributes) & {"hash", "tag", "clientConfigFilepath"}
        if unknown:
            raise Refused(f"unknown attributes: {', '.join(sorted(unknown))}")
        repository = attributes.get(REPOSITORY, "")
        if "clientConfig" in attributes and not repository:
            raise Refused("clientConfig needs a repository")
        log.info("publish %s %s", target, repository)
        if mounted(target):
            return {}
        target.mkdir(parents=True, exist_ok=True)
        source = self._cvmfs / repository
        run("mount", "--bind" if repository else "--rbind", str(source), str(target))
        run("mount", "--make-private" if repository else "--make-rslave", str(target))
        return {}

    def unpublish(self, asked: Fields) -> Answer:
        """Take a volume away, also one that is gone already or whose file system is dead."""
        target = Path(text(asked, 2))
        log.info("unpublish %s", target)
        while mounted(target):
            if LIBC.umount2(str(target).encode(), DETACH) != 0:  # umount(8) would look at what is mounted, and may hang
                raise OSError(ctypes.get_errno(), f"{target} cannot be taken away")
        with suppress(FileNotFoundError):
            target.rmdir()
        return {}


def registration(endpoint: Path) -> Mapping[str, Methods]:
    """How the kubelet learns of the plugin."""

    def told(asked: Fields) -> Answer:
        log.info("registered: %s %s", bool(asked.get(1)), text(asked, 2))
        return {}

    methods: Methods = {"GetInfo": lambda _: {1: "CSIPlugin", 2: DRIVER, 3: str(endpoint), 4: ["1.0.0"]}, "NotifyRegistrationStatus": told}
    return {"pluginregistration.Registration": methods}


def serve(address: Path, services: Mapping[str, Methods]) -> grpc.Server:
    """Answer calls on a socket."""
    server = grpc.server(futures.ThreadPoolExecutor(64))
    for service, methods in services.items():
        handlers = {name: _handler(method) for name, method in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    address.parent.mkdir(parents=True, exist_ok=True)
    address.unlink(missing_ok=True)
    server.add_insecure_port(f"unix://{address}")
    server.start()
    return server


def _handler(method: Callable[[Fields], Answer]) -> grpc.RpcMethodHandler:
    def answer(asked: Fields, context: grpc.ServicerContext) -> Answer:
        try:
            return method(asked)
        except Refused as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except subprocess.CalledProcessError as error:
            context.abort(grpc.StatusCode.INTERNAL, error.stderr.strip() or str(error))
        except OSError as error:
            context.abort(grpc.StatusCode.INTERNAL, str(error))
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=decode, response_serializer=encode)


def mounted(target: Path) -> bool:
    """Whether something is mounted there, asked of the kernel's table: the file system itself may be dead."""
    return any(line.split(" ")[4] == str(target) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def run(*command: str) -> None:
    """Run a command; raises with what it said."""
    subprocess.run(command, check=True, capture_output=True, text=True)


def main(kubelet_root: str, node: str, cvmfs: str) -> None:
    """Serve until ended."""
    endpoint = Path(kubelet_root, "plugins", DRIVER, "csi.sock")
    plugin = serve(endpoint, Node(node, Path(cvmfs)).methods())
    known = serve(Path(kubelet_root, "plugins_registry", f"{DRIVER}-reg.sock"), registration(endpoint))
    known.wait_for_termination()  # a server that nobody holds is stopped
    plugin.stop(None)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main(*sys.argv[1:])
