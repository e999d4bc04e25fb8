"""``kubernetes.network`` and ``kubernetes.ranges``, and claims that a policy cannot name."""

from __future__ import annotations

from pathlib import Path

import pytest

from afkit.facility.load import check_facility

FILE = """version: 1
facility: {{name: a, url: "https://a.example.org"}}
identity: {{allow: everyone, issuers: {{one: {{dialect: hub}}}}}}
pools: {{cpu: {{arch: amd64}}}}
images: {{one: {{image: "r.example.org/one:1@sha256:0000000000000000000000000000000000000000000000000000000000000001", arch: [amd64]}}}}
sizes: {{one: {{cpu: 1, memory: 1Gi}}}}
profiles: {{one: {{allow: everyone, pools: [cpu], images: [one], sizes: [one]}}}}
storage: {{home: {home}}}
kubernetes: {{namespace: a{more}}}
"""


def codes(folder: Path, more: str = "", home: str = "none") -> list[str]:
    file = folder / "facility.yaml"
    file.write_text(FILE.format(more=more, home=home))
    return [problem.code for problem in check_facility(file)[1]]


@pytest.mark.parametrize(
    ("network", "wrong"),
    [
        ("egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]", []),
        ('ingress: [{from: [{ipBlock: {cidr: "2001:db8::/32"}}, {podSelector: {}}]}]', []),
        ("egress: [{}]", []),
        ("egress: [{to: [{ipBlock: {cidr: 10.0.0/8}}]}]", ["AF217"]),
        ("egress: [{to: [{ipBlock: {cidr: example.org}}]}]", ["AF217"]),
        ("ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]}]", ["AF217"]),
        ("egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]", ["AF217"]),
        ('egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ["fd00::/8"]}}]}]', ["AF217"]),
    ],
)
def test_ranges_of_addresses_are_such(network: str, wrong: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, f", network: {{{network}}}") == wrong


def test_the_cluster_has_ranges(tmp_path: Path) -> None:
    assert codes(tmp_path, ", ranges: [10.0.0.0/8, 203.0.113.5/32]") == []
    assert codes(tmp_path, ", ranges: [10.0.0.1/8]") == ["AF217"]
    facility, _ = check_facility(tmp_path / "facility.yaml")
    assert facility is None


def test_without_ranges_private_addresses_are_the_clusters(tmp_path: Path) -> None:
    assert codes(tmp_path) == []
    facility, _ = check_facility(tmp_path / "facility.yaml")
    assert facility is not None
    assert facility.kubernetes is not None
    assert "10.0.0.0/8" in facility.kubernetes.ranges


@pytest.mark.parametrize(
    ("home", "more", "wrong"),
    [
        ('{claim: "claim-{username}", access: ReadWriteMany, mount: /home}', "", ["AF515"]),
        ('{claim: "claim-{username}", access: ReadWriteMany, mount: /home}', ", user_namespaces: people", []),
        ('{claim: "claim-{username}", size: 1Gi, access: ReadWriteMany, mount: /home}', "", []),
        ('{claim: homes, sub_path: "{username}", access: ReadWriteMany, mount: /home}', "", []),
    ],
)
def test_claims_of_each_users_own_are_not_brought_into_their_namespaces(home: str, more: str, wrong: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, more, home) == wrong
