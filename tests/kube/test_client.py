"""The client against a real API server."""

from __future__ import annotations

import asyncio

import pytest

from afkit.errors import KubernetesError
from afkit.kube.client import Kubernetes
from afkit.kube.config import in_cluster
from afkit.kube.pending import explain_refusal
from afkit.kube.transport import Call, Transport, decode, encode
from tests.kube.control import pod


async def test_what_is_written_is_read(kube, namespace):
    made = await kube.create(pod("a", namespace, x="1"))
    assert made["metadata"]["uid"]
    assert (await kube.get("Pod", "a", namespace))["spec"]["containers"][0]["image"] == "r.example.org/i:1"
    await kube.patch("Pod", "a", namespace, {"metadata": {"labels": {"x": "2", "y": None}}})
    assert [one["metadata"]["name"] for one in (await kube.list("Pod", namespace, labels="x=2"))["items"]] == ["a"]
    assert (await kube.list("Pod", namespace, labels="x=1"))["items"] == []
    assert (await kube.list("Pod", fields=f"metadata.namespace={namespace}"))["items"][0]["kind"] == "Pod"
    with pytest.raises(KubernetesError, match="AlreadyExists"):
        await kube.create(pod("a", namespace))
    await kube.delete("Pod", "a", namespace, uid="00000000-0000-0000-0000-000000000000")
    assert await kube.find("Pod", "a", namespace) is not None
    await kube.delete("Pod", "a", namespace, uid=made["metadata"]["uid"], grace=0)
    assert await kube.find("Pod", "a", namespace) is None
    await kube.delete("Pod", "a", namespace)


async def test_trying_leaves_nothing(kube, namespace):
    await kube.create(pod("dry", namespace), dry_run=True)
    assert await kube.find("Pod", "dry", namespace) is None


async def test_a_change_of_what_somebody_else_changed_is_refused(kube, namespace):
    first = await kube.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}
    )
    await kube.replace({**first, "data": {"a": "2"}})
    with pytest.raises(KubernetesError) as caught:
        await kube.replace({**first, "data": {"a": "3"}})
    assert caught.value.status == 409


async def test_apply_makes_and_takes_over(kube, namespace):
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}
    await kube.patch("ConfigMap", "c", namespace, wanted, type="apply")
    await kube.patch("ConfigMap", "c", namespace, {"data": {"a": "other", "b": "2"}})
    await kube.patch("ConfigMap", "c", namespace, wanted, type="apply")
    assert (await kube.get("ConfigMap", "c", namespace))["data"] == {"a": "1", "b": "2"}


async def test_a_create_whose_answer_is_lost_is_one_object(control, way, namespace, kube):
    async with await Kubernetes.connect(control.kubeconfig(way.port)) as other:
        await other.version()
        way.stall()
        # the open connection is dead, and the client finds out only when it gets no answer
        other.transport.timeout = 1.0
        made = await other.create(pod("once", namespace))
    assert [one["metadata"]["uid"] for one in (await kube.list("Pod", namespace))["items"]] == [made["metadata"]["uid"]]


async def test_many_at_once_share_few_connections(kube, namespace):
    await asyncio.gather(*(kube.create(pod(f"p{number}", namespace)) for number in range(100)))
    assert len((await kube.list("Pod", namespace))["items"]) == 100


async def test_pages(kube, namespace, monkeypatch):
    monkeypatch.setattr("afkit.kube.client._PAGE", 3)
    await asyncio.gather(*(kube.create(pod(f"p{number}", namespace)) for number in range(8)))
    assert len((await kube.list("Pod", namespace))["items"]) == 8


async def test_refusals_in_plain_words(kube, namespace):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "afkit", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    await kube.create(quota)
    # who counts is the controller-manager, which is not here
    status = {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}
    await _status(kube, "resourcequotas", namespace, "afkit", status)
    with pytest.raises(KubernetesError) as caught:
        await kube.create(pod("a", namespace))
    assert explain_refusal(caught.value).sentence == (
        "Your quota afkit has no room for it: it asks for pods=1, in use are pods=0, and the most is pods=0."
    )
    await kube.delete("ResourceQuota", "afkit", namespace)
    await kube.patch("Namespace", namespace, "", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    with pytest.raises(KubernetesError) as caught:
        await kube.create(pod("a", namespace))
    found = explain_refusal(caught.value)
    assert (found.code, found.who) == ("security", "administrator")
    assert 'restricted:latest refuses it: allowPrivilegeEscalation != false (container "notebook" must set' in found.sentence
    with pytest.raises(KubernetesError) as caught:
        await kube.create({**pod("b", namespace), "spec": {"containers": []}})
    assert caught.value.status == 422


async def _status(kube, plural, namespace, name, status):
    path = f"/api/v1/namespaces/{namespace}/{plural}/{name}/status"
    await kube.transport.send(Call("change", "PATCH", path, plural, body=encode(status), content_type="application/merge-patch+json"))


async def test_an_identity_without_rights(control):
    async with await Kubernetes.connect(control.kubeconfig(user="nobody")) as kube:
        with pytest.raises(KubernetesError, match=r'refuses to list Secret default \(Forbidden\): secrets is forbidden: User "nobody"'):
            await kube.list("Secret", "default")
        assert not await kube.allowed("list", "Secret", "default")
        assert (await kube.whoami())["username"] == "nobody"


async def test_a_pod_finds_its_server_by_its_own_account(control, kube, namespace, tmp_path, monkeypatch):
    await kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hub", "namespace": namespace}})
    token = await _token(kube, namespace, "hub", "https://kubernetes.default.svc")
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_bytes(control.authority.pem())
    (tmp_path / "namespace").write_text(namespace)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    where = in_cluster(str(tmp_path), {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(control.port)})
    async with Kubernetes(Transport(where, 5)) as inside:
        assert (await inside.whoami())["username"] == f"system:serviceaccount:{namespace}:hub"
        assert where.namespace == namespace
        assert token not in repr(where)
    other = await _token(kube, namespace, "hub", "afkit-services")
    status = await kube.review(other, "afkit-services")
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:hub"
    assert not (await kube.review(token, "afkit-services")).get("authenticated")
    assert not (await kube.review("nonsense", "afkit-services")).get("authenticated")


async def _token(kube, namespace, account, audience):
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience], "expirationSeconds": 600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    call = Call("make a token of", "POST", path, "ServiceAccount", namespace, account, body=encode(body))
    return decode(await kube.transport.send(call), call)["status"]["token"]


async def test_a_server_that_restarts_is_waited_for(control, kube, namespace):
    await kube.create(pod("a", namespace))
    again = asyncio.create_task(control.restart_server())
    await asyncio.sleep(0)
    kube.transport.timeout = 60
    assert (await kube.get("Pod", "a", namespace))["metadata"]["name"] == "a"
    await again
