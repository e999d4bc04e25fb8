"""Verifies tokens: who they claim to be from first, then the key, the signature, and last what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from afkit.oidc.jws import Unverified, parse
from afkit.oidc.keys import is_signed_by
from afkit.oidc.providers import Providers
from afkit.oidc.reasons import refusal
from afkit.oidc.rules import Trusted, check_access, check_given, check_login, check_renewed
from afkit.oidc.token import Token

__all__ = ["Verified", "Verifier"]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that can be believed: its issuer, whose it is, when it ends (seconds since the epoch), and all that it says.

    People of two issuers are two people, whatever ``subject`` says: `person` is what tells them apart.
    """

    issuer: str
    subject: str
    expires: int
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def person(self) -> tuple[str, str]:
        """Issuer and subject."""
        return self.issuer, self.subject


class Verifier:
    """Verifies tokens of the issuers that are trusted.

    ``now`` is in seconds since the epoch. All raise `IdentityError` (its ``reason`` is one of `REASONS`) for a token that is not
    accepted, and `ProviderError` where the issuer's keys are not known and cannot be asked for.
    """

    def __init__(self, trusted: Iterable[Trusted], providers: Providers) -> None:
        self._trusted = {each.issuer: each for each in trusted}
        self._providers = providers

    async def access(self, token: Token, now: float) -> Verified:
        """An access token that is for one of the issuer's ``audiences``."""
        read, trusted = self._parse(token)
        # cheap refusals first: nobody's key is asked for a token that would be refused all the same
        check_access(read, trusted, now)
        return await self._verified(read, now)

    async def login(self, token: Token, now: float, *, nonce: str) -> Verified:
        """The ID token of a login that was begun with ``nonce``."""
        read, trusted = self._parse(token)
        check_login(read, trusted, now, nonce)
        return await self._verified(read, now)

    async def renewed(self, token: Token, now: float, *, subject: str) -> Verified:
        """The ID token that came when the tokens of ``subject`` were renewed."""
        read, trusted = self._parse(token)
        check_renewed(read, trusted, now, subject)
        return await self._verified(read, now)

    async def given(self, token: Token, now: float) -> Verified:
        """An access token that the issuer has given to ``client_id`` itself, for whomever it is. Never for one that somebody brings."""
        read, trusted = self._parse(token)
        check_given(read, trusted, now)
        return await self._verified(read, now)

    def _parse(self, token: Token) -> tuple[Unverified, Trusted]:
        read = parse(token)
        issuer = read.claims.get("iss")
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        if trusted is None:
            raise refusal("untrusted-issuer", "The token is of an issuer that is not trusted here.")
        return read, trusted

    async def _verified(self, read: Unverified, now: float) -> Verified:
        claims = read.claims
        key = await self._providers.key(claims["iss"], read.key_id, read.algorithm, now)
        if key is None:
            raise refusal("unknown-key", "The issuer of the token does not publish the key that it names (kid).")
        if not is_signed_by(key, read):
            raise refusal("signature", "The signature of the token is wrong.")
        return Verified(claims["iss"], claims["sub"], claims["exp"], claims)
