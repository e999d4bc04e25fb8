"""What a provider remembers: codes that were given, refresh tokens and their families, access tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

__all__ = ["Code", "Grants", "Session"]


@dataclass(frozen=True, slots=True)
class Session:
    """One login: of whom, at which client, for which scope."""

    subject: str
    client: str
    scope: str
    nonce: str = field(default="", repr=False)
    family: str = field(default_factory=lambda: secrets.token_hex(8))
    """Ends as a whole: all refresh tokens that followed from one login."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a code stands for until it is redeemed, once."""

    session: Session
    redirect: str
    challenge: str = field(repr=False)


class Grants:
    """Codes and refresh tokens. Everything is used once."""

    def __init__(self) -> None:
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, Session] = {}
        self._used: dict[str, str] = {}
        self.ended: set[str] = set()
        """Families that are over: logged out, revoked, or a refresh token of them was used twice."""
        self.revoked: set[str] = set()
        """Access tokens that are revoked, by ``jti``."""

    def code(self, code: Code) -> str:
        """A code for a login."""
        made = secrets.token_urlsafe(24)
        self._codes[made] = code
        return made

    def redeem(self, code: str, client: str, redirect: str, verifier: str) -> Session | None:
        """The login behind a code; ``None`` where it is another client's, was used, or the verifier does not fit."""
        found = self._codes.pop(code, None)
        if found is None or found.session.client != client or found.redirect != redirect:
            return None
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        return found.session if hmac.compare_digest(challenge, found.challenge) else None

    def refresh_token(self, session: Session) -> str:
        """The next refresh token of a login."""
        made = secrets.token_urlsafe(24)
        self._refresh[made] = replace(session, nonce="")
        return made

    def rotate(self, token: str, client: str) -> Session | None:
        """The login behind a refresh token, which counts no longer. One that was used before ends its family."""
        if token in self._used:
            self.ended.add(self._used[token])
            return None
        found = self._refresh.get(token)
        if found is None or found.client != client or found.family in self.ended:
            return None
        self._used[token] = found.family
        return found

    def end(self, token: str) -> None:
        """Revoke a refresh token, and all of its family."""
        found = self._refresh.get(token)
        if found is not None:
            self.ended.add(found.family)

    def end_all(self, subject: str) -> None:
        """End every login of a person."""
        self.ended |= {each.family for each in self._refresh.values() if each.subject == subject}

    def live(self) -> int:
        """How many refresh tokens would still be taken."""
        return sum(token not in self._used and each.family not in self.ended for token, each in self._refresh.items())
