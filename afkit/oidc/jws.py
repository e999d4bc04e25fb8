"""A JWT in compact form → its parts, before any key is looked for. Pure.

Source: RFC 7515 (JWS), RFC 8725 (best practices): asymmetric algorithms from a list of our own, ``kid`` required, nothing that a
header offers as a key is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.oidc.reasons import refusal
from afkit.oidc.strict import StrictError, decode_base64url, read_object
from afkit.oidc.token import Token

__all__ = ["ALGORITHMS", "MOST_BYTES", "Unverified", "parse"]

ALGORITHMS: Final = ("RS256", "ES256")
MOST_BYTES: Final = 65_536
"""Bytes of a whole token. HTTP servers take headers of 8 KiB; ID tokens with many groups come in bodies."""
_MOST_HEADER: Final = 4096
_MOST_SIGNATURE: Final = 1024
_REFUSED: Final = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc")
"""Parameters of a header that bring a key of their own, or change what the signature means."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says, which nobody has vouched for yet. ``kind`` is its ``typ``: ``jwt``, ``at+jwt``, or empty."""

    algorithm: str
    key_id: str
    kind: str
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse(token: Token) -> Unverified:
    """Read a token. Raises `IdentityError` (``malformed``, ``too-large``, ``algorithm``, ``unknown-key``)."""
    text = token.reveal()
    if len(text) > MOST_BYTES:
        raise refusal("too-large", f"The token has more than {MOST_BYTES} bytes.")
    parts = text.split(".")
    if len(parts) != 3:
        raise refusal("malformed", "The token is no signed JWT: that has three parts with points between them.")
    header = _object("header", parts[0], _MOST_HEADER)
    algorithm, key_id, kind = _header(header)
    claims = _object("content", parts[1], MOST_BYTES)
    try:
        signature = decode_base64url(parts[2])
    except StrictError as error:
        raise refusal("malformed", f"The signature of the token {error}.") from None
    if len(signature) > _MOST_SIGNATURE:
        raise refusal("too-large", f"The signature of the token has more than {_MOST_SIGNATURE} bytes.")
    return Unverified(algorithm, key_id, kind, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def _object(name: str, part: str, most: int) -> dict[str, Any]:
    try:
        return read_object(decode_base64url(part), most)
    except StrictError as error:
        raise refusal("too-large" if error.large else "malformed", f"The {name} of the token {error}.") from None


def _header(header: Mapping[str, Any]) -> tuple[str, str, str]:
    """Algorithm, key and kind."""
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if algorithm not in ALGORITHMS:
        raise refusal("algorithm", f"The token is not signed by {' or '.join(ALGORITHMS)}.")
    offered = next((name for name in _REFUSED if name in header), None)
    if offered is not None:
        raise refusal("algorithm", f"The header of the token has {offered!r}, which is not accepted.")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= 255:
        raise refusal("unknown-key", "The token does not say which key of its issuer has signed it (kid).")
    if not isinstance(kind, str):
        raise refusal("malformed", "The kind of the token (typ) is no text.")
    return algorithm, key_id, kind.lower().removeprefix("application/")
