"""Certificates of the facility's clusters, found without user code: ``distributed.client.security-loader`` names `security`.

Dask asks it for every address of every client; it answers for addresses of the facility's own clusters alone, and for all others with
``None`` (as if it were not there).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from afkit.errors import AfkitError

if TYPE_CHECKING:
    from distributed import Security

    from afkit.session.answers import Access

__all__ = ["LOADER", "forget", "remember", "security"]

LOADER = "afkit.session.access.security"

SECONDS = 10.0
"""How long the service may take to say whether an address is one of its."""

_lock = threading.Lock()
_known: dict[str, Any] = {}


def security(info: Mapping[str, Any]) -> Security | None:
    """What Dask's setting asks: certificates for ``info["address"]``. May block for some seconds; raises `PlatformError` after that."""
    address = str(info.get("address") or "")
    if not address.startswith("tls://"):
        return None
    with _lock:
        if address in _known:
            return _known[address]
    from afkit.session.service import here

    service = here()
    if service is None:
        return None
    deadline = time.monotonic() + SECONDS
    try:
        name = next((state.name for state in service.all(deadline) if state.address == address), None)
        return None if name is None else remember(service.access(name, deadline))
    except AfkitError:
        if "-scheduler." in address:
            raise
        # whether it is ours cannot be known now; it does not look so
        return None


def remember(access: Access) -> Security:
    """Keep the certificates of a cluster for clients that this process makes."""
    from distributed import Security

    made = Security(tls_ca_file=access.ca, tls_client_cert=access.certificate, tls_client_key=access.key, require_encryption=True)
    with _lock:
        _known[access.address] = made
    return made


def forget(address: str) -> None:
    """The cluster has ended: another may get its address."""
    with _lock:
        _known.pop(address, None)
