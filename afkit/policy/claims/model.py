"""What comes out of reading claims, as frozen records; and every reason for which a login is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from afkit.errors import IdentityError
from afkit.policy.ids import Ids
from afkit.policy.model import Entitlements, Identity, Ignored

__all__ = ["REASONS", "Admission", "Login", "Refusal"]

REASONS: Final = {
    "malformed": "A claim has another type than it should, or is too long, or is no text.",
    "unknown-issuer": "The facility file has no issuer with this address.",
    "ambiguous-issuer": "Several issuers of the file would take these claims.",
    "wrong-version": "The token follows no version of the WLCG profile that is known.",
    "no-key": "The claim that tells people apart is missing, or cannot be used.",
    "bad-name": "The login name cannot be used.",
    "unbound-name": "A name of an institute stands for nobody until the institute is accepted and the domain is its own.",
    "not-a-person": "The claims are those of a program.",
    "require-idp": "The home organisation is not accepted.",
    "require-domain": "The domain of the login name is not accepted.",
    "require-acr": "The person has not logged in the way that is required.",
    "require-assurance": "The identity is not assured the way that is required.",
    "no-id": "A claim from which `run_as` takes an id is missing, is no id, or is reserved.",
    "not-allowed": "The person is in no group of `identity.allow`.",
}
"""Every ``reason`` of a refused login, with one sentence."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a login is refused: a word of `REASONS`, a sentence for the person, and a hint (may be empty)."""

    reason: str
    message: str
    hint: str = ""

    def error(self) -> IdentityError:
        """The same as an error to raise."""
        return IdentityError(self.message, self.hint, reason=self.reason)


@dataclass(frozen=True, slots=True)
class Login:
    """What the claims of one issuer say of a person.

    ``issuer`` is its name in the file, ``key`` what tells the person apart for ever among its people, ``name`` the login name,
    ``groups`` are canonical (``cms:/cms/uscms``), each once, in the order of the claims. ``ignored`` counted for nothing.
    With a ``refusal`` the rest is what could be read all the same; ``readable`` says whether that is who the person is.
    """

    issuer: str
    key: str = ""
    name: str = ""
    groups: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    ids: Ids | None = None
    refusal: Refusal | None = None
    readable: bool = True

    def identity(self) -> Identity:
        """The person as the resolver takes them. Raises `IdentityError` where the login is refused."""
        if self.refusal is not None:
            raise self.refusal.error()
        return Identity(self.name, self.issuer, self.key, self.groups)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether somebody may log in. ``entitlements`` are ``None`` where the claims do not say who it is.

    ``ignored`` is all that counted for nothing: claims, and canonical groups that no group of the facility names.
    """

    login: Login
    entitlements: Entitlements | None = None
    refusal: Refusal | None = None

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """What counted for nothing, and why."""
        return (*self.login.ignored, *(self.entitlements.ignored if self.entitlements else ()))

    def identity(self) -> Identity:
        """The person who may log in. Raises `IdentityError` where they may not."""
        if self.refusal is not None:
            raise self.refusal.error()
        return self.login.identity()
