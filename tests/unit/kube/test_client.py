"""The client against every fault of a connection, and what its errors say and do not say."""

from __future__ import annotations

import json
import ssl
import time

import pytest
from aiohttp import web

from afkit.errors import DeadlineError, KubernetesError
from afkit.kube.client import Kubernetes
from afkit.kube.config import Access
from afkit.kube.credentials import FileToken, StaticHeader
from afkit.kube.deadline import Deadline
from afkit.kube.transport import Transport, without_managed_fields
from tests.unit.kube.faults import OVER, FaultServer, certificate, cut, pod, status

SECRET = "Bearer s3cr3t-of-the-test"


def connected(server: FaultServer, timeout: float = 2.0, **more) -> Kubernetes:
    return Kubernetes(Transport(Access(server.url, StaticHeader(SECRET), **more), timeout))


def script(*answers):
    """Answer one after the other, the last one for ever."""
    left = list(answers)

    async def answer(request):
        one = left.pop(0) if len(left) > 1 else left[0]
        return await one(request) if callable(one) else one

    return answer


async def ok(request):
    return web.json_response(pod("a", 1))


@pytest.mark.parametrize(
    ("faults", "tries"),
    [
        ([lambda r: async_(status(429, "TooManyRequests", Retry_After="0"))], 2),
        ([lambda r: async_(status(503, "ServiceUnavailable"))] * 3, 4),
        ([lambda r: async_(status(500, "InternalError"))], 2),
        ([cut], 2),
        ([lambda r: async_(status(401, "Unauthorized"))], 2),
    ],
)
async def test_a_read_outlives_what_passes(faults, tries):
    async with FaultServer(script(*faults, ok)) as server, connected(server) as kube:
        assert (await kube.get("Pod", "a", "ns"))["metadata"]["name"] == "a"
        assert server.seen == ["GET /api/v1/namespaces/ns/pods/a"] * tries


async def async_(value):
    return value


async def test_a_write_is_repeated_only_when_it_was_not_done():
    async with FaultServer(script(lambda r: async_(status(500, "InternalError", "etcd")), ok)) as server, connected(server) as kube:
        with pytest.raises(KubernetesError, match="could not replace Pod ns/a") as caught:
            await kube.replace(pod("a", 1))
        assert caught.value.status == 500
        assert len(server.seen) == 1
    again = lambda r: async_(status(500, "ServerTimeout", Retry_After="0"))  # noqa: E731
    async with FaultServer(script(again, ok)) as server, connected(server) as kube:
        await kube.replace(pod("a", 1))
        assert len(server.seen) == 2


async def test_a_create_whose_answer_is_lost_is_found_again():
    made: dict = {}

    async def answer(request):
        if request.method == "POST" and not made:
            made.update(pod("a", 7), manager=request.query["fieldManager"])
            return await cut(request)
        if request.method == "POST":
            return status(409, "AlreadyExists")
        fields = [{"manager": made["manager"]}]
        return web.json_response({**pod("a", 7), "metadata": {**pod("a", 7)["metadata"], "managedFields": fields}})

    async with FaultServer(answer) as server, connected(server) as kube:
        assert (await kube.create(pod("a", 0)))["metadata"]["resourceVersion"] == "7"
        assert [line.split()[0] for line in server.seen] == ["POST", "POST", "GET"]


async def test_a_create_never_takes_what_somebody_else_made():
    async def answer(request):
        if request.method == "POST":
            return await cut(request) if len(server.seen) == 1 else status(409, "AlreadyExists", 'pods "a" already exists')
        return web.json_response({**pod("a", 7), "metadata": {**pod("a", 7)["metadata"], "managedFields": [{"manager": "kubectl"}]}})

    async with FaultServer(answer) as server, connected(server) as kube:
        with pytest.raises(KubernetesError, match="AlreadyExists") as caught:
            await kube.create(pod("a", 0))
        assert caught.value.status == 409


