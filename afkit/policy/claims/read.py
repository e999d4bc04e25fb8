"""Claims of one issuer → who it is (`Login`); which issuer claims are of; who may log in (`Admission`). Pure, and never raises by chance.

The claims are those of a token or an answer of the provider that somebody else has verified: signature, audience and times are not
looked at here. Whatever JSON they are, the outcome is a record or an `IdentityError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from afkit.errors import IdentityError
from afkit.facility.model import Facility, IdentityRules, Issuer
from afkit.policy.claims.dialects import check_version, groups_of
from afkit.policy.claims.institute import check_bound, check_required, meets, needs_institute
from afkit.policy.claims.model import Admission, Login, Refusal
from afkit.policy.claims.person import check_person, key_of, name_of
from afkit.policy.claims.text import Claims
from afkit.policy.entitle import entitle
from afkit.policy.ids import ids_of, names_claims, run_as_of
from afkit.policy.keep import kept
from afkit.policy.model import Entitlements, Identity, Ignored
from afkit.policy.text import ask, listing, quoted

__all__ = ["admit", "issuer_of", "read_login"]

_Value = TypeVar("_Value")
_NO_GROUPS: Final[tuple[str, ...]] = ()
_ADDRESS: Final = "Ask the administrators: `url` of an issuer has to be the provider's `iss`, letter by letter."


def read_login(claims: object, issuer: Issuer, rules: IdentityRules) -> Login:
    """Who the claims of this issuer say that it is. Never raises: a refusal stands in the record.

    ``rules`` are those of the facility that the issuer is of (they have ``run_as`` of all).
    """
    return _Reader(issuer, rules).read(claims)


def issuer_of(claims: object, rules: IdentityRules) -> Issuer:
    """The issuer that claims are of: by ``iss``, letter by letter, and among those that share it by ``require``.

    Raises `IdentityError`: ``unknown-issuer``; ``ambiguous-issuer`` where several would take them; of those that share an
    address and none of which takes them, what the first one misses.
    """
    return _Readers(rules).find(_object(claims)).issuer


def admit(facility: Facility, claims: object, issuer: str | None = None, known_as: Callable[[str], str | None] | None = None) -> Admission:
    """Whether the person of these claims may log in, and in which groups of the facility they are. Never raises `IdentityError`.

    ``issuer``: name of the issuer that has sent the claims, where that is known; else they say it themselves. ``KeyError`` for
    a name that the file does not have.
    ``known_as``: key → the login name that this person of the issuer has had so far, and keeps, whatever the provider calls them now.
    """
    readers = kept(facility, _readers)
    try:
        reader = readers.find(_object(claims)) if issuer is None else readers.by_name[issuer]
    except IdentityError as error:
        refusal = _refusal(error)
        return Admission(Login("", refusal=refusal, readable=False), refusal=refusal)
    login = reader.read(claims)
    if not login.readable:
        return Admission(login, refusal=login.refusal)
    name = known_as(login.key) if known_as is not None else None
    login = login if name is None else replace(login, name=name)
    granted = entitle(facility, Identity(login.name, login.issuer, login.key, login.groups))
    return Admission(login, granted, login.refusal or _allowed(facility, readers.allowed, granted))


class _Reader:
    """Reads the claims of one issuer; what does not depend on them is worked out once."""

    def __init__(self, issuer: Issuer, rules: IdentityRules) -> None:
        self.issuer = issuer
        self.run_as = run_as_of(rules, issuer.name)
        self.ids = None if names_claims(self.run_as) else ids_of(self.run_as, {})
        checks = ((check_required, bool(issuer.require)), (check_bound, needs_institute(issuer)), (check_person, True))
        self.checks = tuple(check for check, needed in checks if needed)

    def read(self, claims: object) -> Login:
        """See `read_login`."""
        issuer = self.issuer
        try:
            read = _object(claims)
            _check_issuer(read, issuer)
            if issuer.dialect == "wlcg":
                check_version(read)
        except IdentityError as error:
            return Login(issuer.name, refusal=_refusal(error), readable=False)
        try:
            return self._whole(read)
        except IdentityError:
            return self._partly(read)

    def _whole(self, read: Claims) -> Login:
        """The login of claims that nothing is wrong with, which most are."""
        issuer = self.issuer
        ignored: list[Ignored] = []
        key = key_of(issuer, read)
        name = name_of(issuer, read, key)
        groups = groups_of(issuer, read, ignored)
        for check in self.checks:
            check(issuer, read)
        return Login(issuer.name, key, name, groups, tuple(ignored), self.ids or ids_of(self.run_as, read))

    def _partly(self, read: Claims) -> Login:
        """The same with whatever can be read, and the first refusal."""
        issuer = self.issuer
        errors: list[IdentityError] = []
        ignored: list[Ignored] = []
        key = _attempt(errors, "", key_of, issuer, read)
        name = _attempt(errors, "", name_of, issuer, read, key) if key else ""
        groups = _attempt(errors, _NO_GROUPS, groups_of, issuer, read, ignored)
        readable = not errors
        for check in self.checks:
            _attempt(errors, None, check, issuer, read)
        ids = _attempt(errors, None, ids_of, self.run_as, read)
        return Login(issuer.name, key, name, groups, tuple(ignored), ids, _refusal(errors[0]), readable)


class _Readers:
    """The readers of a facility, by name and by address."""

    def __init__(self, rules: IdentityRules) -> None:
        self.rules = rules
        self.allowed = frozenset(rules.allow)
        self.by_name = {name: _Reader(issuer, rules) for name, issuer in rules.issuers.items()}
        self.school = next((each for each in self.by_name.values() if each.issuer.dialect == "hub"), None)
        self.by_url: dict[str, list[_Reader]] = {}
        for each in self.by_name.values():
            if each.issuer.url is not None:
                self.by_url.setdefault(each.issuer.url, []).append(each)

    def find(self, claims: Claims) -> _Reader:
        """See `issuer_of`."""
        if self.school is not None:
            return self.school
        iss = claims.get("iss")
        sharing = self.by_url.get(iss) if isinstance(iss, str) else None
        if not sharing:
            raise _unknown(iss, self.rules.issuers.values())
        return sharing[0] if len(sharing) == 1 else _taking(sharing, claims)


def _readers(facility: Facility) -> _Readers:
    return _Readers(facility.identity or IdentityRules())


def _taking(sharing: Sequence[_Reader], claims: Claims) -> _Reader:
    """The one of several that share an address whose requirements are met."""
    taking = [each for each in sharing if meets(each.issuer, claims)]
    if len(taking) > 1:
        message = f"Your login belongs to several issuers of this facility, {listing((each.issuer.name for each in taking), 'and')}."
        hint = "Ask the administrators: their `require` should leave one of them."
        raise IdentityError(message, hint, reason="ambiguous-issuer")
    if not taking:
        check_required(sharing[0].issuer, claims)
    return taking[0]


def _allowed(facility: Facility, allowed: frozenset[str], granted: Entitlements) -> Refusal | None:
    if not allowed.isdisjoint(granted.groups):
        return None
    message = "You are in none of the groups that may log in to this facility."
    return Refusal("not-allowed", message, ask(facility))


def _object(claims: object) -> Claims:
    if type(claims) is not dict and not isinstance(claims, Mapping):
        raise IdentityError("The claims of your login are no object.", "Ask the administrators.", reason="malformed")
    return claims


def _check_issuer(claims: Claims, issuer: Issuer) -> None:
    if issuer.dialect != "hub" and (issuer.url is None or claims.get("iss") != issuer.url):
        raise _unknown(claims.get("iss"), (issuer,))


def _unknown(iss: object, known: Iterable[Issuer]) -> IdentityError:
    if not isinstance(iss, str):
        message = "Your login does not say which provider it is from (iss)."
        return IdentityError(message, "Ask the administrators: the claims need `iss`.", reason="unknown-issuer")
    near = [each for each in known if each.url is not None and each.url.rstrip("/").lower() == iss.rstrip("/").lower()]
    but = f"; {quoted(near[0].url or '')} would be accepted" if near else ""
    return IdentityError(f"Your login is from {quoted(iss)}, which this facility does not accept{but}.", _ADDRESS, reason="unknown-issuer")


def _attempt(errors: list[IdentityError], otherwise: _Value, read: Callable[..., _Value], *arguments: Any) -> _Value:
    """What ``read`` finds, else ``otherwise``, and its refusal among ``errors``: the first of all is the one that is told."""
    try:
        return read(*arguments)
    except IdentityError as error:
        errors.append(error)
        return otherwise


def _refusal(error: IdentityError) -> Refusal:
    return Refusal(error.reason, error.message, error.hint)
