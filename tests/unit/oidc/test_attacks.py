"""Tokens that must be refused, each with the reason, by the real verifier and real keys; and beside each the one that is accepted."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

pytest.importorskip("jwt", reason="signatures belong to the newest axis")

from cryptography.hazmat.primitives import serialization

from afkit.errors import IdentityError, ProviderError
from afkit.oidc import REASONS, Providers, Token, Trusted, Verifier
from afkit.testing.signing import Signer
from tests.unit.oidc.tokens import (
    AUDIENCE,
    CLAIMS,
    CLIENT,
    ISSUER,
    NONCE,
    NOW,
    Issuer,
    access,
    encode,
    identity,
    signed,
    signer,
    token_of,
    verifier,
)

ANY = "https://wlcg.cern.ch/jwt/v1/any"


async def why(verifier: Verifier, token: Token | str, now: float = NOW) -> str:
    """The reason why this access token is refused."""
    with pytest.raises(IdentityError) as caught:
        await verifier.access(token if isinstance(token, Token) else Token(token), now)
    assert caught.value.reason in REASONS and caught.value.message.endswith(".") and caught.value.hint
    return caught.value.reason


async def why_login(verifier: Verifier, token: str, now: float = NOW, nonce: str = NONCE) -> str:
    """The reason why this ID token is refused."""
    with pytest.raises(IdentityError) as caught:
        await verifier.login(Token(token), now, nonce=nonce)
    return caught.value.reason


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_good_token_is_accepted_whatever_of_the_two_signed_it(algorithm: Any) -> None:
    issuer = Issuer(signer("RS256"), signer("ES256", "other"))
    by = signer("RS256") if algorithm == "RS256" else signer("ES256", "other")
    found = await verifier(issuer).access(Token(by.sign(access())), NOW)
    assert (found.issuer, found.subject, found.expires) == (ISSUER, CLAIMS["sub"], NOW + 3600)
    assert found.person == (ISSUER, CLAIMS["sub"]) and found.claims["scope"] == "openid wlcg.groups"
    assert issuer.asked == [f"{ISSUER}.well-known/openid-configuration", f"{ISSUER}jwk"]


async def test_a_good_login_is_accepted() -> None:
    found = await verifier(Issuer(signer())).login(Token(signer().sign(identity())), NOW, nonce=NONCE)
    assert found.subject == CLAIMS["sub"]


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 7, ["RS256"], "HS256", "RS512", "PS256", "EdDSA", "ES384"])
async def test_01_no_signature_and_other_algorithms(alg: object) -> None:
    issuer = Issuer(signer())
    assert await why(verifier(issuer), token_of({"alg": alg, "kid": "first"}, access(), b"x" * 64)) == "algorithm"
    assert issuer.asked == []


@pytest.mark.parametrize("header", [{"b64": False, "crit": ["b64"]}, {"crit": []}, {"crit": ["exp"], "exp": 1}, {"zip": "DEF"}])
async def test_01_headers_that_change_what_a_signature_means(header: dict[str, Any]) -> None:
    issuer = Issuer(signer())
    good = signer().sign(access()).split(".")
    token = Token(f"{encode(json.dumps({'alg': 'RS256', 'kid': 'first', **header}).encode())}.{good[1]}.{good[2]}")
    assert await why(verifier(issuer), token) == "algorithm"
    assert issuer.asked == []


async def test_01_an_empty_signature() -> None:
    issuer = Issuer(signer())
    head, body, _ = signer().sign(access()).split(".")
    for text in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}..", "..", ""):
        assert await why(verifier(issuer), text) == "malformed"
    assert issuer.asked == []


async def test_01_a_signature_of_other_bytes() -> None:
    head, body, signature = signer().sign(access()).split(".")
    other = signer().sign(access(sub="somebody-else")).split(".")
    assert await why(verifier(Issuer(signer())), f"{head}.{other[1]}.{signature}") == "signature"
    assert await why(verifier(Issuer(signer())), f"{head}.{body}.{signature[:-8]}AAAAAAAA") in ("signature", "malformed")


async def test_02_the_public_key_as_a_shared_secret() -> None:
    public = signer().private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = encode(b'{"alg":"HS256","kid":"first"}'), encode(json.dumps(access()).encode())
    made = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert await why(verifier(Issuer(signer())), f"{head}.{body}.{encode(made)}") == "algorithm"


async def test_02_the_type_of_the_key_has_to_match() -> None:
    by = signer("ES256", "first")
    assert await why(verifier(Issuer(signer("RS256", "first"))), by.sign(access())) == "unknown-key"
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "first", "alg": "HS256", "use": "sig"}
    issuer = Issuer(signer())
    issuer.keys["keys"].append(secret)
    await verifier(issuer).access(Token(signer().sign(access())), NOW)
    lying = Issuer(signer())
    lying.keys["keys"][0]["alg"] = "RS512"
    with pytest.raises(ProviderError):
        await verifier(lying).access(Token(signer().sign(access())), NOW)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_03_a_key_in_the_header(name: str) -> None:
    own = Signer("RS256", "first")
    offered = {"jwk": own.public(), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": ["MIIB"]}
    issuer = Issuer(signer())
    assert await why(verifier(issuer), own.sign(access(), {name: offered[name]})) == "algorithm"
    assert issuer.asked == []
    assert await why(verifier(issuer), own.sign(access())) == "signature"


@pytest.mark.parametrize("key_id", [None, "", 7, "x" * 300])
async def test_04_no_key_named(key_id: object) -> None:
    issuer = Issuer(signer())
    head = {"alg": "RS256", **({} if key_id is None else {"kid": key_id})}
    assert await why(verifier(issuer), token_of(head, access(), b"x" * 256)) == "unknown-key"
    assert issuer.asked == []


async def test_04_an_unknown_key_is_asked_for_once_in_a_while() -> None:
    issuer, unknown = Issuer(signer()), Signer("RS256", "second")
    asking = verifier(issuer)
    for second in range(20):
        assert await why(asking, unknown.sign(access()), NOW + second) == "unknown-key"
    assert issuer.asked.count(f"{ISSUER}jwk") == 2, "once to begin with, once for the unknown key"
    assert await why(asking, unknown.sign(access()), NOW + 400) == "unknown-key"
    assert issuer.asked.count(f"{ISSUER}jwk") == 3


async def test_04_two_keys_of_one_name_are_none() -> None:
    issuer = Issuer(signer(), Signer("RS256", "first"), signer("RS256", "good"))
    assert await why(verifier(issuer), signer().sign(access())) == "unknown-key"
    await verifier(issuer).access(Token(signer("RS256", "good").sign(access())), NOW)


@pytest.mark.parametrize(
    "iss",
    [
        "https://cms-auth.example", "https://CMS-auth.example/", "https://cms-auth.example:443/", "http://cms-auth.example/",
        "https://cms-auth.example//", "https://cms-auth.example/ ", "https://cms-auth.example/?x", "https://169.254.169.254/",
        "https://kubernetes.default.svc/", "https://127.0.0.1/", "", None, 7, ["https://cms-auth.example/"], {"a": 1},
    ],
)  # fmt: skip
async def test_05_an_issuer_that_is_not_trusted_is_never_asked(iss: object) -> None:
    issuer = Issuer(signer())
    assert (
        await why(
            verifier(issuer),
            signer().sign(access(iss=iss)) if isinstance(iss, str | None) else signed(json.dumps(access(iss=iss)).encode(), signer()),
        )
        == "untrusted-issuer"
    )
    assert issuer.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "http://cms-auth.example/",
        "https://user@cms-auth.example/",
        "https://a.example/?x=1",
        "https://a.example/#x",
        "ftp://a.example/",
        "cms",
        "",
    ],
)
async def test_05_what_cannot_be_an_issuer_is_not_asked_although_it_is_trusted(address: str) -> None:
    issuer = Issuer(signer(), issuer=address)
    with pytest.raises(ProviderError, match=r"The issuer .* is n"):
        await verifier(issuer).access(Token(signer().sign(access(iss=address))), NOW)
    assert issuer.asked == []


@pytest.mark.parametrize("said", ["https://cms-auth.example", "https://evil.example/", "", None, 7])
async def test_06_a_description_of_another_issuer(said: object) -> None:
    issuer = Issuer(signer())
    issuer.described["issuer"] = said
    with pytest.raises(ProviderError):
        await verifier(issuer).access(Token(signer().sign(access())), NOW)
    assert len(issuer.asked) == 1, "its keys are not asked for"


@pytest.mark.parametrize(
    "keys",
    [
        "http://cms-auth.example/jwk", "https://169.254.169.254/jwk", "https://[::1]/jwk", "https://kubernetes.default.svc/jwk", "https://hub/jwk",
        "https://x.svc.cluster.local/k", "https://kubernetes.default.svc./k", "https://hub.ns.svc.cluster.local./k", "https://kubernetes.default/k",
        "https://127.0.0x1/k", "https://u:p@cms-auth.example/jwk", "file:///etc/passwd", "https://127.0.0.1/", "", None, 7,
    ],
)  # fmt: skip
async def test_06_keys_at_an_address_inside(keys: object) -> None:
    issuer = Issuer(signer())
    issuer.described["jwks_uri"] = keys
    with pytest.raises(ProviderError):
        await verifier(issuer).access(Token(signer().sign(access())), NOW)
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    "aud", ["other-client", CLIENT, f"{AUDIENCE}/", AUDIENCE.upper(), [], "", None, 7, [7, AUDIENCE], {AUDIENCE: 1}, ["a", "b"]]
)
async def test_07_a_token_for_somebody_else(aud: object) -> None:
    assert await why(verifier(Issuer(signer())), signed(json.dumps(access(aud=aud)).encode(), signer())) == "audience"


async def test_07_the_audience_for_everybody_counts_where_that_is_said() -> None:
    token = signer().sign(access(aud=ANY))
    assert await why(verifier(Issuer(signer())), token) == "audience"
    await verifier(Issuer(signer()), any_audience=True).access(Token(token), NOW)
    await verifier(Issuer(signer())).access(Token(signer().sign(access(aud=["https://other.example", AUDIENCE]))), NOW)


async def test_07_the_audience_for_everybody_opens_no_login() -> None:
    token = signer().sign(identity(aud=ANY))
    assert await why_login(verifier(Issuer(signer()), any_audience=True), token) == "audience"
    assert await why_login(verifier(Issuer(signer())), signer().sign(identity(aud=AUDIENCE))) == "audience"


@pytest.mark.parametrize(
    "claims", [{"aud": ["af-hub", "b"]}, {"aud": ["af-hub", "b"], "azp": "b"}, {"azp": "b"}, {"aud": None}, {"aud": "b"}]
)
async def test_07_the_login_of_another_client_of_the_realm(claims: dict[str, Any]) -> None:
    assert await why_login(verifier(Issuer(signer())), signer().sign(identity(**claims))) == "audience"
    await verifier(Issuer(signer())).login(Token(signer().sign(identity(aud=["af-hub", "b"], azp="af-hub"))), NOW, nonce=NONCE)


@pytest.mark.parametrize(
    "claims", [{"at_hash": "x"}, {"typ": "ID"}, {"typ": "Refresh"}, {"typ": "Offline"}, {"nonce": NONCE}, {"events": {}}]
)
async def test_07_an_id_token_opens_nothing(claims: dict[str, Any]) -> None:
    asking = verifier(Issuer(signer()), audiences=(CLIENT,))
    assert await why(asking, signer().sign(identity(**{"nonce": None, **claims}))) == "wrong-kind"
    assert await why(asking, signer().sign(identity())) == "wrong-kind"


async def test_07_an_access_token_is_no_login() -> None:
    asking = verifier(Issuer(signer()))
    assert await why_login(asking, signer().sign(identity(), {"typ": "at+jwt"})) == "wrong-kind"
    assert await why_login(asking, signer().sign(identity(), {"typ": "application/AT+JWT"})) == "wrong-kind"
    assert await why_login(asking, signer().sign(identity(typ="Bearer"))) == "wrong-kind"
    assert await why_login(asking, signer().sign(access(aud=CLIENT))) == "nonce"


@pytest.mark.parametrize("said", [None, "", "another", NONCE.upper(), 7])
async def test_07_a_login_that_was_begun_elsewhere(said: object) -> None:
    assert await why_login(verifier(Issuer(signer())), signer().sign(identity(nonce=said))) == "nonce"


async def test_07_without_a_nonce_of_ones_own_nothing_is_accepted() -> None:
    assert await why_login(verifier(Issuer(signer())), signer().sign(identity(nonce="")), nonce="") == "nonce"


async def test_08_a_renewal_is_of_the_same_person() -> None:
    token = Token(signer().sign(identity(nonce=None)))
    await verifier(Issuer(signer())).renewed(token, NOW, subject=str(CLAIMS["sub"]))
    with pytest.raises(IdentityError):
        await verifier(Issuer(signer())).renewed(token, NOW, subject="somebody-else")


async def test_09_times() -> None:
    asking = verifier(Issuer(signer()))
    token = signer().sign(access())
    await asking.access(Token(token), NOW + 3599.9)
    assert await why(asking, token, NOW + 3600) == "expired", "no grace"
    await asking.access(Token(token), NOW - 60)
    assert await why(asking, token, NOW - 61) == "not-yet-valid"
    assert await why(asking, signer().sign(access(nbf=NOW + 61))) == "not-yet-valid"
    await asking.access(Token(signer().sign(access(nbf=NOW + 60))), NOW)
    await asking.access(Token(signer().sign(access(nbf=None))), NOW)
    await asking.access(Token(signer().sign(access(nbf=0))), NOW)


@pytest.mark.parametrize("life", [6 * 3600 + 1, 10**9, 0, -1])
async def test_09_lives_that_no_token_has(life: int) -> None:
    reason = await why(verifier(Issuer(signer())), signer().sign(access(exp=NOW + life)), NOW - 10)
    assert reason == "lifetime"
    await verifier(Issuer(signer())).access(Token(signer().sign(access(exp=NOW + 6 * 3600))), NOW)


@pytest.mark.parametrize(
    "value", ['"1786003600"', "1786003600.5", "1e308", "1E400", "-1", "true", "null", "[]", "{}", "99999999999999", "0", "1" + "0" * 5000]
)
@pytest.mark.parametrize("name", ["exp", "iat"])
async def test_09_times_that_are_none(name: str, value: str) -> None:
    text = json.dumps(access(**{name: "HERE"})).replace('"HERE"', value)
    reason = await why(verifier(Issuer(signer())), signed(text.encode(), signer()))
    assert reason in ("malformed", "too-large")


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "jti"])
async def test_09_a_token_without_what_it_must_say(name: str) -> None:
    assert await why(verifier(Issuer(signer())), signer().sign(access(**{name: None}))) == "malformed"


@pytest.mark.parametrize("version", ["2.0", "1", 1.0, 1, None, "", "v1.0", "1.0.0", "1.", "01.0x", "0.9", "10.0", " 1.0", "1.0\n", "１.0"])
async def test_10_versions_of_the_profile_that_nobody_knows(version: object) -> None:
    text = json.dumps(access(wlcg__ver=version)).encode()
    assert await why(verifier(Issuer(signer())), signed(text, signer())) == "wrong-version"


@pytest.mark.parametrize("version", ["1.0", "1.9", "1.123"])
async def test_10_newer_minor_versions_are_accepted(version: str) -> None:
    await verifier(Issuer(signer())).access(Token(signer().sign(access(wlcg__ver=version))), NOW)


async def test_10_other_issuers_need_no_version() -> None:
    await verifier(Issuer(signer()), wlcg=False).access(Token(signer().sign(access(wlcg__ver=None, jti=None))), NOW)


def with_raw(raw: bytes) -> bytes:
    """Good claims, and something behind them."""
    return json.dumps(access()).encode()[:-1] + b"," + raw + b"}"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'"sub":"a"', "malformed"),
        (b'"x":1,"x":1', "malformed"),
        (b'"x":{"a":1,"a":2}', "malformed"),
        (b'"x":' + b"[" * 10_000 + b"]" * 10_000, "too-large"),
        (b'"x":' + b'{"a":' * 100 + b"1" + b"}" * 100, "too-large"),
        (b'"x":"\xff\xfe"', "malformed"),
        (b'"x":"\\ud800"', "malformed"),
        (b'"\\udfff":1', "malformed"),
        (b'"x":"a\\u0000b"', "malformed"),
        (b'"x":NaN', "malformed"),
        (b'"x":-Infinity', "malformed"),
        (b'"x":', "malformed"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
async def test_11_json_that_is_more_or_less_than_one_thing(raw: bytes, reason: str) -> None:
    issuer = Issuer(signer())
    assert await why(verifier(issuer), signed(with_raw(raw), signer())) == reason
    assert issuer.asked == []
    await verifier(issuer).access(signed(with_raw(b'"x":"y"'), signer()), NOW)


async def test_11_a_token_of_a_megabyte_is_refused_unread() -> None:
    issuer = Issuer(signer())
    for text in ("x" * 1_000_000, f"{'a' * 500_000}.{'b' * 500_000}.c", "." * 1_000_000, signer().sign(access(x="y" * 1_000_000))):
        assert await why(verifier(issuer), text) == "too-large"
    head = token_of({"alg": "RS256", "kid": "first", "x": "y" * 5000}, access(), b"x")
    assert await why(verifier(issuer), head) == "too-large"
    assert issuer.asked == []


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"7", b"null", b"", b"\xef\xbb\xbf{}"])
async def test_11_what_is_no_object(content: bytes) -> None:
    issuer = Issuer(signer())
    assert await why(verifier(issuer), signed(content, signer())) == "malformed"
    assert issuer.asked == []


async def test_11_one_spelling_of_base64() -> None:
    head, body, signature = signer().sign(access()).split(".")
    for text in (
        f"{head}=.{body}.{signature}",
        f"{head}.{body}.{signature} ",
        f"{head}.{body}\n.{signature}",
        f" {head}.{body}.{signature}",
        f"{head}.{body}.{signature}==",
    ):
        assert await why(verifier(Issuer(signer())), text) == "malformed"
    # the last character of 256 bytes has four bits that say nothing
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = last[(last.index(signature[-1]) // 16) * 16 + (last.index(signature[-1]) + 1) % 16]
    assert await why(verifier(Issuer(signer())), f"{head}.{body}.{signature[:-1]}{twin}") == "malformed"


async def test_12_the_same_subject_of_two_issuers_is_two_people() -> None:
    other = "https://atlas-auth.example/"
    first, second = Issuer(signer()), Issuer(signer("RS256", "theirs"), issuer=other)

    async def fetch(url: str, *, form: Any = None, headers: Any = None) -> Any:
        return await (first if url.startswith(ISSUER) else second)(url)

    both = Verifier([Trusted(ISSUER, (AUDIENCE,)), Trusted(other, (AUDIENCE,))], Providers(fetch=fetch))
    one = await both.access(Token(signer().sign(access())), NOW)
    two = await both.access(Token(signer("RS256", "theirs").sign(access(iss=other))), NOW)
    assert one.subject == two.subject and one.person != two.person
    # the key of one issuer signs nothing of the other's
    assert await why(both, signer("RS256", "theirs").sign(access())) == "unknown-key"


@pytest.mark.parametrize("sub", ["x" * 256, "é", "", 7, ["a"], None, "ſ", "ı"])
async def test_13_subjects_that_tell_nobody_apart(sub: object) -> None:
    assert await why(verifier(Issuer(signer())), signed(json.dumps(access(sub=sub)).encode(), signer())) == "malformed"
    await verifier(Issuer(signer())).access(Token(signer().sign(access(sub="x" * 255))), NOW)


async def test_no_refusal_repeats_a_token(caplog: pytest.LogCaptureFixture) -> None:
    token = Token(signer().sign(access(exp=NOW - 5, iat=NOW - 50)))
    with pytest.raises(IdentityError) as caught:
        await verifier(Issuer(signer())).access(token, NOW)
    shown = f"{caught.value!r} {caught.value} {token!r} {token} {[token]} {caplog.text}"
    assert not any(part in shown for part in token.reveal().split("."))
