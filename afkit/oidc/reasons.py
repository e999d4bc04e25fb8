"""Every reason for which a token is refused, and the errors that say so. Pure."""

from __future__ import annotations

from typing import Final

from afkit.errors import IdentityError

__all__ = ["REASONS", "refusal"]

REASONS: Final = {
    "malformed": "It is no JWT, or what it says has another type than it should.",
    "too-large": "It has more bytes or levels than any honest token.",
    "algorithm": "It is not signed by RS256 or ES256, or its header wants something that is not done here.",
    "unknown-key": "The issuer publishes no key with its `kid`, or not for its algorithm.",
    "signature": "The issuer's key did not make this signature.",
    "untrusted-issuer": "Its issuer is not trusted here, letter by letter.",
    "audience": "It is for somebody else.",
    "expired": "Its time is over.",
    "not-yet-valid": "Its time has not come.",
    "lifetime": "It lives longer than any token should.",
    "wrong-version": "It follows no version of the WLCG profile that is known.",
    "wrong-kind": "It is an ID token where an access token belongs, or the reverse.",
    "nonce": "It belongs to another login than the one that was begun.",
}
"""Every ``reason`` of a refused token, with one sentence."""

_AGAIN: Final = "Log in again."
_ADMINISTRATORS: Final = "Ask the administrators: the provider sends tokens that cannot be accepted."
_HINTS: Final = {"expired": _AGAIN, "not-yet-valid": "Ask the administrators: the clocks of hub and provider differ.", "nonce": _AGAIN}


def refusal(reason: str, message: str) -> IdentityError:
    """The refusal of a token. ``message`` is about the token and never repeats it."""
    return IdentityError(message, _HINTS.get(reason, _ADMINISTRATORS), reason=reason)
