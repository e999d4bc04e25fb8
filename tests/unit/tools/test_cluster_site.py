"""What a test cluster makes because a facility file names it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from tools.kubernetes.deploy import rolled_out
from tools.kubernetes.site import hub_objects, named, people

KNOWN = {name: f"the {name}" for name in ("proxy-token", "cookie-secret", "crypt-key", "dask-token", "token", "password")}


@pytest.fixture(scope="module")
def facility() -> Facility:
    return load_facility(Path("tests/cluster/facility.yaml"))


def test_secrets_have_the_keys_that_the_file_asks_for(facility: Facility) -> None:
    made = {one["metadata"]["name"]: one for one in named(facility, Path("/data")) if one["kind"] == "Secret"}
    assert base64.b64decode(made["object-store"]["data"]["access"]) == b"access of object-store"


def test_a_claim_has_a_volume_that_may_be_brought_along(facility: Facility) -> None:
    volume, claim = (one for one in named(facility, Path("/data")) if one["kind"].startswith("PersistentVolume"))
    assert volume["spec"]["hostPath"]["path"] == "/data/datasets"
    assert volume["metadata"]["labels"] == {"test.afkit.io/claim": "datasets"}
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["claimRef"] == claim["metadata"]


def test_the_hubs_configuration_is_python_with_what_was_added(facility: Facility) -> None:
    secret, configuration = hub_objects(facility, KNOWN, "c.JupyterHub.log_level = 10\n")
    assert sorted(secret["data"]) == ["cookie-secret", "crypt-key", "dask-token", "proxy-token"]
    text = configuration["data"]["site.py"]
    compile(text, "site.py", "exec")
    assert text.endswith("c.JupyterHub.log_level = 10\n")


def test_people_are_those_of_the_groups(facility: Facility) -> None:
    assert people(facility) == ("ada", "grace", "noor", "root-of-all")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, True),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}, False),
        ({}, False),
    ],
)
def test_a_deployment_is_awaited_until_only_new_pods_are_left(status: dict[str, int], expected: bool) -> None:
    assert rolled_out({"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}) is expected
    assert not rolled_out(None)