async def test_a_refusal_says_what_the_server_says():
    said = 'pods "a" is forbidden: exceeded quota: af, requested: pods=1, used: pods=2, limited: pods=2'
    async with FaultServer(script(lambda r: async_(status(403, "Forbidden", said)), ok)) as server, connected(server) as kube:
        with pytest.raises(KubernetesError) as caught:
            await kube.create(pod("a", 1))
    error = caught.value
    assert (error.status, error.reason, error.kind, error.namespace, error.name) == (403, "Forbidden", "Pod", "ns", "a")
    assert error.message == f"The API server refuses to create Pod ns/a (Forbidden): {said}."


async def test_absent_is_fine_to_delete_and_another_object_stays():
    async with FaultServer(script(lambda r: async_(status(404, "NotFound")))) as server, connected(server) as kube:
        await kube.delete("Pod", "a", "ns")
        assert await kube.find("Pod", "a", "ns") is None
    async with FaultServer(script(lambda r: async_(status(409, "Conflict", "Precondition failed")))) as server, connected(server) as kube:
        await kube.delete("Pod", "a", "ns", uid="other")
        with pytest.raises(KubernetesError, match="Conflict"):
            await kube.delete("Pod", "a", "ns")


async def test_nobody_there():
    async with FaultServer(ok) as server:
        pass
    async with connected(server, 0.5) as kube:
        begun = time.monotonic()
        with pytest.raises(KubernetesError, match=r"cannot be reached .*asked to read Pod ns/a") as caught:
            await kube.get("Pod", "a", "ns")
    assert caught.value.status == 0
    assert caught.value.reason == "Unreachable"
    assert time.monotonic() - begun < 1.5


async def test_an_answer_that_never_comes():
    async def never(request):
        await request[OVER].wait()

    async with FaultServer(never) as server, connected(server, 0.3) as kube:
        with pytest.raises(KubernetesError, match="did not answer in time") as caught:
            await kube.get("Pod", "a", "ns")
        assert caught.value.reason == "Timeout"
        with pytest.raises(DeadlineError, match="Waiting for the moon took longer than"):
            await kube.get("Pod", "a", "ns", deadline=Deadline.after(0.1, "the moon"))
        with pytest.raises(DeadlineError):
            await kube.get("Pod", "never-asked-for", "ns", deadline=Deadline.after(-1, "the moon"))
        assert server.seen and not any("never-asked-for" in seen for seen in server.seen)


async def test_a_busy_server_is_not_waited_for_longer_than_the_deadline():
    busy = script(lambda r: async_(status(429, "TooManyRequests", Retry_After="60")))
    async with FaultServer(busy) as server, connected(server) as kube:
        begun = time.monotonic()
        with pytest.raises(KubernetesError, match="could not read Pod ns/a"):
            await kube.get("Pod", "a", "ns")
        assert time.monotonic() - begun < 1
        assert len(server.seen) == 1


async def test_what_is_no_kubernetes():
    async with FaultServer(lambda r: async_(web.Response(text="<html>Sign in</html>"))) as server, connected(server) as kube:
        with pytest.raises(KubernetesError, match="sent no JSON") as caught:
            await kube.get("Pod", "a", "ns")
        assert caught.value.reason == "NotKubernetes"
    login = script(lambda r: async_(web.Response(status=302, headers={"Location": "/login"})))
    async with FaultServer(login) as server, connected(server) as kube:
        with pytest.raises(KubernetesError, match="refuses to read"):
            await kube.get("Pod", "a", "ns")
        assert len(server.seen) == 1


async def test_no_error_has_a_secret():
    leak = f"invalid Secret with data {SECRET}"
    answers = [cut, lambda r: async_(status(400, "BadRequest", leak)), lambda r: async_(web.Response(text=leak))]
    for answer in answers:
        async with FaultServer(script(answer)) as server, connected(server, 0.3) as kube:
            for ask in (
                lambda: kube.create({"kind": "Secret", "metadata": {"name": "a", "namespace": "ns"}}),
                lambda: kube.review("x", "y"),
            ):
                with pytest.raises(KubernetesError) as caught:
                    await ask()
                error: BaseException | None = caught.value
                while error is not None:
                    assert "s3cr3t" not in f"{error} {error!r}"
                    error = error.__cause__ or error.__context__
    assert "s3cr3t" not in repr(connected(server).transport.access)


