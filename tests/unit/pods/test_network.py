"""Network policies of servers: what wide ranges except, and who is let in."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from afkit.pods.network import without_cluster

RANGES = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
METADATA = "169.254.169.254"
API_SERVER = "10.96.0.1"


def opened(rule: dict[str, Any], address: str) -> bool:
    """Whether an egress rule lets packets to an address pass, as NetworkPolicy means it."""
    if not rule.get("to"):
        return True
    where = ipaddress.ip_address(address)
    for peer in rule["to"]:
        block = peer.get("ipBlock")
        if block and where in ipaddress.ip_network(block["cidr"], strict=False):
            return not any(where in ipaddress.ip_network(one, strict=False) for one in block.get("except", ()))
    return False


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"to": []},
        {"ports": [{"port": 443, "protocol": "TCP"}]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["8.8.8.0/24"]}}]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}}]},
        {"to": [{"ipBlock": {"cidr": "::/0"}}]},
        {"to": [{"ipBlock": {"cidr": "8.0.0.0/5"}}]},
    ],
)
def test_a_wide_rule_opens_neither_the_cluster_nor_cloud_metadata(rule: dict[str, Any]) -> None:
    closed = without_cluster(rule, RANGES)
    for address in (METADATA, API_SERVER, "192.168.7.7", "172.31.0.1", "100.100.0.1", "fd00:ec2::254", "fe80::1"):
        assert not opened(closed, address), address
    assert closed.get("ports") == rule.get("ports")


def test_a_wide_rule_opens_the_rest() -> None:
    closed = without_cluster({}, RANGES)
    assert all(opened(closed, address) for address in ("8.8.8.8", "188.184.100.182", "2001:db8::1"))


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [{"ipBlock": {"cidr": "10.20.30.40/32"}}]},
        {"to": [{"ipBlock": {"cidr": "188.184.0.0/16"}}]},
        {"to": [{"namespaceSelector": {"matchLabels": {"team": "storage"}}}], "ports": [{"port": 1094}]},
    ],
)
def test_a_rule_that_means_one_place_stays_as_it_is(rule: dict[str, Any]) -> None:
    assert without_cluster(rule, RANGES) == rule


@given(
    st.ip_addresses(v=4),
    st.integers(0, 32),
    st.lists(st.tuples(st.ip_addresses(v=4), st.integers(1, 32)), max_size=4),
    st.ip_addresses(v=4),
)
def test_exceptions_are_strict_subsets_and_close_all_ranges(
    base: ipaddress.IPv4Address, length: int, ranges: list[tuple[ipaddress.IPv4Address, int]], probe: ipaddress.IPv4Address
) -> None:
    cidr = ipaddress.ip_network((base, length), strict=False)
    nets = [ipaddress.ip_network(one, strict=False) for one in ranges]
    closed = without_cluster({"to": [{"ipBlock": {"cidr": str(cidr)}}]}, map(str, nets))
    excepted = [ipaddress.ip_network(one) for one in closed["to"][0]["ipBlock"].get("except", ())]
    assert all(one.subnet_of(cidr) and one != cidr for one in excepted)  # type: ignore[arg-type]
    inside = any(probe in net and net.subnet_of(cidr) and net != cidr for net in nets)
    if inside:
        assert not opened(closed, str(probe))
    elif probe in cidr and not probe.is_link_local:
        assert opened(closed, str(probe))
