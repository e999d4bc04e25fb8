"""What each identity may do, read from the rendered roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from afkit.facility.dump import dump
from afkit.pods.brought import named_objects
from afkit.pods.layout import runs_dask
from afkit.render.policies import shared_label
from afkit.render.rights import rules_of
from tests.unit.render.rendering import FILES, loaded, made, named

WRITE = {"create", "update", "patch", "delete", "deletecollection", "*"}


def cluster_wide(name: str, account: str) -> Iterator[dict[str, Any]]:
    """The rules of every ClusterRole that is bound to an account in the whole cluster."""
    objects = made(name)
    for binding in objects:
        if binding["kind"] == "ClusterRoleBinding" and any(one["name"] == account for one in binding["subjects"]):
            yield from rules_of(objects, binding["roleRef"]["name"])


@pytest.mark.parametrize("name", ["example", "wide"])
def test_cluster_wide_the_hub_only_looks(name: str) -> None:
    [rule] = cluster_wide(name, "afkit-hub")
    assert rule == {"apiGroups": [""], "resources": ["pods", "events", "nodes"], "verbs": ["get", "list", "watch"]}


def test_with_one_namespace_only_reviews_of_tokens_are_bound_cluster_wide() -> None:
    [binding] = named("together", "ClusterRoleBinding").values()
    assert [one["name"] for one in binding["subjects"]] == ["afkit-dask"]
    [rule] = cluster_wide("together", "afkit-dask")
    assert rule == {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    assert set(named("together", "ClusterRole")) == {"afkit-together-dask"}
    assert {one["metadata"]["namespace"] for one in named("together", "RoleBinding").values()} == {"together-people"}


@pytest.mark.parametrize("name", FILES)
def test_no_right_over_secrets_is_bound_cluster_wide_nor_open_to_other_names(name: str) -> None:
    for account in ("afkit-hub", "afkit-namespaces", "afkit-dask", "afkit-proxy"):
        for rule in cluster_wide(name, account):
            assert not {"secrets", "configmaps", "*"} & set(rule["resources"])
    for one in made(name):
        if one["kind"] in ("Role", "ClusterRole"):
            for rule in one["rules"]:
                assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
                assert not {"escalate", "impersonate"} & set(rule["verbs"])
                if "secrets" in rule["resources"]:
                    assert not {"list", "watch"} & set(rule["verbs"])
                    assert rule.get("resourceNames") or one["metadata"]["name"].endswith(("sessions", "clusters"))


@pytest.mark.parametrize("name", ["example", "wide"])
def test_the_provisioner_reads_what_the_file_names_and_nothing_else_beside_the_hub(name: str) -> None:
    rules = rules_of(made(name), "afkit-namespaces")
    assert all(rule["verbs"] == ["get"] and rule["resourceNames"] for rule in rules)
    found = {rule["resources"][0]: rule["resourceNames"] for rule in rules}
    assert found.get("secrets", []) == list(named_objects(loaded(name)).secrets)


def test_in_a_users_namespace_the_provisioner_touches_objects_of_known_names_only() -> None:
    for rule in rules_of(made("wide"), "afkit-wide-keeper"):
        assert rule["resourceNames"]
        assert "delete" not in rule["verbs"]


def test_the_provisioner_binds_two_roles_and_reviews_tokens() -> None:
    rules = {tuple(rule["resources"]): rule for rule in cluster_wide("wide", "afkit-namespaces")}
    assert rules["clusterroles",]["verbs"] == ["bind"]
    assert rules["clusterroles",]["resourceNames"] == ["afkit-wide-keeper", "afkit-wide-sessions"]
    assert rules["tokenreviews",]["verbs"] == ["create"]
    assert set(rules) == {("namespaces",), ("rolebindings",), ("clusterroles",), ("tokenreviews",), ("persistentvolumes",)}


def test_cluster_wide_the_dask_service_looks_and_reviews_tokens() -> None:
    rules = {(rule["apiGroups"][0], *rule["resources"]): rule["verbs"] for rule in cluster_wide("example", "afkit-dask")}
    looks = ["get", "list", "watch"]
    assert rules == {
        ("", "pods", "events", "nodes"): looks,
        ("kubernetes.dask.org", "daskclusters"): looks,
        ("authentication.k8s.io", "tokenreviews"): ["create"],
    }


def test_in_a_users_namespace_the_dask_service_makes_what_a_cluster_is_made_of() -> None:
    rules = {resource: rule["verbs"] for rule in rules_of(made("example"), "afkit-example-clusters") for resource in rule["resources"]}
    assert rules == {
        "daskclusters": ["create", "patch", "delete"],
        "pods": ["create", "delete"],
        "pods/log": ["get"],
        "services": ["get", "create"],
        "secrets": ["get", "create"],
        "deployments": ["get", "create"],
    }
    together = {resource: rule["verbs"] for rule in rules_of(made("together"), "afkit-clusters") for resource in rule["resources"]}
    assert together["daskclusters"] == ["get", "list", "watch", "create", "patch", "delete"]
    assert together["resourceclaimtemplates"] == ["get", "create"]


def test_without_dask_nothing_of_it_is_rendered() -> None:
    assert not runs_dask(loaded("wide"))
    assert not [one for one in made("wide") if "dask" in one["metadata"]["name"] or one["metadata"]["name"].endswith("clusters")]
    assert "dask" not in dump(made("wide")).lower()


def test_policies_and_static_volumes_come_and_go_together() -> None:
    assert not named("together", "ValidatingAdmissionPolicy")
    assert set(named("wide", "ValidatingAdmissionPolicy")) == {"afkit-wide-namespaces", "afkit-wide-volumes", "afkit-wide-shared"}


@pytest.mark.parametrize("name", ["example", "wide"])
def test_every_shared_claim_has_its_own_binding_to_the_volume_behind_it(name: str) -> None:
    facility = loaded(name)
    bindings = named(name, "ValidatingAdmissionPolicyBinding")
    claims = {"example": {"datasets": "datasets"}, "wide": {"readonly": "data", "secret-room": "room"}}[name]
    for mount, claim in claims.items():
        spec = bindings[f"afkit-{facility.name}-shared-{mount}"]["spec"]
        key, value = shared_label(facility, claim)
        assert spec["paramRef"] == {"selector": {"matchLabels": {key: value}}, "parameterNotFoundAction": "Deny"}
        assert spec["matchResources"]["objectSelector"]["matchLabels"] == {"afkit.io/mount": mount}


def test_a_long_name_of_a_claim_is_a_digest_in_the_label() -> None:
    _, value = shared_label(loaded("example"), "c" * 200)
    assert len(value) <= 63