async def test_pages_are_put_together_and_begun_again_when_too_old():
    async def answer(request):
        if "limit" not in request.query:
            return web.json_response(
                {"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": [pod("a", 1), pod("b", 2), pod("c", 3)]}
            )
        if "continue" in request.query:
            return status(410, "Expired")
        return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "5", "continue": "x"}, "items": [pod("a", 1)]})

    async with FaultServer(answer) as server, connected(server) as kube:
        found = await kube.list("Pod", labels="a=b")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b", "c"]
    assert found["metadata"]["resourceVersion"] == "9"
    assert server.seen[-1] == "GET /api/v1/pods?labelSelector=a%3Db"


@pytest.mark.parametrize("name", ["..", "."])
async def test_a_name_is_no_path(name):
    async with FaultServer(ok) as server, connected(server) as kube:
        for call in (kube.get("Pod", name, "ns"), kube.get("Pod", "a", name)):
            with pytest.raises(KubernetesError, match="no name"):
                await call
        await kube.get("Pod", "a/../../secrets?x", "ns")
        assert server.seen == ["GET /api/v1/namespaces/ns/pods/a%2F..%2F..%2Fsecrets%3Fx"]


async def test_tls_is_checked(tmp_path):
    crt, key = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(crt, key)
    async with FaultServer(ok, tls) as server:
        async with connected(server, tls=ssl.create_default_context()) as kube:
            with pytest.raises(KubernetesError, match="authority did not sign") as caught:
                await kube.get("Pod", "a", "ns")
            assert caught.value.reason == "Untrusted"
        async with connected(server, tls=ssl.create_default_context(cafile=crt)) as kube:
            assert await kube.get("Pod", "a", "ns")


async def test_a_renewed_token_is_read_again(tmp_path):
    file = tmp_path / "token"
    file.write_text("one")

    async def answer(request):
        if request.headers["Authorization"] == "Bearer one":
            file.write_text("two\n")
            return status(401, "Unauthorized")
        return await ok(request)

    async with FaultServer(answer) as server, Kubernetes(Transport(Access(server.url, FileToken(str(file))), 2)) as kube:
        await kube.get("Pod", "a", "ns")
        assert [headers["Authorization"] for headers in server.headers] == ["Bearer one", "Bearer two"]


async def test_the_environment_adds_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password s3cr3t\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with FaultServer(ok) as server, Kubernetes(Transport(Access(server.url, StaticHeader("")), 2)) as kube:
        await kube.get("Pod", "a", "ns")
        assert "Authorization" not in server.headers[0]


async def test_reviews():
    async def answer(request):
        body = json.loads(await request.read())
        return web.json_response({**body, "status": {"authenticated": True, "allowed": True, "user": {"username": "u"}}})

    async with FaultServer(answer) as server, connected(server) as kube:
        assert (await kube.review("token", "afkit-services"))["user"]["username"] == "u"
        assert await kube.allowed("list", "Pod", "ns")
    assert server.seen == [
        "POST /apis/authentication.k8s.io/v1/tokenreviews",
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    ]


def test_managed_fields_are_cut_out_of_the_text_and_nothing_else():
    odd = ',"managedFields":[{}]},"spec":{'
    entry = {"manager": "m", "fieldsV1": {"f:spec": {'k:{"name":"a"}': {".": {}}, "v:[1]": {}}}}
    obj = pod("a", 1)
    obj["metadata"] |= {"annotations": {"note": odd}, "managedFields": [entry, entry]}
    obj["spec"] = {"text": odd}
    for whole in (obj, {"type": "ADDED", "object": obj}):
        text = json.dumps(whole, separators=(",", ":")).encode()
        cut_out = json.loads(without_managed_fields(text))
        inner = cut_out.get("object", cut_out)
        assert inner == {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
    bare = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    cut_out = json.loads(without_managed_fields(json.dumps(bare, separators=(",", ":")).encode() + b"\n"))
    assert cut_out == {**bare, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
    for other in ({"metadata": {"name": "a"}, "spec": {}}, {"metadata": {"managedFields": [entry]}, "data": {}}, []):
        text = json.dumps(other, separators=(",", ":")).encode()
        assert without_managed_fields(text) == text
