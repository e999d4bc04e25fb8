"""An issuer's key set → keys by name and algorithm, and whether one of them made a signature. Pure.

Source: RFC 7517 (JWK); RFC 8725 section 3.1 (a key is used with one algorithm); NIST SP 800-131A (RSA of 2048 bits or more).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from afkit.errors import ProviderError
from afkit.oidc.jws import Unverified

__all__ = ["Key", "Keys", "is_signed_by", "parse_keys"]

MOST_KEYS: Final = 100
_BITS: Final = range(2048, 8193)
_ALGORITHM_OF: Final = {"RSA": "RS256", "EC": "ES256"}
_PUBLIC: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of an issuer, for one algorithm."""

    key_id: str
    algorithm: str
    public: jwt.PyJWK = field(repr=False)


Keys = Mapping[tuple[str, str], Key]
"""By ``kid`` and algorithm."""


def parse_keys(issuer: str, document: Mapping[str, Any]) -> Keys:
    """The keys for signatures in a JWK set. Those of other kinds or uses, without ``kid``, or too weak are left out.

    Where two keys have one ``kid`` and algorithm, neither counts. Raises `ProviderError` for what is no key set, and for one of
    which nothing is left.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ProviderError(f"What {issuer} publishes as its keys is no set of at most {MOST_KEYS} keys.")
    found: dict[tuple[str, str], Key] = {}
    twice: set[tuple[str, str]] = set()
    for each in listed:
        key = _key(each)
        if key is not None:
            name = key.key_id, key.algorithm
            twice |= {name} & found.keys()
            found[name] = key
    usable = {name: key for name, key in found.items() if name not in twice}
    if not usable:
        raise ProviderError(f"{issuer} publishes no key that can be used.", "It needs a key for RS256 or ES256 that has a `kid`.")
    return usable


def is_signed_by(key: Key, token: Unverified) -> bool:
    """Whether this key made the token's signature, by the key's own algorithm: what the token says only chose the key."""
    return bool(key.public.Algorithm.verify(token.signed, key.public.key, token.signature))


def _key(listed: object) -> Key | None:
    if not isinstance(listed, dict):
        return None
    key_id, kind = listed.get("kid"), listed.get("kty")
    algorithm = _ALGORITHM_OF.get(kind) if isinstance(kind, str) else None
    if algorithm is None or not isinstance(key_id, str) or not _for_signatures(listed, algorithm):
        return None
    try:
        public = jwt.PyJWK({"kty": kind, **{name: listed[name] for name in _PUBLIC[str(kind)]}}, algorithm=algorithm)
    except (KeyError, TypeError, ValueError, jwt.PyJWTError):
        return None
    return None if isinstance(public.key, RSAPublicKey) and public.key.key_size not in _BITS else Key(key_id, algorithm, public)


def _for_signatures(listed: Mapping[str, Any], algorithm: str) -> bool:
    operations = listed.get("key_ops", ["verify"])
    usable = listed.get("use", "sig") == "sig" and listed.get("alg", algorithm) == algorithm
    curve = listed.get("crv") == "P-256" if algorithm == "ES256" else True
    return usable and curve and isinstance(operations, list) and "verify" in operations
