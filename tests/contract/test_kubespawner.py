"""What afkit relies on in KubeSpawner: which traits its Pods are made from, and what may be overridden."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubespawner")

from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from traitlets import default
from traitlets.config import Config

from afkit.hub.kubernetes.configured import POD_TRAITS, configured_pod
from afkit.hub.kubernetes.spawner import AfkitKubeSpawner
from afkit.hub.mixin import AfkitMixin

CHOSEN = {"image", "cpu_limit", "cpu_guarantee", "mem_limit", "mem_guarantee", "internal_ssl"}
"""What a choice decides (or afkit refuses), so that no configured Pod has it."""
OVERRIDDEN = {
    "_run_apply_user_options", "_start", "clear_state", "delete_forever", "get_options_form", "get_state", "get_url", "is_pod_running",
    "load_state", "load_user_options", "options_from_query", "poll", "progress", "run_options_from_form", "stop",
}  # fmt: skip
"""The methods of JupyterHub and KubeSpawner that afkit replaces on purpose."""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}],"
        " clusters: [{name: x, cluster: {server: 'https://127.0.0.1:9'}}], users: [{name: x, user: {token: x}}]}"
    )
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))


def test_a_configured_pod_is_made_from_all_traits_that_kubespawner_reads() -> None:
    source = inspect.getsource(KubeSpawner.get_pod_manifest) + inspect.getsource(KubeSpawner._build_pod_labels)
    source += inspect.getsource(KubeSpawner._build_common_labels)
    read = {name for name in re.findall(r"self\.(\w+)", source) if name in KubeSpawner.class_trait_names()}
    assert read - set(POD_TRAITS) - CHOSEN == {"log", "port", "user"}, "which no Pod is configured by"
    assert set(POD_TRAITS) <= set(KubeSpawner.class_trait_names())


def test_nothing_of_kubespawner_is_overridden_by_accident() -> None:
    known = {name for base in KubeSpawner.__mro__ for name in vars(base)} - {
        name for name in KubeSpawner.class_trait_names() if name in POD_TRAITS
    }
    ours = {name for cls in (AfkitKubeSpawner, AfkitMixin) for name in vars(cls) if not re.fullmatch(r"__\w+__", name)}
    set_here = set(re.findall(r"self\.(\w+)(?:: [^=]+)? = ", inspect.getsource(AfkitKubeSpawner) + inspect.getsource(AfkitMixin)))
    private = {name for name in set_here if name.startswith("_")}
    traitlets_own = {"_all_trait_default_generators", "_descriptors", "_instance_inits", "_static_immutable_initial_values", "_traits",
                     "_trait_default_generators"}  # fmt: skip
    assert (ours | private) & known - traitlets_own == OVERRIDDEN


async def test_a_configured_pod_is_kubespawners_own(kubeconfig: None) -> None:
    config = Config()
    config.KubeSpawner.volumes = [{"name": "v", "hostPath": {"path": "/homes/{username}"}}]
    config.KubeSpawner.extra_labels = {"who": "{username}"}
    config.KubeSpawner.node_selector = {"kept": "{literal}"}
    config.KubeSpawner.cmd = ["sh", "-c", "echo ${HOME} {braces}"]
    config.KubeSpawner.environment = {"PLAIN": "{username}", "SECRET": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}}
    config.KubeSpawner.priority_class_name = "low"
    plain = ApiClient.__new__(ApiClient)
    for name in ("ada", "Grace.Hopper@example.org"):
        spawner = KubeSpawner(config=config, _mock=True)
        spawner.user.name = name
        made = plain.sanitize_for_serialization(await spawner.get_pod_manifest())
        ours: Any = await configured_pod(spawner)
        for key in ("volumes", "nodeSelector", "priorityClassName"):
            assert ours["spec"][key] == made["spec"][key]
        theirs, main = made["spec"]["containers"][0], ours["spec"]["containers"][0]
        assert main["args"] == theirs["args"]
        assert main["env"] == [one for one in theirs["env"] if one["name"] in ("PLAIN", "SECRET")]
        for part in ("labels", "annotations"):
            known = {key: value for key, value in made["metadata"][part].items() if "version" not in key}
            assert ours["metadata"][part] == known


async def test_code_in_a_trait_is_asked_each_time(kubeconfig: None) -> None:
    spawner = KubeSpawner(_mock=True)
    asked: list[Any] = []
    spawner.fs_gid = lambda who: asked.append(who) or 7
    for _ in range(2):
        pod = await configured_pod(spawner)
        assert pod["spec"]["securityContext"]["fsGroup"] == 7
    assert len(asked) == 2


async def test_a_default_that_a_class_works_out_is_each_persons_own(kubeconfig: None) -> None:
    class Theirs(KubeSpawner):
        @default("node_selector")
        def _selects(self) -> dict[str, str]:
            return {"of": self.user.name}

        def _priority_class_name_default(self) -> str:
            return f"for-{self.user.name}"

    for name in ("ada", "grace", "ada"):
        spawner = Theirs(_mock=True)
        spawner.user.name = name
        pod = await configured_pod(spawner)
        assert pod["spec"]["nodeSelector"] == {"of": name}
        assert pod["spec"]["priorityClassName"] == f"for-{name}"
    # another class has its own defaults
    assert "nodeSelector" not in (await configured_pod(KubeSpawner(_mock=True)))["spec"]
