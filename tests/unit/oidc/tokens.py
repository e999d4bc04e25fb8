"""An issuer in memory with real keys: its tokens, and a `Fetch` that answers as it would, and counts."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from typing import Any

from afkit.errors import ProviderError
from afkit.oidc import Providers, Token, Trusted, Verifier
from afkit.oidc.fetch import Answer
from afkit.testing.signing import Algorithm, Signer

ISSUER = "https://cms-auth.example/"
CLIENT = "af-hub"
AUDIENCE = "https://af.example.org"
NOW = 1_786_000_000
CLAIMS: Mapping[str, Any] = {
    "wlcg.ver": "1.0",
    "iss": ISSUER,
    "sub": "e1eb758b-b73c-4761-bfff-adc793da409c",
    "jti": "aef91f5c",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 3600,
}
NONCE = "a-nonce-of-one-login"


@functools.cache
def signer(algorithm: Algorithm = "RS256", key_id: str = "first") -> Signer:
    """A key; making one takes a while."""
    return Signer(algorithm, key_id)


class Issuer:
    """Publishes what ``described`` and ``keys`` say; ``down``: it does not answer. ``asked`` has every address."""

    def __init__(self, *signers: Signer, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.keys: Any = {"keys": [each.public() for each in signers]}
        self.described: dict[str, Any] = {"issuer": issuer, "jwks_uri": f"{issuer.rstrip('/')}/jwk"}
        self.down = False
        self.asked: list[str] = []

    async def __call__(self, url: str, *, form: object = None, headers: object = None) -> Answer:
        self.asked.append(url)
        if self.down:
            raise ProviderError("It is down.")
        return Answer(200, json.dumps(self.described if url.endswith("openid-configuration") else self.keys).encode())


def verifier(issuer: Issuer, **trusted: Any) -> Verifier:
    """Trusts this issuer, by the WLCG profile."""
    rules = {"audiences": (AUDIENCE,), "client_id": CLIENT, "wlcg": True, **trusted}
    return Verifier([Trusted(issuer.issuer, **rules)], Providers(fetch=issuer))


def access(**changed: Any) -> dict[str, Any]:
    """Claims of an access token; ``None`` takes one away."""
    return _changed({**CLAIMS, "aud": AUDIENCE, "scope": "openid wlcg.groups"}, changed)


def identity(**changed: Any) -> dict[str, Any]:
    """Claims of an ID token."""
    return _changed({**CLAIMS, "aud": CLIENT, "nonce": NONCE}, changed)


def encode(part: bytes) -> str:
    """base64url as a JWT has it."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token_of(header: bytes | Mapping[str, Any], content: bytes | Mapping[str, Any], signature: bytes = b"") -> Token:
    """A token from raw parts."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, content)]
    return Token(".".join((encode(parts[0]), encode(parts[1]), encode(signature) if signature else "")))


def signed(content: bytes, by: Signer) -> Token:
    """A token with a good signature over any bytes."""
    from jwt.algorithms import get_default_algorithms

    head = encode(json.dumps({"alg": by.algorithm, "kid": by.key_id}).encode())
    text = f"{head}.{encode(content)}"
    made = get_default_algorithms()[by.algorithm].sign(text.encode(), by.private)
    return Token(f"{text}.{encode(made)}")


def _changed(claims: dict[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {name.replace("__", "."): value for name, value in changed.items()}
    return {name: value for name, value in {**claims, **renamed}.items() if value is not None}
