"""The addresses of the provider: each reads a request, and answers as the standard has it."""

from __future__ import annotations

import asyncio
import base64
import html
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlencode

import jwt
from aiohttp import web

from afkit.testing.grants import Code, Session

if TYPE_CHECKING:
    from afkit.testing.oidc import Provider

__all__ = ["routes"]

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # the name of a kind


class _Refused(Exception):
    """An answer that is an error of OAuth."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.answer = web.json_response({"error": error}, status=status)


def routes(provider: Provider) -> list[web.RouteDef]:
    """All of them, below the provider's path."""
    pages, path = _Pages(provider), provider.path
    return [
        web.get(f"{path}/.well-known/openid-configuration", pages.discovery, name="discovery"),
        web.get(f"{path}/jwks", pages.jwks, name="jwks"),
        web.get(f"{path}/authorize", pages.authorize, name="authorize"),
        web.post(f"{path}/token", pages.token, name="token"),
        web.get(f"{path}/userinfo", pages.userinfo, name="userinfo"),
        web.post(f"{path}/introspect", pages.introspect, name="introspect"),
        web.post(f"{path}/revoke", pages.revoke, name="revoke"),
        web.get(f"{path}/logout", pages.logout, name="logout"),
    ]


class _Pages:
    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def discovery(self, _: web.Request) -> web.Response:
        at = self.provider.address
        described = {
            "issuer": self.provider.issuer,
            "jwks_uri": f"{at}/jwks",
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "userinfo_endpoint": f"{at}/userinfo",
            "introspection_endpoint": f"{at}/introspect",
            "revocation_endpoint": f"{at}/revoke",
            "end_session_endpoint": f"{at}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({signer.algorithm for signer in self.provider.signers}),
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response({**described, **self.provider.describe})

    async def jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [signer.public() for signer in self.provider.signers]})

    async def authorize(self, request: web.Request) -> web.Response:
        asked = request.query
        client = self.provider.clients.get(asked.get("client_id", ""))
        redirect = asked.get("redirect_uri", "")
        if client is None or redirect not in client.redirects:
            # nobody is sent to an address that the client has not given
            return web.Response(status=400, text="unknown client or redirect_uri")
        answer = {"state": asked.get("state", ""), "iss": self.provider.issuer}
        if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            raise web.HTTPFound(f"{redirect}?{urlencode({**answer, 'error': 'invalid_request'})}")
        subject = asked.get("as") or self.provider.person
        if not subject:
            return self._who(asked)
        if subject not in self.provider.people:
            raise web.HTTPFound(f"{redirect}?{urlencode({**answer, 'error': 'access_denied'})}")
        session = Session(subject, asked["client_id"], asked.get("scope", ""), asked.get("nonce", ""))
        code = self.provider.grants.code(Code(session, redirect, asked["code_challenge"]))
        raise web.HTTPFound(f"{redirect}?{urlencode({**answer, 'code': code})}")

    def _who(self, asked: Mapping[str, str]) -> web.Response:
        fields = "".join(f'<input type="hidden" name="{html.escape(key)}" value="{html.escape(value)}">' for key, value in asked.items())
        people = "".join(f'<button name="as" value="{html.escape(each)}">{html.escape(each)}</button>' for each in self.provider.people)
        return web.Response(text=f"<form>{fields}{people}</form>", content_type="text/html")

    async def token(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        try:
            client = self._client(request, form)
            match form.get("grant_type"):
                case "authorization_code":
                    asked = form.get("code", ""), client, form.get("redirect_uri", ""), form.get("code_verifier", "")
                    session = self.provider.grants.redeem(*asked)
                case "refresh_token":
                    session = self.provider.grants.rotate(form.get("refresh_token", ""), client)
                case grant if grant == _EXCHANGE:
                    return self._exchange(client, form)
                case _:
                    raise _Refused("unsupported_grant_type")
        except _Refused as refused:
            return refused.answer
        if session is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        granted = self._granted(session)
        await asyncio.sleep(self.provider.lose)
        return granted

    def _granted(self, session: Session) -> web.Response:
        provider = self.provider
        refresh = provider.grants.refresh_token(session)
        provider.issued.append(refresh)
        answer = {
            "access_token": self._access(session, session.client, session.scope),
            "token_type": "Bearer",
            "expires_in": provider.life,
            **({"refresh_token": refresh} if provider.refreshes else {}),
            "scope": session.scope,
        }
        if "openid" in session.scope.split():
            claims = {
                "iss": provider.issuer,
                "sub": session.subject,
                "aud": session.client,
                "jti": secrets.token_hex(8),
                **provider.times(),
            }
            nonce = {"nonce": session.nonce} if session.nonce else {}
            answer["id_token"] = provider.sign("id", {**claims, **nonce, **self._said(session.subject)})
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    def _access(self, session: Session, audience: str, scope: str) -> str:
        who = {"iss": self.provider.issuer, "sub": session.subject, "aud": audience, "client_id": session.client}
        more = {"scope": scope, "jti": secrets.token_hex(8), "family": session.family, **self.provider.times()}
        return self.provider.sign("access", {**who, **more, **self._said(session.subject)})

    def _said(self, subject: str) -> dict[str, Any]:
        """The claims about a person that tokens have."""
        known = self.provider.people.get(subject, {})
        return {name: value for name, value in known.items() if name not in self.provider.userinfo_only}

    def _exchange(self, client: str, form: Mapping[str, str]) -> web.Response:
        """Never a wider scope, another person, or another life than the token that is brought."""
        brought = self._read(form.get("subject_token", ""))
        if brought is None or form.get("subject_token_type") != _ACCESS_TOKEN:
            raise _Refused("invalid_request")
        audience = form.get("audience", "")
        if audience not in self.provider.clients[client].exchanges:
            raise _Refused("invalid_target")
        has = brought.get("scope", "").split()
        wants = form["scope"].split() if form.get("scope") else has
        if not set(wants) <= set(has):
            raise _Refused("invalid_scope")
        session = Session(brought["sub"], client, " ".join(wants), family=brought["family"])
        token = self._access(session, audience, session.scope)
        answer = {"access_token": token, "issued_token_type": _ACCESS_TOKEN, "token_type": "Bearer"}
        return web.json_response({**answer, "expires_in": self.provider.life, "scope": session.scope})

    async def userinfo(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        claims = self._read(token)
        if claims is None or claims["sub"] not in self.provider.people:
            return web.json_response({"error": "invalid_token"}, status=401)
        edit = self.provider.edit.get("userinfo", dict)
        return web.json_response(edit({"sub": claims["sub"], **self.provider.people[claims["sub"]]}))

    async def introspect(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        try:
            self._client(request, form)
        except _Refused as refused:
            return refused.answer
        claims = self._read(form.get("token", ""))
        return web.json_response({"active": False} if claims is None else {**claims, "active": True})

    async def revoke(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        try:
            self._client(request, form)
        except _Refused as refused:
            return refused.answer
        token = form.get("token", "")
        claims = self._read(token)
        if claims is not None:
            self.provider.grants.revoked.add(claims["jti"])
        self.provider.grants.end(token)
        return web.Response()

    async def logout(self, request: web.Request) -> web.Response:
        """Ends every login of the person whose ID token is brought."""
        claims = self._read(request.query.get("id_token_hint", ""), access=False)
        if claims is None:
            return web.Response(status=400, text="id_token_hint")
        self.provider.grants.end_all(claims["sub"])
        return web.Response(text="logged out")

    def _client(self, request: web.Request, form: Mapping[str, str]) -> str:
        """Which client asks: by a header or in the form. Raises `_Refused`."""
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            first, _, second = base64.b64decode(pair).decode().partition(":")
            name, secret = unquote_plus(first), unquote_plus(second)
        client = self.provider.clients.get(name)
        if client is None or client.secret != secret:
            raise _Refused("invalid_client", 401)
        return name

    def _read(self, token: str, *, access: bool = True) -> dict[str, Any] | None:
        """What one of this provider's own tokens says, as long as it counts."""
        for signer in self.provider.signers:
            try:
                options: Any = {"verify_aud": False, "verify_exp": access, "verify_nbf": False, "verify_iat": False}
                claims: dict[str, Any] = jwt.decode(token, signer.private.public_key(), [signer.algorithm], options=options)
            except jwt.PyJWTError:
                continue
            gone = claims.get("jti") in self.provider.grants.revoked or claims.get("family") in self.provider.grants.ended
            return None if access and (gone or "family" not in claims) else claims
        return None
