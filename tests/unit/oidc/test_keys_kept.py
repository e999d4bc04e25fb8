"""Keys are kept: through rotations, outages and restarts (attack 28), and no longer than two days."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

pytest.importorskip("jwt", reason="signatures belong to the newest axis")

from hypothesis import given, strategies as st

from afkit.errors import IdentityError, ProviderError
from afkit.oidc import Providers, Token, Trusted, Verifier
from afkit.oidc.freshness import EXPIRE, REFRESH, Known, may_ask, usable
from afkit.testing.signing import Signer
from tests.unit.oidc.tokens import AUDIENCE, ISSUER, NOW, Issuer, access, signer, verifier

HOUR, DAY = 3600, 86400


def token(by: Signer, now: int) -> Token:
    """A token that is made at this time."""
    return Token(by.sign(access(iat=now, nbf=now, exp=now + HOUR)))


def kept_in(folder: Path, issuer: Issuer) -> Verifier:
    """A verifier of a program that has just been started."""
    return Verifier([Trusted(ISSUER, (AUDIENCE,), wlcg=True)], Providers(folder, issuer))


async def test_28_a_rotation_is_followed_at_once() -> None:
    issuer, second = Issuer(signer()), Signer("RS256", "second")
    asking = verifier(issuer)
    await asking.access(token(signer(), NOW), NOW)
    issuer.keys = {"keys": [second.public(), signer().public()]}
    await asking.access(token(second, NOW + 1), NOW + 1)
    await asking.access(token(signer(), NOW + 2), NOW + 2)
    assert len(issuer.asked) == 4
    issuer.keys = {"keys": [second.public()]}
    await asking.access(token(signer(), NOW + 3), NOW + 3)  # until it is asked again
    with pytest.raises(IdentityError) as caught:
        await asking.access(token(signer(), NOW + 7 * HOUR), NOW + 7 * HOUR)
    assert caught.value.reason == "unknown-key"


async def test_28_two_hours_without_the_issuer_change_nothing_three_days_do() -> None:
    issuer = Issuer(signer())
    asking = verifier(issuer)
    await asking.access(token(signer(), NOW), NOW)
    issuer.down = True
    for later in (2 * HOUR, 7 * HOUR, DAY, 2 * DAY - 1):
        await asking.access(token(signer(), NOW + later), NOW + later)
    for later in (2 * DAY, 3 * DAY):
        with pytest.raises(ProviderError):
            await asking.access(token(signer(), NOW + later), NOW + later)
    issuer.down = False
    await asking.access(token(signer(), NOW + 4 * DAY), NOW + 4 * DAY)


async def test_an_issuer_that_is_down_is_left_alone_for_a_minute() -> None:
    issuer = Issuer(signer())
    asking = verifier(issuer)
    await asking.access(token(signer(), NOW), NOW)
    issuer.down = True
    later = NOW + 7 * HOUR
    for second in range(59):
        await asking.access(token(signer(), later), later + second)
    assert len(issuer.asked) == 3
    await asking.access(token(signer(), later), later + 61)
    assert len(issuer.asked) == 4


async def test_keys_are_asked_for_again_after_six_hours() -> None:
    issuer = Issuer(signer())
    asking = verifier(issuer)
    for later in (0, 1, HOUR, 6 * HOUR - 1):
        await asking.access(token(signer(), NOW + later), NOW + later)
    assert len(issuer.asked) == 2
    await asking.access(token(signer(), NOW + 6 * HOUR), NOW + 6 * HOUR)
    assert len(issuer.asked) == 4


async def test_many_at_once_ask_once() -> None:
    issuer = Issuer(signer())
    asking = verifier(issuer)
    await asyncio.gather(*(asking.access(token(signer(), NOW), NOW) for _ in range(50)))
    assert len(issuer.asked) == 2


async def test_a_restart_while_the_issuer_is_down_changes_nothing(tmp_path: Path) -> None:
    issuer = Issuer(signer())
    await kept_in(tmp_path / "issuers", issuer).access(token(signer(), NOW), NOW)
    issuer.down = True
    await kept_in(tmp_path / "issuers", issuer).access(token(signer(), NOW + DAY), NOW + DAY)
    with pytest.raises(ProviderError):
        await kept_in(tmp_path / "issuers", issuer).access(token(signer(), NOW + 3 * DAY), NOW + 3 * DAY)
    with pytest.raises(ProviderError):
        await kept_in(tmp_path / "elsewhere", issuer).access(token(signer(), NOW), NOW)
    (file,) = (tmp_path / "issuers").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"issuer": "https://other.example/"}', b"x" * 5_000_000])
async def test_a_file_that_says_nothing_is_no_file(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer(signer())
    await kept_in(tmp_path, issuer).access(token(signer(), NOW), NOW)
    (file,) = list(tmp_path.iterdir())  # noqa: ASYNC240  # a folder of this test
    file.write_bytes(content)
    await kept_in(tmp_path, issuer).access(token(signer(), NOW), NOW)
    assert len(issuer.asked) == 4 and "What was kept of the" in caplog.text
    assert json.loads(file.read_bytes())["issuer"] == ISSUER, "it is written anew"


async def test_a_folder_that_cannot_be_written_is_only_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    await kept_in(tmp_path / "file" / "below", Issuer(signer())).access(token(signer(), NOW), NOW)
    assert "cannot be kept" in caplog.text


async def test_a_clock_that_was_wrong_keeps_nothing_for_ever() -> None:
    """Keys that were fetched in a year to come are asked for again, and used while that fails."""
    issuer = Issuer(signer())
    asking = verifier(issuer)
    future = NOW + 1000 * DAY
    await asking.access(token(signer(), future), future)
    await asking.access(token(signer(), NOW), NOW)
    assert len(issuer.asked) == 4


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": "x"}, {"keys": [7, None, {}, {"kty": "RSA"}]}, {"keys": [{}] * 101}, []])
async def test_key_sets_without_a_key(keys: object) -> None:
    issuer = Issuer(signer())
    issuer.keys = keys
    with pytest.raises(ProviderError):
        await verifier(issuer).access(token(signer(), NOW), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"kid": None},
        {"n": "AQAB"},
        {"n": "!!"},
        {"e": None},
        {"kty": "oct"},
        {"alg": "PS256"},
        {"n": "A" * 9000},
    ],
)
async def test_keys_that_sign_nothing_here(change: dict[str, object]) -> None:
    issuer = Issuer(signer(), signer("ES256", "other"))
    issuer.keys["keys"][0] = {**issuer.keys["keys"][0], **change}
    with pytest.raises(IdentityError):
        await verifier(issuer).access(token(signer(), NOW), NOW)
    await verifier(issuer).access(token(signer("ES256", "other"), NOW), NOW)


async def test_a_curve_that_is_another() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    by = Signer("ES256", "curve")
    wrong = Signer("ES256", "curve", ec.generate_private_key(ec.SECP384R1()))
    issuer = Issuer(by)
    issuer.keys["keys"] = [wrong.public(), signer().public()]
    with pytest.raises(IdentityError):
        await verifier(issuer).access(token(by, NOW), NOW)


times = st.floats(-1e9, 1e9, allow_nan=False)


@given(times, times, times, st.floats(0, 1e9))
def test_what_is_asked_for_when(fetched: float, tried: float, unknown: float, now: float) -> None:
    known = Known(fetched, tried, unknown)
    if usable(known, now) and now - fetched >= REFRESH and tried <= fetched:
        assert may_ask(known, now)
    if not may_ask(known, now) and tried <= fetched:
        assert 0 <= now - fetched < REFRESH
    assert usable(known, fetched + EXPIRE - 1) and not usable(known, fetched + EXPIRE + 1)
    assert not usable(known, fetched - 3600), "a file that says it comes from the future is not believed for ever"
    if may_ask(known, now):
        assert may_ask(known, now, unknown_key=True)
