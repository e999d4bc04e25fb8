"""A pod's own account, renewed under a hub that runs: another token, and an API server with another authority."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from afkit.errors import KubernetesError
from afkit.kube import credentials, trust
from afkit.kube.client import Kubernetes
from afkit.kube.config import in_cluster
from afkit.kube.deadline import Deadline
from afkit.kube.kinds import kind_of, path_of
from afkit.kube.transport import Call, Transport
from afkit.kube.watch import SharedWatch
from tests.kube.control import Control
from tools.kubernetes.certificates import Authority, save

NAMESPACE = "rotation"


class Account:
    """The folder of a pod's service account, as a kubelet renews it: a new folder, and one link that changes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "account"
        self.folder.mkdir()
        self._versions = 0
        for name in ("token", "ca.crt", "namespace"):
            (self.folder / name).symlink_to(f"..data/{name}")

    def renew(self, token: str, authority: bytes) -> None:
        self._versions += 1
        version = self.folder / f"..{self._versions}"
        version.mkdir()
        for name, content in (("token", token.encode()), ("ca.crt", authority), ("namespace", NAMESPACE.encode())):
            (version / name).write_bytes(content)
        (self.folder / "..next").symlink_to(version.name)
        os.replace(self.folder / "..next", self.folder / "..data")  # noqa: PTH105


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Control]:
    """A control plane of this test's own: its authority changes."""
    made = Control(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


async def token_of(kube: Kubernetes, account: str) -> str:
    path = f"{path_of(kind_of('ServiceAccount'), NAMESPACE, account)}/token"
    body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}).encode()
    call = Call("create", "POST", path, "ServiceAccount", NAMESPACE, account, body=body)
    return str(json.loads(await kube.transport.send(call))["status"]["token"])


async def prepared(kube: Kubernetes) -> tuple[str, str]:
    """Two accounts that may read Pods; their tokens."""
    about = {"namespace": NAMESPACE}
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    subjects = [{"kind": "ServiceAccount", "name": name, **about} for name in ("first", "second")]
    for one in subjects:
        await kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": one["name"], **about}})
    role: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "readers", **about}}
    await kube.create({**role, "kind": "Role", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "readers"}
    await kube.create({**role, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects})
    return await token_of(kube, "first"), await token_of(kube, "second")


async def test_a_renewed_account_is_used_by_the_hub_that_runs(own: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_REREAD", 0.0)
    account = Account(tmp_path)
    async with await Kubernetes.connect(own.kubeconfig()) as admin:
        first, second = await prepared(admin)
        account.renew(first, own.authority.pem())
        seen = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(own.port)}
        async with Kubernetes(Transport(in_cluster(str(account.folder), seen), 5)) as hub:
            pods = SharedWatch(hub, "Pod", namespace=NAMESPACE)
            await pods.start()
            await pods.ready(Deadline.after(20))
            assert (await hub.whoami())["username"] == f"system:serviceaccount:{NAMESPACE}:first"

            # the token alone
            account.renew(second, own.authority.pem())
            assert (await hub.whoami())["username"] == f"system:serviceaccount:{NAMESPACE}:second"

            # the API server gets another authority before the kubelet has brought it to the pod
            own.authority = Authority()
            certificate, key = own.authority.sign("kube-apiserver", (), ("127.0.0.1",))
            save(tmp_path / "server.crt", certificate)
            save(tmp_path / "server.key", key)
            own.tls = ssl.create_default_context(cadata=own.authority.pem().decode())
            own.tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
            await own.restart_server()
            with pytest.raises(KubernetesError) as caught:
                await hub.whoami()
            assert caught.value.reason == "Untrusted"

            # it is there: no restart of the hub, and no waiting
            account.renew(second, own.authority.pem())
            assert (await hub.whoami())["username"] == f"system:serviceaccount:{NAMESPACE}:second"
            assert (await hub.list("Pod", NAMESPACE))["items"] == []

            # the watch goes on by the new one too, from where it was
            await new_pod(own)
            found = await pods.until((NAMESPACE, "new"), lambda pod: pod is not None, Deadline.after(40, "the pod"))
            assert found is not None and pods.problem is None
            await pods.close()


async def new_pod(own: Control) -> None:
    """By the administrator, whose certificate is of the old authority: the server takes it still."""
    async with await Kubernetes.connect(own.kubeconfig()) as admin:
        containers = [{"name": "a", "image": "example.org/a:1"}]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new", "namespace": NAMESPACE}, "spec": {"containers": containers}}
        await admin.create(pod)


def test_an_authority_that_is_half_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_LOOKS", 0.0)
    account = Account(tmp_path)
    account.renew("token", Authority().pem())
    found = in_cluster(str(account.folder), {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}).tls
    assert isinstance(found, trust.Trust)
    before = found.context()
    assert found.context() is before
    account.renew("token", b"-----BEGIN CERTIFICATE-----\nhalf")
    assert found.context() is before
    (account.folder / "ca.crt").unlink()
    assert found.context() is before and not found.renew()
    (account.folder / "ca.crt").symlink_to("..data/ca.crt")
    account.renew("token", Authority().pem())
    assert found.context() is not before
