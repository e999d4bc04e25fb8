"""The Pod as the hub's own configuration has it: KubeSpawner's manifest, rendered once for each distinct configuration.

KubeSpawner renders a pod through the models of its client, which takes longer than all else that a start costs the hub. What
it renders depends on its traits alone once names and placeholders are left in place, so equal traits share one Pod, and a
start fills in what is the person's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from traitlets import DefaultHandler

from afkit.pods.slugs import label

__all__ = ["POD_TRAITS", "configured_pod"]

POD_TRAITS: Final = (
    "uid", "gid", "fs_gid", "supplemental_gids", "container_security_context", "pod_security_context", "cmd", "args", "extra_labels",
    "common_labels", "component_label", "extra_annotations", "image_pull_policy", "image_pull_secrets", "node_selector", "privileged",
    "allow_privilege_escalation", "volumes", "volume_mounts", "working_dir", "extra_resource_limits", "extra_resource_guarantees",
    "lifecycle_hooks", "init_containers", "service_account", "automount_service_account_token", "extra_container_config",
    "extra_pod_config", "extra_containers", "scheduler_name", "tolerations", "node_affinity_preferred", "node_affinity_required",
    "pod_affinity_preferred", "pod_affinity_required", "pod_anti_affinity_preferred", "pod_anti_affinity_required",
    "priority_class_name", "environment", "secret_mount_path",
)  # fmt: skip
"""Every trait that KubeSpawner's manifest is made from, save those that a choice decides at each start."""

_MOST: Final = 256
_MARK: Final = "\0placeholders:"
_pods: OrderedDict[tuple[type, str], tuple[dict[str, Any], bool]] = OrderedDict()
_own_defaults: dict[type, frozenset[str]] = {}
_plain = ApiClient.__new__(ApiClient)
"""Only for its way to plain data, which needs no connection and no configuration."""


class _Unfilled:
    """A spawner as its manifest is made, with every placeholder left in place and without what is the person's."""

    pod_name = "server"
    port = 8888
    image = "image"
    cpu_limit = cpu_guarantee = mem_limit = mem_guarantee = None
    internal_ssl = False
    secret_name = ""

    def __init__(self, spawner: Any) -> None:
        self._spawner = spawner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spawner, name)

    def get_env(self) -> dict[str, Any]:
        return {name: _marked(value) for name, value in self._spawner.environment.items() if not callable(value)}

    def _expand_all(self, source: Any) -> Any:
        return _marked(source)

    def _build_pod_labels(self, extra: Mapping[str, str]) -> dict[str, str]:
        component = self._spawner.component_label
        return {
            **extra,
            **self._spawner.common_labels,
            "app.kubernetes.io/component": component,
            "component": component,
        }

    def _build_common_annotations(self, extra: Mapping[str, str]) -> dict[str, str]:
        return dict(extra)


async def configured_pod(spawner: Any) -> Mapping[str, Any]:
    """The Pod as plain data, with the placeholders filled in. It is shared: nobody may change it."""
    key = _key(spawner)
    known = _pods.get(key) if key is not None else None
    if known is None:
        pod = _plain.sanitize_for_serialization(await KubeSpawner.get_pod_manifest(_Unfilled(spawner)))
        known = (pod, _has_mark(pod))
        if key is not None:
            _pods[key] = known
            if len(_pods) > _MOST:
                _pods.popitem(last=False)
    pod, marked = known
    filled = _filled(pod, spawner) if marked else pod
    return {**filled, "metadata": _about(filled["metadata"], spawner)}


def _about(metadata: Mapping[str, Any], spawner: Any) -> dict[str, Any]:
    """What KubeSpawner notes of the person on every pod."""
    user, server = spawner.user.name, spawner.name
    labels = {
        **(metadata.get("labels") or {}),
        "hub.jupyter.org/username": label(user),
        "hub.jupyter.org/servername": label(server) if server else "",
    }
    annotations = {**(metadata.get("annotations") or {}), "hub.jupyter.org/username": user}
    return {"labels": labels, "annotations": annotations | ({"hub.jupyter.org/servername": server} if server else {})}


def _key(spawner: Any) -> tuple[type, str] | None:
    """The same for the same traits; ``None`` where one is code, which may give another value each time.

    A trait that nobody has set is not asked for: to work out forty defaults for a spawner that was just made takes longer than
    the rest of its Pod, and they are those of its class.
    """
    kind = type(spawner)
    own = _own_defaults.get(kind)
    if own is None:
        own = _own_defaults[kind] = _worked_out(kind)
    values = {name: getattr(spawner, name) for name in POD_TRAITS if spawner.trait_has_value(name) or name in own}
    if any(map(callable, values.values())):
        return None
    return kind, repr(values)


def _worked_out(kind: type) -> frozenset[str]:
    """Traits whose default is code of the class, and may be another for each person."""
    marked = {one.trait_name for base in kind.__mro__ for one in vars(base).values() if isinstance(one, DefaultHandler)}
    return frozenset(name for name in POD_TRAITS if name in marked or hasattr(kind, f"_{name}_default"))


def _marked(value: Any) -> Any:
    """A copy in which every text with a placeholder has the mark: KubeSpawner fills in some traits only, and others stay literal."""
    if isinstance(value, str):
        return f"{_MARK}{value}" if "{" in value else value
    if isinstance(value, dict):
        return {key: _marked(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(one) for one in value]
    return value


def _has_mark(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith(_MARK)
    return any(map(_has_mark, value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))


def _filled(value: Any, spawner: Any) -> Any:
    """A copy with the marked placeholders filled in."""
    if isinstance(value, str):
        return spawner._expand_user_properties(value.removeprefix(_MARK)) if value.startswith(_MARK) else value
    if isinstance(value, dict):
        return {key: _filled(one, spawner) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, spawner) for one in value]
    return value
