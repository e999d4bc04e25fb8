"""One issuer's half of a login: oauthenticator's requests, with answers that are verified instead of believed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyterhub.utils import url_path_join
from oauthenticator.oauth2 import OAuthenticator

from afkit.errors import IdentityError, PlatformError, ProviderError
from afkit.facility.model import Facility, Issuer
from afkit.hub.oidc.deciding import anew, merged, scopes_of, trusted_of
from afkit.hub.oidc.pending import Pending
from afkit.hub.oidc.secret import client_secret
from afkit.oidc import Providers, Token, Verified, Verifier
from afkit.oidc.discovery import Metadata
from afkit.oidc.fetch import Answer, basic_auth, bearer

__all__ = ["IssuerAuthenticator", "Said"]

_AGAIN = "Log in again."


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider says of a person: verified claims, and the tokens that came with them (``auth_state`` of the hub)."""

    claims: Mapping[str, Any] = field(repr=False)
    tokens: Mapping[str, Any] = field(repr=False)


class IssuerAuthenticator(OAuthenticator):
    """The client of one issuer of the facility file; `AfkitOIDCAuthenticator` has one for each.

    Of oauthenticator's settings ``extra_authorize_params`` and ``token_params`` count; addresses come from the provider's own description,
    client and scopes from the facility file.
    """

    enable_pkce = True

    def __init__(self, issuer: Issuer, facility: Facility, providers: Providers, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.issuer = issuer
        self.client_id = issuer.client_id or ""
        self.scope = list(scopes_of(issuer))
        self.oauth_callback_url = url_path_join(facility.url, "hub/oauth_callback", issuer.name) if facility.url else ""
        self._providers = providers
        self._verifier = Verifier([trusted_of(issuer)], providers)

    def get_callback_url(self, handler: Any = None) -> str:
        """Where the provider sends people back to: below ``facility.url``, else as they have reached the hub."""
        if self.oauth_callback_url:
            return str(self.oauth_callback_url)
        return str(url_path_join(super().get_callback_url(handler), self.issuer.name))

    async def metadata(self) -> Metadata:
        """The provider's own description. Raises `ProviderError`, also where nobody can log in through it."""
        found = await self._providers.metadata(self.issuer.url or "", time.time())
        if not found.authorize or not found.token:
            raise ProviderError(f"{found.issuer} has no addresses for logging in.", "Ask the administrators.")
        return found

    def authorize_params(self, pending: Pending) -> dict[str, str]:
        """What the login page of the provider is asked with, beside client, scope and address."""
        wanted = self.issuer.require.get("acr", ())
        return {
            **self.extra_authorize_params,
            **({"acr_values": " ".join(wanted)} if wanted else {}),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.challenge,
            "code_challenge_method": "S256",
        }

    async def redeem(self, handler: Any, pending: Pending) -> Said:
        """Whoever comes back with a code. Raises `IdentityError` for who is refused, `PlatformError` where nobody can be told."""
        form = self.build_access_tokens_request_params(handler)
        tokens = await self._tokens({name: value for name, value in form.items() if value is not None})
        login = await self._verifier.login(_token(tokens, "id_token"), time.time(), nonce=pending.nonce)
        return await self._said(login, tokens)

    async def renew(self, refresh_token: Token) -> dict[str, Any]:
        """New tokens for a refresh token, which may count no longer from here on: they have to be kept whatever comes next.

        Errors are those of `redeem`; ``login-over`` where the provider has ended the login.
        """
        return await self._tokens(self.build_refresh_token_request_params(refresh_token.reveal()))

    async def said_anew(self, tokens: Mapping[str, Any], told: Mapping[str, Any]) -> Said:
        """What the provider says now of the person of whom it ``told`` these claims before. Errors are those of `redeem`."""
        subject = told.get("sub", "")
        if "id_token" in tokens:
            login = await self._verifier.renewed(_token(tokens, "id_token"), time.time(), subject=subject)
            return await self._said(login, tokens)
        access = _token(tokens, "access_token")
        userinfo = await self._userinfo(access)
        if not userinfo:
            raise ProviderError("The provider says nothing of a person without a new login.", _AGAIN)
        if not subject or userinfo.get("sub") != subject:
            raise IdentityError("The provider says that this is somebody else.", _AGAIN, reason="other-subject")
        more = await self._access_claims(access) if self.issuer.dialect == "keycloak" else {}
        return Said(anew(self.issuer, told, userinfo, more), tokens)

    def build_access_tokens_request_params(self, handler: Any, data: Any = None) -> dict[str, Any]:
        """OAuthenticator's own, without what says who the client is: that is added where it is sent."""
        return self._without_client(super().build_access_tokens_request_params(handler, data))

    def build_refresh_token_request_params(self, refresh_token: str) -> dict[str, Any]:
        """As above."""
        return self._without_client(super().build_refresh_token_request_params(refresh_token))

    def _without_client(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in params.items() if name not in ("client_id", "client_secret")}

    async def _tokens(self, form: Mapping[str, str]) -> dict[str, Any]:
        metadata = await self.metadata()
        secret = client_secret(self.issuer)
        said: dict[str, str | Token] = dict(form)
        headers: Mapping[str, str] = {}
        if metadata.basic:
            headers = basic_auth(self.client_id, secret)
        else:
            said |= {"client_id": self.client_id, "client_secret": secret}
        answer = await self._providers.fetch(metadata.token, form=said, headers=headers)
        if answer.status != 200:
            raise _refused_tokens(metadata, answer)
        return answer.object(metadata.token)

    async def _said(self, login: Verified, tokens: Mapping[str, Any]) -> Said:
        access = _token(tokens, "access_token")
        userinfo = await self._userinfo(access)
        more = await self._access_claims(access) if self.issuer.dialect == "keycloak" else {}
        return Said(merged(self.issuer, login.claims, userinfo, more), tokens)

    async def _userinfo(self, access: Token) -> dict[str, Any]:
        """What stands at the provider's userinfo, where it has that."""
        url = (await self.metadata()).userinfo
        if not url:
            return {}
        answer = await self._providers.fetch(url, headers=bearer(access))
        if answer.status in (401, 403):
            raise IdentityError("The provider does not say who you are.", _AGAIN, reason="provider-refused")
        if answer.status != 200:
            raise ProviderError(f"{url} answers with the status {answer.status}.", "Try again in a few minutes.")
        return answer.object(url)

    async def _access_claims(self, access: Token) -> Mapping[str, Any]:
        """Claims of the access token, where it is a JWT that was given to this client."""
        if access.reveal().count(".") != 2:
            return {}
        return (await self._verifier.given(access, time.time())).claims


def _refused_tokens(metadata: Metadata, answer: Answer) -> IdentityError | PlatformError:
    """Why there are no tokens: the code or token is good no longer, or the hub's client is."""
    if answer.status == 400:
        error = answer.object(metadata.token).get("error")
        if error == "invalid_grant":
            return IdentityError("This login has ended at the provider.", _AGAIN, reason="login-over")
    if answer.status in (400, 401, 403):
        hint = "Ask the administrators: `client` of the issuer, and what the provider allows it."
        return ProviderError(f"The provider {metadata.issuer} refuses the client of this hub.", hint)
    return ProviderError(f"{metadata.token} answers with the status {answer.status}.", "Try again in a few minutes.")


def _token(tokens: Mapping[str, Any], name: str) -> Token:
    found = tokens.get(name)
    if not isinstance(found, str) or not found:
        raise ProviderError(f"The provider has sent no {name}.", "Ask the administrators: the issuer's scopes need `openid`.")
    return Token(found)
