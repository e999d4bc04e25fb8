"""What a user's namespace holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from afkit.facility.dump import dump
from afkit.pods.brought import named_objects, static_volumes
from afkit.pods.layout import MANIFESTS, Z2JH
from afkit.pods.namespace import brought_along, copied, namespace_objects, static_claim, static_volume
from afkit.pods.network import peer
from afkit.policy.entitle import entitle
from tests.unit.pods.asking import ada, identity, loaded

GROUPS = {"example": ("cms:/cms", "cms:/cms/ml"), "wide": ("lab:staff", "lab:writers")}


def made(name: str, layout: Any = MANIFESTS) -> tuple[dict[str, Any], ...]:
    facility, groups = loaded(f"{name}.yaml"), GROUPS[name]
    return namespace_objects(facility, ada(facility, *groups), entitle(facility, identity(facility, *groups)), layout)


def only(name: str, kind: str) -> dict[str, Any]:
    [found] = [one for one in made(name) if one["kind"] == kind]
    return found


@pytest.mark.parametrize("name", GROUPS)
def test_every_object_of_a_namespace(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"namespace-{name}.yaml", dump(made(name)))


@pytest.mark.parametrize("name", GROUPS)
def test_everything_has_its_owner(name: str) -> None:
    facility = loaded(f"{name}.yaml")
    person = ada(facility, *GROUPS[name])
    for one in made(name):
        metadata = one["metadata"]
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "afkit"
        assert metadata["labels"]["afkit.io/owner"] == person.owner
        assert metadata["annotations"]["afkit.io/user"] == "ada"
        assert metadata.get("namespace", person.namespace) == person.namespace


def test_what_gives_rights_is_made_first() -> None:
    namespace, keeper, sessions, clusters, *_ = made("example")
    assert [one["kind"] for one in (namespace, keeper, sessions, clusters)] == ["Namespace", "RoleBinding", "RoleBinding", "RoleBinding"]
    assert keeper["roleRef"]["name"] == "afkit-example-keeper"
    assert sessions["roleRef"]["name"] == "afkit-example-sessions"
    assert sessions["subjects"] == [{"kind": "ServiceAccount", "name": "afkit-hub", "namespace": "af-system"}]
    assert clusters["roleRef"]["name"] == "afkit-example-clusters"
    assert clusters["subjects"] == [{"kind": "ServiceAccount", "name": "afkit-dask", "namespace": "af-system"}]
    assert made("example", Z2JH)[2]["subjects"][0]["name"] == "hub"


def test_the_level_of_pod_security_is_the_files() -> None:
    assert only("example", "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_servers_have_no_token() -> None:
    assert only("example", "ServiceAccount")["automountServiceAccountToken"] is False


def test_quota_is_the_largest_of_the_groups_and_sums_pools_of_one_resource() -> None:
    assert only("example", "ResourceQuota")["spec"]["hard"] == {
        "requests.cpu": "64",
        "requests.memory": "256Gi",
        "requests.nvidia.com/gpu": "2",
        "requests.nvidia.com/mig-1g.5gb": "1",
    }


def test_no_limits_is_an_empty_quota() -> None:
    assert only("wide", "ResourceQuota")["spec"]["hard"] == {}


def test_without_network_there_is_no_policy() -> None:
    facility = loaded("example.yaml")
    assert facility.kubernetes is not None
    open_ = replace(facility, kubernetes=replace(facility.kubernetes, network=None))
    person = ada(open_, *GROUPS["example"])
    objects = namespace_objects(open_, person, entitle(open_, identity(open_)), MANIFESTS)
    assert "NetworkPolicy" not in {one["kind"] for one in objects}


def test_the_policy_closes_all_but_what_is_needed() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in made("example") if one["kind"] == "NetworkPolicy"}
    assert set(policies) == {"afkit", "afkit-dask-schedulers"}
    spec = policies["afkit"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    [into] = [rule for rule in spec["ingress"] if "ports" in rule]
    assert into["ports"] == [{"port": 8888, "protocol": "TCP"}]
    assert {peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in into["from"]} == {"hub", "proxy"}
    assert {port["port"] for rule in spec["egress"] for port in rule.get("ports", ())} == {8081, 8000, 8080, 53}
    assert all("ipBlock" not in peer for rule in spec["egress"] for peer in rule["to"])


def test_the_dask_service_reaches_the_http_port_of_schedulers_and_nothing_else() -> None:
    [spec] = [one["spec"] for one in made("example") if one["metadata"]["name"] == "afkit-dask-schedulers"]
    assert spec["podSelector"] == {"matchLabels": {"dask.org/component": "scheduler"}}
    assert spec["policyTypes"] == ["Ingress"]
    [rule] = spec["ingress"]
    assert rule["ports"] == [{"port": 8787, "protocol": "TCP"}]
    assert rule["from"] == [peer("af-system", {"app.kubernetes.io/component": "dask"})]


def test_what_the_files_name_is_found_wherever_it_stands() -> None:
    named = named_objects(loaded("wide.yaml"))
    assert {"registry", "certificates"} <= set(named.secrets)
    assert "motd" in named.config_maps


def test_static_volumes_are_of_the_file_and_of_those_who_may_have_them() -> None:
    facility = loaded("wide.yaml")
    names = [static.name for static in static_volumes(facility)]
    assert names[:4] == ["readonly", "exports", "driver", "secret-room"]
    staff = entitle(facility, identity(facility, "lab:staff"))
    assert "secret-room" not in {static.name for static in brought_along(facility, staff)}


def test_a_static_volume_keeps_its_source_and_is_never_deleted_with_its_claim() -> None:
    facility = loaded("wide.yaml")
    person = ada(facility, *GROUPS["wide"])
    for static in static_volumes(facility):
        found = {"spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany"], "nfs": {"server": "s", "path": "/p"}}}
        volume = static_volume(facility, person, static, found if static.claim else None)
        claim = static_claim(facility, person, static, volume)
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": person.namespace, "name": static.claim_name}
        assert volume["spec"]["claimRef"] == reference
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"] == f"{person.namespace}-{static.name}"
        assert claim["spec"]["accessModes"] == volume["spec"]["accessModes"]
    [exports] = [one for one in static_volumes(facility) if one.name == "exports"]
    assert static_volume(facility, person, exports)["spec"]["nfs"]["path"] == "/people/ada"


def test_a_copy_is_the_content_and_the_owners_labels() -> None:
    facility = loaded("wide.yaml")
    person = ada(facility, *GROUPS["wide"])
    metadata = {"name": "certificates", "namespace": "wide", "resourceVersion": "7", "uid": "u", "labels": {"x": "y"}}
    source = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"a": "Yg=="}, "immutable": True}
    copy = copied(facility, person, source)
    assert copy["data"] == {"a": "Yg=="}
    assert copy["type"] == "Opaque"
    assert "immutable" not in copy
    assert set(copy["metadata"]) == {"name", "namespace", "labels", "annotations"}
