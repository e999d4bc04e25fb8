"""Tokens of OpenID providers, verified offline: for the hub, for services, and for sites' own programs.

::

    from afkit.oidc import Providers, Token, Trusted, Verifier

    verifier = Verifier([Trusted("https://cms-auth.example/", audiences=("https://af.example.org",), wlcg=True)], Providers(folder))
    verified = await verifier.access(Token(text), now=time.time())

Who a token claims to be from is compared with who is trusted before anything is fetched. Keys are kept, in a file too, so that
an issuer may be away for two days. Deciding is pure (`afkit.oidc.jws`, ``keys``, ``rules``, ``freshness``, ``discovery``,
``capabilities``), the clock an argument; doing is in ``fetch``, ``store``, ``providers``.

Source of the rules: WLCG Common JWT Profiles 1.3; RFC 7515, 7517, 7519, 8725, 9068; OpenID Connect Core 1.0 and Discovery 1.0.
"""

from __future__ import annotations

from afkit.oidc.capabilities import Capability, capabilities, groups
from afkit.oidc.providers import Providers
from afkit.oidc.reasons import REASONS
from afkit.oidc.rules import Trusted
from afkit.oidc.token import Token
from afkit.oidc.verify import Verified, Verifier

__all__ = ["REASONS", "Capability", "Providers", "Token", "Trusted", "Verified", "Verifier", "capabilities", "groups"]
