"""The parts of the stand-ins that only compute: policies as rules, messages as bytes, claims as volumes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tools.kubernetes.standins.objects import storage_class
from tools.kubernetes.standins.provisioner import CHOSEN, volume_for, waits
from tools.kubernetes.standins.rules import Pod, World, endpoint_of, matches, pod_of, table
from tools.kubernetes.standins.wire import decode, encode, text, texts

NETWORK = "198.18.0.0/24"
HUB = Pod("hub", "hub", {"app": "hub"}, "198.18.0.2", (("http", "tcp", 8081),))
SERVER = Pod("ada", "server", {"app": "server"}, "198.18.0.3", (("notebook", "tcp", 8888),))
OTHER = Pod("eve", "server", {"app": "server"}, "198.18.0.4")
DNS = Pod("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, "203.0.113.2", only=(("udp", 53), ("tcp", 53)))
NAMESPACES = {name: {"kubernetes.io/metadata.name": name} for name in ("hub", "ada", "eve", "kube-system")}
HERE: dict[str, Any] = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hub"}},
    "podSelector": {"matchLabels": {"app": "hub"}},
}


def policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ada", "name": "x"}, "spec": {"podSelector": {}} | spec}


def chains(*policies: dict[str, Any]) -> dict[str, list[str]]:
    """The chain that each direction of the server's pod jumps to; empty where it jumps nowhere."""
    rules = table(World(NETWORK, (HUB, SERVER, OTHER, DNS), NAMESPACES, {"ada": policies}))
    found = {}
    for direction, side in (("egress", "saddr"), ("ingress", "daddr")):
        jump = re.search(rf"ip {side} vmap {{[^}}]*198\.18\.0\.3 : jump (\w+)", rules)
        body = re.search(rf"chain {jump[1]} {{\n(.*?)\n}}", rules, re.S) if jump else None
        found[direction] = body[1].splitlines() if body else []
    return found


def test_a_pod_that_no_policy_selects_is_open() -> None:
    assert chains() == {"egress": [], "ingress": []}
    assert chains(policy(podSelector={"matchLabels": {"app": "another"}})) == {"egress": [], "ingress": []}


def test_a_policy_without_rules_closes_its_directions() -> None:
    assert chains(policy(policyTypes=["Ingress", "Egress"])) == {"egress": ["drop"], "ingress": ["drop"]}
    assert chains(policy(policyTypes=["Egress"])) == {"egress": ["drop"], "ingress": []}
    # left out, they follow from what is written
    assert chains(policy()) == {"egress": [], "ingress": ["drop"]}


def test_rules_of_several_policies_add_up_and_named_ports_are_the_targets() -> None:
    found = chains(
        policy(policyTypes=["Ingress"]), policy(ingress=[{"from": [HERE], "ports": [{"port": "notebook"}, {"port": "unknown"}]}])
    )
    assert found["ingress"] == ["ip saddr { 198.18.0.2 } tcp dport 8888 return", "drop"]


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        ({}, ["return"]),
        ({"to": [HERE], "ports": [{"port": "http"}]}, ["ip daddr 198.18.0.2 tcp dport 8081 return"]),
        ({"to": [HERE], "ports": [{"port": 9000, "endPort": 9010}]}, ["ip daddr { 198.18.0.2 } tcp dport 9000-9010 return"]),
        ({"to": [{"podSelector": {}}]}, ["ip daddr { 198.18.0.3 } return"]),
        ({"to": [{"namespaceSelector": {"matchLabels": {"none": "such"}}}]}, []),
        ({"ports": [{"protocol": "UDP"}]}, ["meta l4proto udp return"]),
        (
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["198.18.0.0/16", "198.18.0.0/24", "169.254.169.254/32", "fd00::/8"]}}]},
            ["ip daddr 0.0.0.0/0 ip daddr != { 169.254.169.254/32, 198.18.0.0/16 } return"],
        ),
        ({"to": [{"ipBlock": {"cidr": "::/0"}}]}, []),
        (
            {
                "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
                "ports": [{"port": 53, "protocol": "UDP"}],
            },
            ["ip daddr 203.0.113.2 udp dport 53 return"],
        ),
        # the node's address is DNS' only at DNS' ports, whatever a policy opens
        (
            {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]},
            ["ip daddr 203.0.113.2 udp dport 53 return", "ip daddr 203.0.113.2 tcp dport 53 return"],
        ),
    ],
)
def test_what_leaves(rule: dict[str, Any], lines: list[str]) -> None:
    assert chains(policy(policyTypes=["Egress"], egress=[rule]))["egress"] == [*lines, "drop"]


