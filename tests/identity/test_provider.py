"""The test provider over real HTTP: it behaves as the standards have it, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

pytest.importorskip("jwt", reason="signatures belong to the newest axis")
pytest.importorskip("aiohttp", reason="the provider belongs to the newest axis")

from afkit.errors import IdentityError, ProviderError
from afkit.oidc import Providers, Token, Trusted, Verifier
from afkit.oidc.fetch import HttpFetch
from afkit.testing import Authority, Client, Fault, Provider
from tests.support.secrets import Secrets

BACK = "https://af.example.org/hub/oauth_callback/cms"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
CLIENT = Client(redirects=(BACK,), exchanges=("storage",))


@pytest.fixture
def provider() -> Iterator[Provider]:
    """One with a person."""
    with Provider({"hub": CLIENT, "other": Client("secret-of-the-other-client")}, people={"s-1": {"preferred_username": "ada"}}) as made:
        yield made


def authorize(provider: Provider, **changed: str) -> httpx.Response:
    """Begin a login as ada."""
    asked = {
        "response_type": "code", "client_id": "hub", "redirect_uri": BACK, "scope": "openid storage.read:/",
        "state": "st", "nonce": "no",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256", "as": "s-1", **changed,
    }  # fmt: skip
    return httpx.get(f"{provider.address}/authorize", params={key: value for key, value in asked.items() if value})


def code_of(answer: httpx.Response) -> str:
    """The code that the browser is sent back with."""
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def post(provider: Provider, path: str, client: str = "hub", **form: str) -> httpx.Response:
    """A request of a client."""
    secret = provider.clients[client].secret
    return httpx.post(f"{provider.address}/{path}", data=form, auth=(client, secret))


def log_in(provider: Provider, secrets: Secrets) -> dict[str, Any]:
    """The tokens of a whole login."""
    code = code_of(authorize(provider))
    answer = post(provider, "token", grant_type="authorization_code", code=code, redirect_uri=BACK, code_verifier=VERIFIER)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    secrets.add(tokens["access_token"], tokens["refresh_token"], tokens["id_token"])
    return tokens


def trusting(provider: Provider) -> Verifier:
    """Trusts it, also by http."""
    rules = Trusted(provider.issuer, audiences=("hub",), client_id="hub")
    return Verifier([rules], Providers(fetch=HttpFetch(timeout=2), loopback_http=True))


async def test_a_whole_login_by_the_real_verifier(provider: Provider, secrets_seen: Secrets) -> None:
    tokens = log_in(provider, secrets_seen)
    found = await trusting(provider).login(Token(tokens["id_token"]), time.time(), nonce="no")
    assert (found.subject, found.claims["preferred_username"]) == ("s-1", "ada")
    assert (await trusting(provider).access(Token(tokens["access_token"]), time.time())).subject == "s-1"
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    userinfo = await asyncio.to_thread(httpx.get, f"{provider.address}/userinfo", headers=bearer)
    assert userinfo.json() == {"sub": "s-1", "preferred_username": "ada"}


def test_the_page_that_asks_who_it_is(provider: Provider) -> None:
    page = authorize(provider, **{"as": ""})
    assert page.status_code == 200 and 'value="s-1"' in page.text and re.search(r'name="state" value="st"', page.text)
    provider.person = "s-1"
    assert authorize(provider, **{"as": ""}).status_code == 302


def test_logins_that_are_refused(provider: Provider) -> None:
    assert authorize(provider, client_id="nobody").status_code == 400
    assert authorize(provider, redirect_uri="https://evil.example/").status_code == 400
    assert "error=invalid_request" in authorize(provider, code_challenge="").headers["location"]
    assert "error=invalid_request" in authorize(provider, code_challenge_method="plain").headers["location"]
    assert "error=access_denied" in authorize(provider, **{"as": "nobody"}).headers["location"]


@pytest.mark.parametrize(
    "changed", [{"code_verifier": "w" * 43}, {"redirect_uri": "https://evil.example/"}, {"code": "x"}, {"client": "other"}]
)
def test_codes_that_are_refused(provider: Provider, changed: dict[str, str]) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": code_of(authorize(provider)),
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    answer = post(provider, "token", **form)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


def test_a_code_is_redeemed_once_and_only_by_its_client(provider: Provider, secrets_seen: Secrets) -> None:
    code = code_of(authorize(provider))
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    assert httpx.post(f"{provider.address}/token", data={**form, "client_id": "hub", "client_secret": "wrong"}).status_code == 401
    assert httpx.post(f"{provider.address}/token", data={**form, "client_id": "hub", "client_secret": CLIENT.secret}).status_code == 200
    assert post(provider, "token", **form).status_code == 400


def test_refresh_tokens_rotate_and_one_used_twice_ends_all(provider: Provider, secrets_seen: Secrets) -> None:
    first = log_in(provider, secrets_seen)["refresh_token"]
    second = post(provider, "token", grant_type="refresh_token", refresh_token=first).json()
    secrets_seen.add(second["refresh_token"])
    assert second["refresh_token"] != first and "id_token" in second and provider.grants.live() == 1
    assert post(provider, "token", client="other", grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 400
    assert post(provider, "token", grant_type="refresh_token", refresh_token=first).status_code == 400
    assert post(provider, "token", grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 400
    assert provider.grants.live() == 0


async def test_an_exchange_is_never_wider(provider: Provider, secrets_seen: Secrets) -> None:
    token = log_in(provider, secrets_seen)["access_token"]
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, "audience": "storage"}
    answer = post(provider, "token", **form, scope="storage.read:/").json()
    assert answer["scope"] == "storage.read:/" and "refresh_token" not in answer and answer["issued_token_type"] == ACCESS
    rules = Verifier([Trusted(provider.issuer, ("storage",))], Providers(loopback_http=True))
    assert (await rules.access(Token(answer["access_token"]), time.time())).claims["aud"] == "storage"
    assert post(provider, "token", **form, scope="storage.modify:/").json() == {"error": "invalid_scope"}
    assert post(provider, "token", **{**form, "audience": "elsewhere"}).json() == {"error": "invalid_target"}
    assert post(provider, "token", **{**form, "subject_token": "x"}).json() == {"error": "invalid_request"}
    assert post(provider, "token", grant_type="password").json() == {"error": "unsupported_grant_type"}


def test_introspection_revocation_and_logout(provider: Provider, secrets_seen: Secrets) -> None:
    tokens = log_in(provider, secrets_seen)
    access = tokens["access_token"]
    assert post(provider, "introspect", token=access).json()["active"] is True
    assert httpx.post(f"{provider.address}/introspect", data={"token": access}).status_code == 401
    assert post(provider, "introspect", token="x").json() == {"active": False}
    assert post(provider, "revoke", token=access).status_code == 200
    assert post(provider, "introspect", token=access).json() == {"active": False}
    again = log_in(provider, secrets_seen)
    assert post(provider, "revoke", token=again["refresh_token"]).status_code == 200
    assert post(provider, "token", grant_type="refresh_token", refresh_token=again["refresh_token"]).status_code == 400
    third = log_in(provider, secrets_seen)
    assert httpx.get(f"{provider.address}/logout", params={"id_token_hint": third["id_token"]}).status_code == 200
    assert post(provider, "introspect", token=third["access_token"]).json() == {"active": False}
    assert httpx.get(f"{provider.address}/logout", params={"id_token_hint": "x"}).status_code == 400


FAULTS = {
    "an error": Fault(500),
    "a page": Fault(200, b"<html>maintenance</html>", "text/html"),
    "wrong JSON": Fault(200, b'{"issuer": '),
    "a list": Fault(200, b"[]"),
    "too much": Fault(200, b'{"x": "' + b"y" * (1 << 20) + b'"}'),
    "another host": Fault(302, location="http://127.0.0.2:1/x"),
    "itself": Fault(302, location="/.well-known/openid-configuration"),
    "slow": Fault(delay=5),
}


@pytest.mark.parametrize("where", ["discovery", "jwks"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_it_misbehaves_and_the_verifier_says_so(provider: Provider, secrets_seen: Secrets, where: str, fault: Fault) -> None:
    token = Token(log_in(provider, secrets_seen)["id_token"])
    asking = Verifier(
        [Trusted(provider.issuer, client_id="hub")], Providers(fetch=HttpFetch(timeout=0.3 if fault.delay else 5), loopback_http=True)
    )
    provider.faults[where] = fault
    with pytest.raises(ProviderError) as caught:
        await asking.login(token, time.time(), nonce="no")
    assert "maintenance" not in str(caught.value)
    del provider.faults[where]
    await asking.login(token, time.time() + 61, nonce="no")


async def test_a_redirect_is_not_followed_wherever_it_leads(provider: Provider, secrets_seen: Secrets) -> None:
    token = Token(log_in(provider, secrets_seen)["id_token"])
    with Provider() as other:
        # it would do: it says that it is the issuer, and has its keys
        other.describe, other.signers = {"issuer": provider.issuer}, provider.signers
        provider.faults["discovery"] = Fault(302, location=f"{other.address}/.well-known/openid-configuration")
        with pytest.raises(ProviderError):
            await trusting(provider).login(token, time.time(), nonce="no")
        provider.faults = {"jwks": Fault(307, location=f"{other.address}/jwks")}
        with pytest.raises(ProviderError):
            await trusting(provider).login(token, time.time(), nonce="no")
        assert other.asked == []


async def test_an_answer_is_read_no_further_than_it_may_be(provider: Provider) -> None:
    provider.faults["discovery"] = FAULTS["too much"]
    with pytest.raises(ProviderError, match="answers with more than 1048576 bytes"):
        await HttpFetch()(f"{provider.address}/.well-known/openid-configuration")


async def test_down_and_up_again(provider: Provider, secrets_seen: Secrets) -> None:
    token = Token(log_in(provider, secrets_seen)["id_token"])
    provider.stop()
    with pytest.raises(ProviderError):
        await trusting(provider).login(token, time.time(), nonce="no")
    provider.start()
    await trusting(provider).login(token, time.time(), nonce="no")


async def test_rotation_and_a_wrong_clock(provider: Provider, secrets_seen: Secrets) -> None:
    asking = trusting(provider)
    await asking.login(Token(log_in(provider, secrets_seen)["id_token"]), time.time(), nonce="no")
    provider.rotate(keep=False)
    await asking.login(Token(log_in(provider, secrets_seen)["id_token"]), time.time(), nonce="no")
    provider.skew = 300
    with pytest.raises(IdentityError) as caught:
        await asking.login(Token(log_in(provider, secrets_seen)["id_token"]), time.time(), nonce="no")
    assert caught.value.reason == "not-yet-valid"


@pytest.mark.parametrize("path", ["", "/", "/realms/cern", "/realms/cern/"])
async def test_https_by_an_authority_of_ones_own_and_issuers_of_any_path(tmp_path: Path, secrets_seen: Secrets, path: str) -> None:
    authority = Authority(tmp_path)
    with Provider({"hub": CLIENT}, people={"s-1": {}}, authority=authority, path=path, algorithm="ES256") as made:
        assert made.issuer.startswith("https://localhost:") and made.issuer.endswith(path)
        claims = {"iss": made.issuer, "sub": "s-1", "aud": "hub", **made.times()}
        token = Token(made.sign("access", claims))
        trusted = [Trusted(made.issuer, ("hub",))]
        found = await Verifier(trusted, Providers(fetch=HttpFetch(authority.client()))).access(token, time.time())
        assert found.subject == "s-1"
        with pytest.raises(ProviderError):
            await Verifier(trusted, Providers()).access(token, time.time())


async def test_http_is_an_issuer_only_here_and_only_where_that_is_said(provider: Provider, secrets_seen: Secrets) -> None:
    token = Token(log_in(provider, secrets_seen)["id_token"])
    asked = len(provider.asked)
    with pytest.raises(ProviderError, match="is not reached by https"):
        await Verifier([Trusted(provider.issuer, client_id="hub")], Providers()).login(token, time.time(), nonce="no")
    assert len(provider.asked) == asked


def test_an_answer_may_be_edited(provider: Provider, secrets_seen: Secrets) -> None:
    provider.userinfo_only = frozenset({"preferred_username"})
    provider.edit["id"] = lambda claims: {**claims, "x": 1}
    tokens = log_in(provider, secrets_seen)
    import jwt

    said = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert said["x"] == 1 and "preferred_username" not in said
