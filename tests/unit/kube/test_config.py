"""Where the API server is found, and what a wrong configuration says: never what stands in it."""

from __future__ import annotations

import base64
import json
import os
import stat
import time
from pathlib import Path

import pytest

from afkit.errors import DeadlineError, KubernetesError
from afkit.kube import config
from afkit.kube.config import access, in_cluster, kubeconfig
from afkit.kube.deadline import Deadline
from tests.unit.kube.faults import certificate


def write(tmp_path, name="config", **changes):
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/k8s/clusters/x/"}}],
        "users": [{"name": "u", "user": {"token": "s3cr3t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "mine"}}],
        "current-context": "here",
    }
    path = tmp_path / name
    path.write_text(json.dumps({**data, **changes}))
    return str(path)


async def test_a_token(tmp_path):
    found = kubeconfig(write(tmp_path))
    assert (found.server, found.namespace) == ("http://127.0.0.1:1/k8s/clusters/x", "mine")
    assert await found.credentials.value() == "Bearer s3cr3t"
    assert "s3cr3t" not in repr(found)


async def test_a_password_and_a_token_file_beside_the_kubeconfig(tmp_path):
    found = kubeconfig(write(tmp_path, users=[{"name": "u", "user": {"username": "a", "password": "b"}}]))
    assert await found.credentials.value() == "Basic YTpi"
    (tmp_path / "t").write_text("x\n")
    found = kubeconfig(write(tmp_path, users=[{"name": "u", "user": {"tokenFile": "t"}}]))
    assert await found.credentials.value() == "Bearer x"


@pytest.mark.parametrize(
    ("script", "token"),
    [
        ('{"status": {"token": "one"}}', "one"),
        ('{"status": {"token": "two", "expirationTimestamp": "2000-01-01T00:00:00Z"}}', "two"),
        ("no json s3cr3t", None),
        ("{}", None),
    ],
)
async def test_a_program_that_prints_a_token(tmp_path, script, token):
    program = tmp_path / "login"
    program.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\nprintf %s '{script}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(program),
            "args": ["a"],
            "env": [{"name": "A", "value": "b"}],
        }
    }
    found = kubeconfig(write(tmp_path, users=[{"name": "u", "user": user}]))
    if token is None:
        with pytest.raises(KubernetesError, match="gave no token") as caught:
            await found.credentials.value()
        assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        return
    assert await found.credentials.value() == f"Bearer {token}"
    await found.credentials.value()
    # an expired one is asked for anew
    assert len((tmp_path / "runs").read_text().split()) == (1 if token == "one" else 2)


async def test_a_program_that_is_not_there(tmp_path):
    user = {"exec": {"command": str(tmp_path / "none")}}
    found = kubeconfig(write(tmp_path, users=[{"name": "u", "user": user}]))
    with pytest.raises(KubernetesError, match=r"gave no token\. Is it installed"):
        await found.credentials.value()


def test_client_certificates_leave_no_file(tmp_path, monkeypatch):
    crt, key = certificate(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    user = {"client-certificate": crt, "client-key-data": _base64(key)}
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": _base64(crt)}
    found = kubeconfig(write(tmp_path, users=[{"name": "u", "user": user}], clusters=[{"name": "c", "cluster": cluster}]))
    assert found.tls is not None
    assert list((tmp_path / "temporary").iterdir()) == []


def _base64(path):
    return base64.b64encode(Path(path).read_bytes()).decode()


def test_the_first_file_that_has_a_name_counts(tmp_path, monkeypatch):
    first = write(tmp_path, "first", contexts=[], users=[])
    second = write(tmp_path, "second", clusters=[], **{"current-context": "other"})
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join((first, str(tmp_path / "absent"), second)))
    assert access().namespace == "mine"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [s3cr3t", "is no YAML"),
        ("[s3cr3t]", "is no kubeconfig"),
        ("{current-context: x}", "has no context 'x'"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: y}}]}", "has no cluster 'y'"),
        (
            '{current-context: x, contexts: [{name: x, context: {cluster: y}}], clusters: [{name: y, cluster: {server: "https://a", '
            "certificate-authority-data: bm90aGluZw==}}]}",
            "certificate authority of the API server cannot be read",
        ),
    ],
)
def test_what_is_wrong_is_said_without_the_content(tmp_path, content, sentence):
    (tmp_path / "config").write_text(content)
    with pytest.raises(KubernetesError, match=sentence) as caught:
        kubeconfig(str(tmp_path / "config"))
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__!r}"
    with pytest.raises(KubernetesError, match=r"There is no kubeconfig|cannot be read"):
        kubeconfig(str(tmp_path / "absent"))


def test_a_pod_goes_straight_to_its_server(tmp_path, monkeypatch):
    crt, _ = certificate(tmp_path)
    Path(crt).rename(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("t")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    found = in_cluster(str(tmp_path), {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"})
    assert (found.server, found.proxy, found.namespace) == ("https://[fd00::1]:6443", None, "default")
    cluster = [{"name": "c", "cluster": {"server": "https://api.example.org"}}]
    assert kubeconfig(write(tmp_path, clusters=cluster)).proxy == "http://proxy.example.org:3128"
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert kubeconfig(write(tmp_path, clusters=cluster)).proxy is None
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBECONFIG", write(tmp_path))
    assert access().namespace == "mine"


def test_one_deadline():
    whole = Deadline.after(10, "the server")
    assert whole.sooner(20) is whole
    step = whole.sooner(1, "the namespace")
    assert step.left <= 1 < whole.left
    passed = Deadline(time.monotonic() - 1, "the server", 90)
    assert passed.left == 0
    with pytest.raises(DeadlineError, match=r"Waiting for the server took longer than 90s\."):
        passed.check()