def test_pods_that_are_not_known_are_closed_and_every_pod_reaches_itself() -> None:
    rules = table(World(NETWORK, (HUB,), NAMESPACES, {}))
    assert f"ip saddr {NETWORK} ip saddr != @known drop" in rules
    assert f"ip daddr {NETWORK} ip daddr != @known drop" in rules
    assert "elements = { 198.18.0.2 . 198.18.0.2 }" in rules
    assert rules.index("chain input") < rules.rindex(f"ip saddr {NETWORK}"), "the node's own programs are closed as well"


def test_only_running_pods_of_the_network_count() -> None:
    made: dict[str, Any] = {
        "metadata": {"namespace": "a", "name": "b"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"podIP": "198.18.0.9"},
    }
    assert pod_of(made, NETWORK) == Pod("a", "b", {}, "198.18.0.9")
    for change in (
        {"status": {}},
        {"status": {"podIP": "198.18.200.1"}},
        {"status": {"podIP": "198.18.0.9", "phase": "Succeeded"}},
        {"spec": {**made["spec"], "hostNetwork": True}},
    ):
        assert pod_of(made | change, NETWORK) is None


def test_an_endpoint_of_the_node_is_a_pod_at_its_ports() -> None:
    ports = [{"port": 53, "protocol": "UDP"}]
    piece = {"metadata": {"namespace": "kube-system", "name": "dns"}, "endpoints": [{"addresses": ["203.0.113.2"]}], "ports": ports}
    assert [one.only for one in endpoint_of(piece, {})] == [(("udp", 53),)]


@pytest.mark.parametrize(
    ("operator", "taken"), [("In", [True, False]), ("NotIn", [False, True]), ("Exists", [True, False]), ("DoesNotExist", [False, True])]
)
def test_selectors(operator: str, taken: list[bool]) -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": operator, "values": ["1"]}]}
    assert [matches(selector, labels) for labels in ({"a": "1"}, {})] == taken
    assert matches({}, {})


@given(st.dictionaries(st.integers(1, 40), st.one_of(st.text(min_size=1), st.integers(1, 2**40), st.binary(min_size=1))))
def test_messages_come_back_as_they_went(message: dict[int, Any]) -> None:
    found = decode(encode(message))
    assert found == {number: [value.encode() if isinstance(value, str) else value] for number, value in message.items()}


def test_maps_lists_and_fixed_numbers_are_read() -> None:
    sent = encode({4: "/target", 8: [{1: "repository", 2: "cms.example.org"}, {1: "other"}]})
    assert text(decode(sent), 4) == "/target"
    assert texts(decode(sent), 8) == {"repository": "cms.example.org", "other": ""}
    assert decode(b"\x0d\x01\x02\x03\x04" + encode({2: "x"})) == {2: [b"x"]}
    with pytest.raises(ValueError, match="without an end"):
        decode(b"\x80")


def test_a_claim_is_answered_when_the_scheduler_has_chosen() -> None:
    claim: dict[str, Any] = {
        "metadata": {"namespace": "ada", "name": "home", "uid": "1-2"},
        "spec": {"storageClassName": "standard", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    made = storage_class("standard")
    assert not waits(claim, made)
    claim["metadata"]["annotations"] = {CHOSEN: "node-0"}
    assert waits(claim, made)
    assert not waits(claim | {"spec": claim["spec"] | {"volumeName": "v"}}, made)
    volume = volume_for(claim, made, "pvc-1-2", Path("/volumes/pvc-1-2"))
    assert volume["spec"]["claimRef"]["uid"] == "1-2"
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]
