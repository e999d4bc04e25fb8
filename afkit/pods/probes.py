"""When a server counts as ready: its port takes connections, and its CVMFS repositories answer. Pure.

Both are a startup probe: it ends with its first success, so a running server is asked nothing. The hub knows why a server
with dead repositories does not become ready from the probe's own words, which Kubernetes repeats in an event.
"""

from __future__ import annotations

from typing import Any, Final

from afkit.facility.model import Facility
from afkit.pods.cvmfs import ROOT, cvmfs_volumes

__all__ = ["PORT_NAME", "startup_probe"]

PORT_NAME: Final = "notebook-port"
"""KubeSpawner's name of a server's port."""
_TRIES: Final = 7200
"""The hub gives a start up, not the kubelet, which would begin the container anew."""
_CHECK: Final = f"""\
said=$(python3 -m afkit.session.cvmfs --timeout 15 2>/dev/null); code=$?
case "$said" in
  "{{"*) [ $code = 0 ] || {{ echo "$said"; exit 1; }} ;;
  *) for one in $(echo "$AFKIT_CVMFS" | tr , ' '); do
       ls "{ROOT}/$one/" >/dev/null 2>&1 && continue
       echo "{{\\"refused\\": true, \\"message\\": \\"It cannot be listed.\\", \\"repositories\\": {{\\"$one\\": \\"dead\\"}}}}"; exit 1
     done ;;
esac
command -v python3 >/dev/null || exit 0
exec python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$0" 2>/dev/null
"""
"""Images without afkit are looked at by the shell; ``$0`` is the port."""
_CHECK_SECONDS: Final = 20
"""A repository that nobody has used yet on the node takes its time."""


def startup_probe(facility: Facility, repositories: tuple[str, ...], port: int) -> dict[str, Any]:
    """The probe of a server with these repositories; a facility that only warns of dead ones looks at the port alone."""
    how: dict[str, Any] = {"periodSeconds": 1, "failureThreshold": _TRIES}
    if facility.cvmfs is not None and facility.cvmfs.on_failure == "refuse" and cvmfs_volumes(facility, repositories):
        return {"exec": {"command": ["sh", "-c", _CHECK, str(port)]}, "timeoutSeconds": _CHECK_SECONDS, **how}
    return {"tcpSocket": {"port": PORT_NAME}, **how}
