"""A person whom a provider of the facility file has let in, as the hub keeps them. Pure, and without what verifies tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from afkit.facility.model import Facility, Issuer
from afkit.policy.model import Identity

__all__ = ["Known", "hubs_issuers", "identity_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """A person of a provider: login name, issuer's name and address, key, canonical groups, when that was verified (epoch seconds)."""

    name: str
    issuer: str
    url: str
    key: str
    groups: tuple[str, ...] = ()
    verified: float = 0.0

    @property
    def person(self) -> str:
        """A digest of address and key: the same person is the same for ever, whatever the issuer is called in the file."""
        return hashlib.sha256(f"{self.url}\0{self.key}".encode()).hexdigest()


def hubs_issuers(facility: Facility) -> Mapping[str, Issuer]:
    """The providers through which the hub itself logs people in: all but dialect ``hub``."""
    issuers = facility.identity.issuers if facility.identity else {}
    return {name: issuer for name, issuer in issuers.items() if issuer.dialect != "hub"}


def identity_of(known: Known) -> Identity:
    """A person as the resolver takes them."""
    return Identity(known.name, known.issuer, known.key, known.groups)
