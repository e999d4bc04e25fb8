"""What an issuer says of itself → the addresses that are used. Pure. Source: OpenID Connect Discovery 1.0, sections 3 and 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import ProviderError
from afkit.oidc.addresses import flaw_of_endpoint

__all__ = ["Metadata", "parse_metadata"]

_ENDPOINTS: Final = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "userinfo": "userinfo_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
    "end_session": "end_session_endpoint",
}


@dataclass(frozen=True, slots=True)
class Metadata:
    """Addresses of an issuer; empty where it has none. ``basic``: its token endpoint takes a client's secret in a header."""

    issuer: str
    jwks: str
    authorize: str = ""
    token: str = ""
    userinfo: str = ""
    introspect: str = ""
    revoke: str = ""
    end_session: str = ""
    basic: bool = True
    sends_iss: bool = False
    """Whether its answers to a login say who it is (RFC 9207)."""


def parse_metadata(issuer: str, document: Mapping[str, Any], *, loopback_http: bool = False) -> Metadata:
    """The description of the issuer. Raises `ProviderError` where it is somebody else's, or has no keys that may be asked for."""
    if document.get("issuer") != issuer:
        raise ProviderError(
            f"What is published below {issuer} is the description of another issuer.",
            "Write `url` of the issuer letter by letter as the provider does.",
        )
    wrong = flaw_of_endpoint(document.get("jwks_uri"), issuer, loopback_http=loopback_http)
    if wrong:
        raise ProviderError(f"The address of the keys that {issuer} publishes {wrong}.")
    methods = document.get("token_endpoint_auth_methods_supported")
    found = {name: document[key] for name, key in _ENDPOINTS.items() if key in document}
    for name, url in found.items():
        wrong = flaw_of_endpoint(url, issuer, loopback_http=loopback_http)
        if wrong:
            raise ProviderError(f"The address {_ENDPOINTS[name]!r} that {issuer} publishes {wrong}.")
    basic = "client_secret_basic" in methods if isinstance(methods, list) else True
    return Metadata(
        issuer,
        document["jwks_uri"],
        **found,
        basic=basic,
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
    )
