"""A login that has begun and not ended: what the browser keeps of it in a cookie that the hub has signed. Pure, save for chance.

Each login has a cookie of its own, so that tabs and issuers do not meet. Sources: RFC 6749 section 10.12 (``state``), RFC 7636
(PKCE), OpenID Connect Core 1.0 section 15.5.2 (``nonce``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Final

__all__ = ["COOKIE", "LIFE", "MOST", "Pending", "begin", "cookie_of", "from_cookie", "superfluous"]

COOKIE: Final = "afkit-login-"
LIFE: Final = 900
"""Seconds in which a login has to end; people look for their second factor meanwhile."""
MOST: Final = 6
"""Logins that one browser may have begun: cookies are sent with every request."""
_MOST_NEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Pending:
    """One login. ``next`` is a path of the hub that was checked when the login began, or empty."""

    issuer: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str = ""
    begun: int = 0

    @property
    def challenge(self) -> str:
        """What the provider is shown of the verifier (S256)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def cookie(self) -> str:
        """The value of its cookie."""
        return json.dumps(asdict(self))


def begin(issuer: str, next_url: str, now: float) -> Pending:
    """A new login at an issuer. Where it leads afterwards is left out where that is too long for a cookie."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Pending(issuer, state, nonce, verifier, next_url if len(next_url) <= _MOST_NEXT else "", int(now))


def cookie_of(state: str) -> str:
    """The name of the cookie of a login."""
    return COOKIE + hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def from_cookie(value: bytes | None) -> Pending | None:
    """The login in a cookie whose signature was good; ``None`` where there is none, or of another version."""
    try:
        return Pending(**json.loads(value or b""))
    except (ValueError, TypeError):
        return None


def superfluous(known: Iterable[tuple[str, Pending | None]]) -> list[str]:
    """Names of cookies of logins to be forgotten before another begins: what cannot be read, then the oldest."""
    listed = sorted(known, key=lambda each: each[1].begun if each[1] else -1)
    bad = sum(pending is None for _, pending in listed)
    return [name for name, _ in listed[: max(bad, len(listed) - MOST + 1)]]
