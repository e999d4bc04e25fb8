"""The definitions of Dask's objects are those of the installed package, unchanged."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest
import yaml

import afkit.kube.crds
from afkit.errors import PlatformError
from afkit.kube.crds import dask_definitions


def test_all_four_are_there() -> None:
    found = list(yaml.load_all(dask_definitions(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    assert [one["spec"]["names"]["kind"] for one in found] == ["DaskAutoscaler", "DaskCluster", "DaskJob", "DaskWorkerGroup"]
    assert {one["kind"] for one in found} == {"CustomResourceDefinition"}


def test_where_the_package_is_not_installed_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(afkit.kube.crds, "distribution", missing)
    with pytest.raises(PlatformError) as caught:
        dask_definitions()
    assert caught.value.hint == "Install afkit[kubernetes] beside afkit."
