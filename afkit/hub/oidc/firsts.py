"""A first login under a name: whether the name is free, and what becomes of what the hub has under it.

Whoever had the name before, in a hub with another authenticator or in the thoughts of its administrators, is somebody else until
they say that it is the same person: most providers let people choose their names.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from jupyterhub import orm

from afkit.errors import IdentityError
from afkit.facility.model import Facility, Issuer

__all__ = ["check_power", "take_over"]


def check_power(facility: Facility, issuer: Issuer, name: str, administrators: Container[str]) -> None:
    """Refuse a new name that is an administrator's by the name alone, unless the name is the key that the issuer never gives away.

    Raises `IdentityError` (``name-taken``).
    """
    listed = name in administrators or any(group.admin and name in group.users for group in facility.groups.values())
    if not listed or issuer.username_claim == (issuer.key_claim or "sub"):
        return
    message = f"The login name {name!r} is listed among the administrators, and nobody has logged in with it yet."
    hint = "Ask the administrators: they take the name off their list, you log in once, and they put it on again."
    raise IdentityError(message, hint, reason="name-taken")


def take_over(db: Any, name: str, known: Container[str]) -> None:
    """End all that was made for this name before: tokens, codes, cookies. ``known``: names of people who are still the same.

    Raises `IdentityError` (``name-taken``) where somebody else has used the hub under it.
    """
    user = orm.User.find(db, name)
    if user is None:
        return
    if name not in known and _was_used(user):
        message = f"The login name {name!r} belonged to somebody of this hub before."
        hint = "Ask the administrators: `c.AfkitOIDCAuthenticator.known_users` says who is still the same."
        raise IdentityError(message, hint, reason="name-taken")
    for opened in (*user.api_tokens, *user.oauth_codes):
        db.delete(opened)
    user.cookie_id = orm.new_token()
    db.commit()


def _was_used(user: Any) -> bool:
    return user.last_activity is not None or any(spawner.server is not None for spawner in user.orm_spawners.values())
