"""Addresses of issuers and of what they publish: which of them are asked. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

__all__ = ["discovery_url", "flaw_of_endpoint", "flaw_of_issuer", "is_loopback"]

_INSIDE: Final = (".local", ".internal", ".localhost", ".svc", ".cluster.local", ".localdomain", ".home.arpa")
"""Ends of names that no provider in the world has: behind them are a cluster's own services."""
_MOST: Final = 2048


def discovery_url(issuer: str) -> str:
    """Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4)."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def flaw_of_issuer(issuer: str, *, loopback_http: bool = False) -> str:
    """Why an address cannot be an issuer's; empty: it can. ``loopback_http``: ``http://127.0.0.1`` may be one, for tests."""
    parts = _split(issuer)
    if parts is None or parts.query or parts.fragment or "?" in issuer or "#" in issuer:
        return "is no address of an issuer"
    return _flaw(parts, loopback_http=loopback_http)


def flaw_of_endpoint(url: object, issuer: str, *, loopback_http: bool = False) -> str:
    """Why an address that an issuer publishes is not asked; empty: it is.

    It is on the issuer's own host, or on another public one by its name (some providers keep their keys elsewhere).
    """
    parts = _split(url) if isinstance(url, str) else None
    own = _split(issuer)
    if parts is None or parts.fragment or own is None:
        return "is no address"
    wrong = _flaw(parts, loopback_http=loopback_http)
    if wrong or (parts.hostname, parts.port) == (own.hostname, own.port):
        return wrong
    return "" if _is_public_name(parts.hostname or "") else "is on a host that is none of the issuer's"


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _flaw(parts: SplitResult, *, loopback_http: bool) -> str:
    if parts.scheme == "https" or (parts.scheme == "http" and loopback_http and is_loopback(parts.hostname)):
        return ""
    return "is not reached by https"


def _split(url: str) -> SplitResult | None:
    """The parts of an absolute address without a password; ``None`` for everything else."""
    if len(url) > _MOST or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for what is no port
    except ValueError:
        return None
    return parts if parts.hostname and "@" not in parts.netloc else None


def _is_public_name(host: str) -> bool:
    # with a dot at its end it is the same name
    labels = host.removesuffix(".").split(".")
    last = labels[-1]
    named = last.isalpha() or last.startswith("xn--")
    return len(labels) > 1 and named and last != "default" and not f".{'.'.join(labels)}".endswith(_INSIDE)
