"""KubeSpawner's hooks of an administrator, which take and give the models of its client."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from jupyterhub.utils import maybe_future
from kubernetes_asyncio.client import ApiClient

from afkit.pods.server import ServerObjects

__all__ = ["called", "modified", "with_env"]


async def called(hook: Callable[..., Any], *arguments: Any) -> Any:
    """Call a hook that may be a coroutine."""
    return await maybe_future(hook(*arguments))


async def modified(hook: Callable[..., Any], spawner: Any, objects: ServerObjects) -> ServerObjects:
    """The objects with the Pod as ``modify_pod_hook`` gives it back."""
    async with ApiClient() as client:
        pod = client.deserialize(SimpleNamespace(data=json.dumps(objects.pod)), "V1Pod")
        changed = await called(hook, spawner, pod)
        return dataclasses.replace(objects, pod=client.sanitize_for_serialization(changed))


def with_env(pod: Mapping[str, Any], variables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A configured Pod whose main container has further variables."""
    spec = pod["spec"]
    first, *others = spec["containers"]
    main = {**first, "env": [*(first.get("env") or ()), *variables]}
    return {**pod, "spec": {**spec, "containers": [main, *others]}}
