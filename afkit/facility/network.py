"""``kubernetes.network``: rules as NetworkPolicy has them, and what only the API server would find, at a user's first start."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from afkit.facility.kube_schema import KubeChecker
from afkit.facility.model import RulePath
from afkit.facility.report import Report
from afkit.facility.rules import Data, mapping
from afkit.facility.tree import Document

__all__ = ["check_network"]

_Range = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_network(data: Data, document: Document, report: Report) -> None:
    """Check the rules against Kubernetes' schema, and that ranges of addresses are such."""
    network = mapping(data, "kubernetes", "network")
    checker = KubeChecker(document, report)
    for key, kind, side in (("egress", "NetworkPolicyEgressRule", "to"), ("ingress", "NetworkPolicyIngressRule", "from")):
        for path, rule in _dicts(network.get(key), ("kubernetes", "network", key)):
            checker.check(rule, kind, path, whole=True)
            for place, peer in _dicts(rule.get(side), (*path, side)):
                _check_block(mapping(peer, "ipBlock"), (*place, "ipBlock"), document, report)


def _check_block(block: Data, path: RulePath, document: Document, report: Report) -> None:
    whole = _range(block.get("cidr"), (*path, "cidr"), document, report)
    excepted = block.get("except")
    for index, text in enumerate(excepted if isinstance(excepted, list) else ()):
        place = (*path, "except", index)
        part = _range(text, place, document, report)
        if whole is not None and part is not None and not _is_part(part, whole):
            report.add("AF217", document.place(place), f"{text} is no part of {block['cidr']}.", "Write a smaller range within it.")


def _is_part(part: _Range, whole: _Range) -> bool:
    return part != whole and part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]  # the versions are equal


def _range(text: object, path: RulePath, document: Document, report: Report) -> _Range | None:
    if not isinstance(text, str):
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        message = f"{text[:80]!r} is no range of addresses."
        report.add("AF217", document.place(path), message, "Write the first address and the length: 10.0.0.0/8, fd00::/8.")
        return None


def _dicts(values: Any, path: RulePath) -> Iterator[tuple[RulePath, Data]]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield (*path, index), value
