"""One real API server for the whole run of this folder."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from afkit.kube.client import Kubernetes
from tests.kube.control import Control, Way

_numbers = itertools.count()


@pytest.fixture(scope="session")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """etcd and kube-apiserver."""
    made = Control(tmp_path_factory.mktemp("control"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def kube(control: Control) -> AsyncIterator[Kubernetes]:
    """A client with all rights, by the direct way."""
    async with await Kubernetes.connect(control.kubeconfig()) as made:
        yield made


@pytest.fixture
async def way(control: Control) -> AsyncIterator[Way]:
    """A way to the API server that can be cut and stalled."""
    async with Way(control.port) as made:
        yield made


@pytest.fixture
async def namespace(kube: Kubernetes) -> str:
    """A namespace for one test."""
    name = f"test-{next(_numbers)}"
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
