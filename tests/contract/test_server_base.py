"""What afkit takes of KubeSpawner for a server: the stock Pod, its names and labels, and the port by which the hub finds it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from afkit.pods.slugs import label, server_slug
from tests.contract.test_slugs import NAMES

kubespawner = pytest.importorskip("kubespawner", reason="KubeSpawner belongs to the newest axis")
slugs = pytest.importorskip("kubespawner.slugs", reason="KubeSpawner belongs to the newest axis")
ASCII = st.text(st.characters(max_codepoint=127), max_size=80)


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_known_names(name: str) -> None:
    assert label(name) == slugs.safe_slug(name, is_valid=slugs.is_valid_label)


@settings(max_examples=300)
@given(ASCII)
def test_labels_of_any_name(name: str) -> None:
    assert label(name) == slugs.safe_slug(name, is_valid=slugs.is_valid_label)


def test_a_letter_that_only_looks_like_one_of_a_label_is_hashed() -> None:
    assert label("a\u212ab").isascii()


@settings(max_examples=200)
@given(st.sampled_from(NAMES) | ASCII, st.sampled_from(["", "gpu", "My Server", "x" * 60, "a--b"]) | ASCII)
def test_names_of_pods(user: str, server: str) -> None:
    stand_in = SimpleNamespace(name=server, user=SimpleNamespace(name=user, id=1), slug_scheme="safe", _namespace_default=lambda: "hub")
    expected = kubespawner.KubeSpawner._expand_user_properties(stand_in, "jupyter-{user_server}")
    assert f"jupyter-{server_slug(user, server)}" == expected


def _spawner(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, user: str, server: str) -> Any:
    import json

    from jupyterhub.objects import Hub

    cluster = {"name": "none", "cluster": {"server": "https://127.0.0.1:9"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "none", "user": "nobody"}}],
        "current-context": "here",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    # the variable KUBECONFIG is read when the client is imported
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    person = SimpleNamespace(name=user, id=1, url=f"/user/{user}/", escaped_name=user, settings={}, admin=False)
    row = SimpleNamespace(name=server, server=None)
    return kubespawner.KubeSpawner(user=person, hub=Hub(base_url="/hub/", port=8081), orm_spawner=row)


@pytest.mark.parametrize(("user", "server"), [("ada", ""), ("Ada@example.org", ""), ("ada", "My Server"), ("a" * 70, "b" * 70)])
@pytest.mark.parametrize(
    "traits",
    [
        {},
        {"cmd": "start.sh"},
        {"cmd": ["start.sh", "--{x}"], "args": ["--debug", "{username}"], "port": 9000},
        {"args": ["--unused"], "http_timeout": 90, "debug": True, "ip": "::"},
    ],
)
async def test_the_stock_site_is_kubespawners_own_pod(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, user: str, server: str, traits: dict[str, Any]
) -> None:
    from kubernetes_asyncio.client import ApiClient

    from afkit.pods.server import server_objects
    from afkit.pods.site import Site, stock_site
    from afkit.policy.capacity import declared
    from afkit.policy.entitle import entitle
    from afkit.policy.offer import offer
    from afkit.policy.select import select
    from tests.unit.pods.asking import ada, identity, loaded

    spawner = _spawner(monkeypatch, tmp_path, user, server)
    for name, value in traits.items():
        setattr(spawner, name, value)
    # what JupyterHub knows goes by a Secret; of the environment only the administrator's stays in the Pod
    spawner.get_env = lambda: dict(spawner.environment)
    pod = ApiClient().sanitize_for_serialization(await spawner.get_pod_manifest())
    facility = loaded("example.yaml")
    who = identity(facility, "cms:/cms", name=user)
    selection = select(offer(facility, entitle(facility, who), declared(facility)), {})
    person = ada(facility, "cms:/cms", name=user)
    stock = stock_site(user, server, traits)
    assert stock.pod_name == spawner.pod_name
    theirs = server_objects(facility, selection, person, server, Site(spawner.pod_name, pod, spawner.port))
    assert theirs == server_objects(facility, selection, person, server, stock)
    [port] = theirs.pod["spec"]["containers"][0]["ports"]
    assert port == {"name": "notebook-port", "containerPort": spawner.port}
