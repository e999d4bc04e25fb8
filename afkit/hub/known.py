"""A person whom a provider of the facility file has let in, as the hub keeps them. Pure, and without what verifies tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from afkit.facility.model import IdentityRules
from afkit.policy.model import Identity

__all__ = ["Known", "Standing", "identity_of", "standing"]


Standing = Literal["good", "old", "over"]
"""``good``: all counts; ``old``: the provider could not be asked in time, what runs goes on and nothing new begins; ``over``."""
_SLACK: Final = 60.0
"""Seconds that a renewal may take beyond `identity.refresh`."""


@dataclass(frozen=True, slots=True)
class Known:
    """A person of a provider: login name, issuer's name and address, key, canonical groups, when that was verified (epoch seconds).

    ``verified`` is 0 where the provider has said that the login is over. ``renews``: it is asked again from time to time.
    """

    name: str
    issuer: str
    url: str
    key: str
    groups: tuple[str, ...] = ()
    verified: float = 0.0
    renews: bool = False

    @property
    def person(self) -> str:
        """A digest of address and key: the same person is the same for ever, whatever the issuer is called in the file."""
        return hashlib.sha256(f"{self.url}\0{self.key}".encode()).hexdigest()


def standing(known: Known, rules: IdentityRules, now: float) -> Standing:
    """What a login is worth now. A clock that was wrong makes no login live longer."""
    age = abs(now - known.verified)
    if age > rules.outage:
        return "over"
    return "old" if known.renews and age > rules.refresh + _SLACK else "good"


def identity_of(known: Known) -> Identity:
    """A person as the resolver takes them."""
    return Identity(known.name, known.issuer, known.key, known.groups)
