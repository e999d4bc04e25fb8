"""For tests of sites: an OpenID provider that behaves, and misbehaves on request."""

from __future__ import annotations

from afkit.testing.authority import Authority
from afkit.testing.oidc import Client, Fault, Provider
from afkit.testing.signing import Signer

__all__ = ["Authority", "Client", "Fault", "Provider", "Signer"]
