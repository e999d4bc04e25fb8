"""Renews logins while they last: groups follow the provider, and an outage of it ends nothing that runs.

JupyterHub asks for each old login in every request, so that ten requests at once would redeem one refresh token ten times; a provider
that rotates them takes the second for a theft. So there is one renewal at a time for each person, and what it got is kept before
anything else is done with it. That a renewal has begun is kept too: where the hub was killed in between, the old token is tried once
more, and else the person logs in again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jupyterhub import roles

from afkit.errors import IdentityError, PlatformError
from afkit.hub.known import Known, standing
from afkit.oidc import REASONS as TOKENS, Token
from afkit.policy.claims import REASONS as CLAIMS

if TYPE_CHECKING:
    from afkit.hub.oidc.authenticator import AfkitOIDCAuthenticator

__all__ = ["Renewals"]

_JUST_NOW = 10.0
"""A login that was verified so many seconds ago is not verified again: a start asks for it, right after the page that began it."""
_ENDS = (frozenset(CLAIMS) - frozenset(TOKENS)) | {"login-over", "other-subject", "name-taken"}
"""What says that a login is over. A token that is not believed says that nothing is known, as an outage does."""
_KEPT = ("access_token", "refresh_token", "id_token", "scope")
_BEGUN = "renewing"
"""Key of ``auth_state``: a refresh token was sent at this time (epoch seconds), and no answer to it is kept."""

Model = dict[str, Any]


class Renewals:
    """Of one authenticator."""

    def __init__(self, authenticator: AfkitOIDCAuthenticator, log: logging.Logger) -> None:
        self._hub = authenticator
        self._log = log
        self._running: dict[str, asyncio.Task[Model | None]] = {}

    async def refresh(self, user: Any, *, may_end: bool) -> bool | Model:
        """JupyterHub's ``refresh_user``: what is new of a person, ``True`` where nothing is. Never raises.

        ``False`` (log in again) only where the login is over and ``may_end``: a request that has no browser behind it cannot log in,
        and a session that is refused loses its hub.
        """
        known = self._hub.logins.find(user.name)
        if known is None:
            return True  # somebody who was made by an administrator, and has never logged in
        just_now = min(_JUST_NOW, self._hub.rules().refresh)
        model = await self._once(user, known) if abs(time.time() - known.verified) > just_now else None
        known = self._hub.logins.find(user.name) or known
        if may_end and standing(known, self._hub.rules(), time.time()) == "over":
            return False
        return True if model is None else model

    async def _once(self, user: Any, known: Known) -> Model | None:
        """One renewal for all who ask for it at once; it ends also where none of them waits any longer."""
        task = self._running.get(user.name)
        if task is None:
            task = self._running[user.name] = asyncio.create_task(self._guarded(user, known))
            task.add_done_callback(lambda _: self._running.pop(user.name, None))
        return await asyncio.shield(task)

    async def _guarded(self, user: Any, known: Known) -> Model | None:
        try:
            return await self._renewed(user, known)
        except (PlatformError, IdentityError) as error:
            self._log.warning("Login of %s cannot be confirmed now: %s", known.name, error.message)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end the request of a session that runs
            self._log.error("Login of %s cannot be confirmed: %s", known.name, type(error).__name__)  # a traceback may have a token
        return None

    async def _renewed(self, user: Any, known: Known) -> Model | None:
        state = dict(await user.get_auth_state() or {})
        refresh_token = self._token_of(known, state)
        if refresh_token is None:
            return None
        child = self._hub.child(known.issuer)
        if _BEGUN in state:
            self._log.warning("A renewal of %s was begun and never ended; the same token is tried again", known.name)
        await user.save_auth_state({**state, _BEGUN: time.time()})
        try:  # where there is no answer the token is tried again
            tokens = await child.renew(Token(refresh_token))
        except IdentityError as error:
            return await self._ended(user, known, state, error) if await _is_of(user, refresh_token) else None
        if not await _is_of(user, refresh_token):
            return None
        state = _with(state, tokens)
        await user.save_auth_state(state)
        told = state.get("oauth_user") or {}
        try:
            said = await child.said_anew(tokens, told)
            if not await _is_of(user, state["refresh_token"]):
                return None
            found = self._hub.admitted(child.issuer, said, renews=True)
        except IdentityError as error:
            return await self._ended(user, known, state, error)
        return self._hub.model(found, {**said.tokens, "refresh_token": state["refresh_token"]}, said.claims)

    def _token_of(self, known: Known, state: Mapping[str, Any]) -> str | None:
        """The refresh token of this login. One of another provider, or of one with another address now, is sent nowhere."""
        issuer = self._hub.issuers().get(known.issuer)
        ours = (state.get("issuer"), state.get("url")) == (known.issuer, known.url)
        if issuer is None or issuer.url != known.url or not ours:
            return None
        found = state.get("refresh_token")
        if isinstance(found, str):
            return found
        if known.renews:
            self._hub.logins.note(replace(known, renews=False))
        return None

    async def _ended(self, user: Any, known: Known, state: Mapping[str, Any], error: IdentityError) -> Model:
        """The provider, or the file, lets the person in no longer: nothing of theirs counts until they log in again.

        Raises ``error`` where it says nothing of the person, but that the provider is not what it was.
        """
        if error.reason not in _ENDS:
            raise error
        self._log.info("Login of %s is over, %s: %s", known.name, error.reason, error.message)
        self._hub.logins.note(replace(known, groups=(), verified=0.0, renews=False))
        left = {key: value for key, value in state.items() if key not in (*_KEPT, _BEGUN)}
        await user.save_auth_state(left)
        # by hand: where the browser is sent to log in, JupyterHub takes nothing of what is returned
        if self._hub.manage_groups:
            user.sync_groups([])
        user.admin = known.name in self._hub.admin_users
        roles.assign_default_roles(user.db, entity=user.orm_user)
        user.db.commit()
        return {"name": known.name, "groups": [], "admin": user.admin, "auth_state": left}


async def _is_of(user: Any, refresh_token: str) -> bool:
    """Whether a renewal is still of the login that the hub has: the person may have logged in anew meanwhile, and that one counts."""
    return bool((await user.get_auth_state() or {}).get("refresh_token") == refresh_token)


def _with(state: Mapping[str, Any], tokens: Mapping[str, Any]) -> dict[str, Any]:
    """The state with new tokens in it; a provider that sends no new refresh token leaves the old one."""
    kept = {key: tokens[key] for key in _KEPT if key in tokens}
    return {**{key: value for key, value in state.items() if key != _BEGUN}, **kept}
