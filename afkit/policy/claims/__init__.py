"""What a provider says of a person → who they are, in which groups, and whether they may log in. Pure.

::

    claims ──issuer_of──▶ Issuer ──read_login──▶ Login ──entitle──▶ Admission
    └──────────────────────────── admit ─────────────────────────────┘

The claims are verified by whoever brings them; here nothing is believed beyond what one issuer may say of its own people.
"""

from __future__ import annotations

from afkit.policy.claims.model import REASONS, Admission, Login, Refusal
from afkit.policy.claims.read import admit, issuer_of, read_login

__all__ = ["REASONS", "Admission", "Login", "Refusal", "admit", "issuer_of", "read_login"]
