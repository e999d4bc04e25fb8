"""Bodies, answers and certificates of the service."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography import x509

from afkit.errors import MalformedError, RequestError
from afkit.services.dask.bodies import MOST_BODY, read
from afkit.services.dask.certificates import certify
from afkit.services.dask.refusal import CallerError, NoClusterError, answer


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await read(request))
        except RequestError as error:
            return answer(error)

    app = web.Application(client_max_size=MOST_BODY)
    app.router.add_post("/", handle)
    async with TestClient(TestServer(app)) as made:
        yield made


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b"[" * 20 + b"]" * 20,
        b"[" * 60_000,
        b" " * (MOST_BODY + 1),
        b'{"a": "' + b"x" * MOST_BODY + b'"}',
        b'{"a": 1}x',
    ],
)
async def test_what_is_no_small_plain_json_is_refused(client: TestClient[web.Request, web.Application], content: bytes) -> None:
    said = await client.post("/", data=content)
    assert said.status == 400, await said.text()
    assert (await said.json())["reason"] == "malformed"


async def test_what_is_one_is_read(client: TestClient[web.Request, web.Application]) -> None:
    said = await client.post("/", data=json.dumps({"a": [1, {"b": "ü"}]}).encode())
    assert await said.json() == {"a": [1, {"b": "ü"}]}


def test_refusals_have_a_status_a_reason_and_a_field() -> None:
    for error, status in ((MalformedError("No.", field="x"), 400), (CallerError(401, "token", "No."), 401), (NoClusterError(), 404)):
        made = answer(error)
        body = json.loads(made.body or b"")
        assert made.status == status
        assert made.headers["X-Afkit-Reason"] == body["reason"]
        assert body.get("field") == ("x" if status == 400 else None)


def test_the_certificate_of_a_cluster_is_of_its_own_authority_and_for_its_own_address(tmp_path: Path) -> None:
    one, other = certify("mine", "ns", 3600, {}), certify("mine", "ns", None, {})
    assert one.token != other.token
    certificate, authority = (x509.load_pem_x509_certificate(text.encode()) for text in (one.certificate, one.ca))
    certificate.verify_directly_issued_by(authority)
    with pytest.raises(Exception, match=r"[Ii]ssuer|signature"):
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(other.ca.encode()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert "mine-scheduler.ns.svc" in names
    for name, text in (("ca", one.ca), ("crt", one.certificate), ("key", one.key)):
        (tmp_path / name).write_text(text)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca"))
    context.load_cert_chain(str(tmp_path / "crt"), str(tmp_path / "key"))
