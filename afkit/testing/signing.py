"""Keys of an issuer in a test, and tokens signed by them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

__all__ = ["Signer"]

Algorithm = Literal["RS256", "ES256"]


@dataclass(slots=True)
class Signer:
    """One private key with a name of its own (``kid``)."""

    algorithm: Algorithm = "RS256"
    key_id: str = field(default_factory=lambda: secrets.token_hex(8))
    private: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.private is None:
            ours = self.algorithm == "RS256"
            self.private = rsa.generate_private_key(65537, 2048) if ours else ec.generate_private_key(ec.SECP256R1())

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """A token in compact form; what ``header`` has replaces what would stand there."""
        return jwt.encode(dict(claims), self.private, self.algorithm, {"kid": self.key_id, **(header or {})})

    def public(self) -> dict[str, Any]:
        """The public half as a JWK."""
        maker = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        made: dict[str, Any] = json.loads(maker.to_jwk(self.private.public_key()))
        made.pop("key_ops", None)
        return {**made, "kid": self.key_id, "use": "sig", "alg": self.algorithm}
