"""Each rule of a strategic merge patch that a Pod has, and the three rules of the facility file that stand above it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from afkit.pods.merge import merge_pods


def spec(**keys: Any) -> dict[str, Any]:
    return {"spec": keys}


def merged(earlier: dict[str, Any], later: dict[str, Any]) -> Any:
    before = copy.deepcopy((earlier, later))
    result = merge_pods(earlier, later)
    assert (earlier, later) == before, "the layers stay as they are"
    return result.get("spec", result)


def container(name: str = "notebook", **keys: Any) -> dict[str, Any]:
    return {"name": name, **keys}


def test_mappings_merge_and_scalars_are_replaced() -> None:
    one = {"metadata": {"labels": {"a": "1", "b": "1"}}, "spec": {"hostname": "x", "priority": 1}}
    two = {"metadata": {"labels": {"b": "2", "c": "2"}}, "spec": {"hostname": "y"}}
    assert merge_pods(one, two) == {"metadata": {"labels": {"a": "1", "b": "2", "c": "2"}}, "spec": {"hostname": "y", "priority": 1}}


def test_null_removes() -> None:
    one = spec(hostname="x", securityContext={"a": 1, "b": 2}, containers=[container(command=["a"], lifecycle={"x": 1})])
    two = spec(hostname=None, securityContext={"a": None}, containers=[container(lifecycle=None)], dnsPolicy=None)
    assert merged(one, two) == {"securityContext": {"b": 2}, "containers": [{"name": "notebook", "command": ["a"]}]}
    assert merged({}, spec(hostname=None, affinity={"a": None})) == {"affinity": {}}


@pytest.mark.parametrize(
    ("key", "by", "first", "second", "both"),
    [
        ("containers", "name", {"command": ["a"]}, {"args": ["b"]}, {"command": ["a"], "args": ["b"]}),
        ("initContainers", "name", {"image": "a"}, {"image": "b"}, {"image": "b"}),
        ("volumes", "name", {"emptyDir": {"sizeLimit": "1Gi"}}, {"configMap": {"name": "c"}}, {"configMap": {"name": "c"}}),
        ("volumes", "name", {"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"medium": "Memory"}}, {"emptyDir": {"medium": "Memory"}}),
        ("hostAliases", "ip", {"hostnames": ["a", "b"]}, {"hostnames": ["c"]}, {"hostnames": ["c"]}),
        ("topologySpreadConstraints", "topologyKey", {"maxSkew": 1}, {"whenUnsatisfiable": "x"}, {"maxSkew": 1, "whenUnsatisfiable": "x"}),
        ("resourceClaims", "name", {"resourceClaimName": "a"}, {"resourceClaimTemplateName": "b"}, {"resourceClaimTemplateName": "b"}),
    ],
)
def test_lists_with_a_key(key: str, by: str, first: dict[str, Any], second: dict[str, Any], both: dict[str, Any]) -> None:
    one = spec(**{key: [{by: "a", **first}, {by: "b", **first}]})
    two = spec(**{key: [{by: "c", **second}, {by: "b", **second}]})
    assert merged(one, two)[key] == [{by: "a", **first}, {by: "b", **both}, {by: "c", **second}]


@pytest.mark.parametrize("key", ["imagePullSecrets", "schedulingGates"])
def test_lists_of_names(key: str) -> None:
    assert merged(spec(**{key: [{"name": "a"}, {"name": "b"}]}), spec(**{key: [{"name": "b"}, {"name": "c"}]}))[key] == [
        {"name": "a"},
        {"name": "b"},
        {"name": "c"},
    ]


@pytest.mark.parametrize(
    ("key", "by", "first", "second", "both"),
    [
        ("env", "name", {"value": "1"}, {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
         {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
        ("volumeMounts", "mountPath", {"name": "v", "readOnly": True}, {"name": "w"}, {"name": "w", "readOnly": True}),
        ("volumeDevices", "devicePath", {"name": "v"}, {"name": "w"}, {"name": "w"}),
        ("ports", "containerPort", {"name": "x"}, {"protocol": "UDP"}, {"name": "x", "protocol": "UDP"}),
    ],
)  # fmt: skip
def test_lists_of_a_container(key: str, by: str, first: dict[str, Any], second: dict[str, Any], both: dict[str, Any]) -> None:
    for kind in ("containers", "initContainers"):
        one = spec(**{kind: [container(**{key: [{by: "a", **first}]})]})
        two = spec(**{kind: [container(**{key: [{by: "b", **second}, {by: "a", **second}]})]})
        assert merged(one, two)[kind] == [container(**{key: [{by: "a", **both}, {by: "b", **second}]})]


@pytest.mark.parametrize("key", ["tolerations", "readinessGates"])
def test_lists_without_a_key_are_replaced(key: str) -> None:
    assert merged(spec(**{key: [{"key": "a"}]}), spec(**{key: [{"key": "b"}]}))[key] == [{"key": "b"}]
    for inner in ("command", "args", "envFrom"):
        assert merged(spec(containers=[container(**{inner: ["a"]})]), spec(containers=[container(**{inner: ["b"]})]))["containers"] == [
            container(**{inner: ["b"]})
        ]


def test_names_of_keys_mean_nothing_in_free_mappings() -> None:
    one = {"metadata": {"annotations": {"env": "a", "containers": "x"}}}
    two = {"metadata": {"annotations": {"env": "b"}}}
    assert merge_pods(one, two) == {"metadata": {"annotations": {"env": "b", "containers": "x"}}}


def affinity(*terms: dict[str, Any], **more: Any) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}} if terms else {}
    return spec(affinity={"nodeAffinity": {**required, **more}})


def term(*keys: str, fields: tuple[str, ...] = ()) -> dict[str, Any]:
    made: dict[str, Any] = {"matchExpressions": [{"key": key, "operator": "Exists"} for key in keys]} if keys else {}
    return made | ({"matchFields": [{"key": key, "operator": "In", "values": ["x"]} for key in fields]} if fields else {})


def required(result: Any) -> Any:
    return result["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


def test_required_node_affinity_holds_together() -> None:
    assert required(merged(affinity(term("a"), term("b")), affinity(term("c"), term("d")))) == [
        term("a", "c"),
        term("a", "d"),
        term("b", "c"),
        term("b", "d"),
    ]
    assert required(merged(affinity(term("a")), affinity(term("a"), term(fields=("f",))))) == [term("a"), term("a", fields=("f",))]
    assert required(merged(affinity(), affinity(term("a")))) == [term("a")]
    assert required(merged(affinity(term("a")), affinity(preferredDuringSchedulingIgnoredDuringExecution=[]))) == [term("a")]


def test_other_affinity_is_replaced() -> None:
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    assert merged(affinity(**{preferred: [{"weight": 1}]}), affinity(**{preferred: [{"weight": 2}]}))["affinity"]["nodeAffinity"] == {
        preferred: [{"weight": 2}]
    }
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    one, two = (spec(affinity={"podAntiAffinity": {key: [{"topologyKey": name}]}}) for name in "ab")
    assert merged(one, two) == two["spec"]


NAMES = st.sampled_from(["a", "b", "c"])
PODS = st.fixed_dictionaries(
    {},
    optional={
        "hostname": NAMES,
        "containers": st.lists(
            st.fixed_dictionaries(
                {"name": NAMES},
                optional={
                    "command": st.lists(NAMES, max_size=2),
                    "env": st.lists(st.fixed_dictionaries({"name": NAMES, "value": NAMES}), max_size=3, unique_by=lambda one: one["name"]),
                },
            ),
            max_size=3,
            unique_by=lambda one: one["name"],
        ),
        "tolerations": st.lists(st.fixed_dictionaries({"key": NAMES}), max_size=2),
    },
).map(lambda keys: {"spec": keys})


@given(PODS, PODS, PODS)
def test_merging_is_associative_and_idempotent(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    base = merge_pods({}, one)
    assert merge_pods(merge_pods(base, two), two) == merge_pods(base, two)
    assert merge_pods(base, merge_pods(merge_pods({}, two), three)) == merge_pods(merge_pods(base, two), three)
