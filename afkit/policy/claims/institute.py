"""What a login must have (``require``), and when a name that an institute gives counts. Pure.

An institute can say of its own people what it likes, and could say it of another's: so ``eppn`` and ``email`` stand for somebody only
after the institute (claim ``idp``) is accepted and the domain is its own (the class of CVE-2022-31027 and CVE-2026-33175).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from afkit.errors import IdentityError
from afkit.facility.model import Issuer
from afkit.policy.claims.text import Claims, entries, text
from afkit.policy.text import listing, quoted

__all__ = ["check_bound", "check_required", "is_own_domain", "meets", "needs_institute"]

_EMAIL: Final = frozenset({"email", "mail"})
_INSTITUTE: Final = _EMAIL | {"eppn", "eduperson_principal_name"}
"""Claims that are an institute's word, or an address that the person typed."""
_MANY_INSTITUTES: Final = frozenset({"cilogon", "aarc"})
"""Dialects of providers that pass on what any institute says."""
_IDP: Final = "idp"
_LABELS: Final = 2


def check_required(issuer: Issuer, claims: Claims) -> None:
    """Raise `IdentityError` (``require-idp`` …) for the first key of ``require`` of which no value holds."""
    for key, has in _HAS.items():
        wanted = issuer.require.get(key)
        if wanted and not has(issuer, claims, wanted):
            message, hint = _SAID[key]
            raise IdentityError(f"{message}: this facility takes {listing(map(quoted, wanted))}.", hint, reason=f"require-{key}")


def meets(issuer: Issuer, claims: Claims) -> bool:
    """Whether the claims have all that this issuer requires; what cannot be read does not have it."""
    try:
        check_required(issuer, claims)
    except IdentityError:
        return False
    return True


def needs_institute(issuer: Issuer) -> bool:
    """Whether key or login name come from a claim that `check_bound` has to look at."""
    return issuer.username_claim in _INSTITUTE or issuer.key_claim in _INSTITUTE


def check_bound(issuer: Issuer, claims: Claims) -> None:
    """Raise `IdentityError` where key or login name come from an institute's word that does not count."""
    for claim in (issuer.username_claim, issuer.key_claim):
        if claim in _INSTITUTE and claims.get(claim) is not None and not _counts(issuer, claims, claim):
            message = f"Your {claim} counts here only when your institute is accepted and the domain is its own."
            if claim in _EMAIL and claims.get("email_verified") is not True and claims.get(_IDP) is None:
                message = f"Your {claim} counts here only when the provider has verified it."
            hint = f"Ask the administrators: `require` needs `idp` and `domain` of your institute, or another claim than {claim}."
            raise IdentityError(message, hint, reason="unbound-name")


def is_own_domain(issuer: Issuer, claims: Claims, domain: str) -> bool:
    """Whether ``domain`` is that of the person's institute, and the institute is one that ``require.idp`` accepts.

    It is where the institute's address lies in it; or where it is listed and only one institute is, so that no other is meant.
    """
    accepted = issuer.require.get(_IDP, ())
    idp = claims.get(_IDP)
    if not isinstance(idp, str) or idp not in accepted or not domain:
        return False
    return (len(accepted) == 1 and domain in issuer.require.get("domain", ())) or _lies_in(idp, domain)


@lru_cache(maxsize=1024)
def _lies_in(idp: str, domain: str) -> bool:
    """``https://idp.example.org/shibboleth`` and ``urn:mace:incommon:example.org`` lie in ``example.org``."""
    try:
        host = (urlsplit(idp).hostname or "") if "://" in idp else idp.rpartition(":")[2].lower()
    except ValueError:
        return False
    return domain.count(".") + 1 >= _LABELS and (host == domain or host.endswith(f".{domain}"))


def _counts(issuer: Issuer, claims: Claims, claim: str) -> bool:
    verified = claims.get("email_verified")
    if claim in _EMAIL and not (verified is None or verified is True):
        return False
    if is_own_domain(issuer, claims, _domain(claims.get(claim))):
        return True
    if issuer.dialect in _MANY_INSTITUTES or _IDP in issuer.require:
        return False
    # one organisation's own provider: its word for its people, and an address only where it has looked; no proof of a domain
    return claim not in _EMAIL or (verified is True and "domain" not in issuer.require)


def _domain(name: object) -> str:
    """What stands after the first ``@`` of a name, with any other ``@`` in it, so that no list has it; empty where there is none."""
    return name.partition("@")[2] if isinstance(name, str) else ""


def _has_idp(_: Issuer, claims: Claims, wanted: tuple[str, ...]) -> bool:
    idp = claims.get(_IDP)
    return isinstance(idp, str) and idp in wanted


def _has_domain(issuer: Issuer, claims: Claims, wanted: tuple[str, ...]) -> bool:
    return _domain(text(claims, "name" if issuer.dialect == "hub" else issuer.username_claim)) in wanted


def _has_acr(_: Issuer, claims: Claims, wanted: tuple[str, ...]) -> bool:
    return text(claims, "acr") in wanted


def _has_assurance(_: Issuer, claims: Claims, wanted: tuple[str, ...]) -> bool:
    return not set(wanted).isdisjoint(entries(claims, "eduperson_assurance"))


_HAS: Final[Mapping[str, Callable[[Issuer, Claims, tuple[str, ...]], bool]]] = {
    "idp": _has_idp,
    "domain": _has_domain,
    "acr": _has_acr,
    "assurance": _has_assurance,
}
_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "idp": ("Your home organisation is not accepted", "Log in with another one, or ask the administrators."),
    "domain": ("Your login name is of a domain that is not accepted", "Log in with another account, or ask the administrators."),
    "acr": ("You have not logged in the way that is required", "Log in again with a second factor, if that is what is asked for."),
    "assurance": (
        "Your identity is not assured the way that is required",
        "Ask your home organisation, which says how well it knows you.",
    ),
}
