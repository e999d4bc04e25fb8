"""NetworkPolicies as one nftables table (pure): what may pass between pods, and between pods and all else.

It looks at forwarded packets, and at those for the node itself: its own programs (API server, kubelet, CoreDNS) are reached by pods
as well. Both come after the translation of services, so that pods' addresses and ports are seen, as policies mean them. What the
node sends to pods stays open, as Kubernetes wants it for probes. A pod that is not known yet may send and get nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["TABLE", "Pod", "World", "endpoint_of", "matches", "pod_of", "table"]

TABLE: Final = "afkit_policies"
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as policies see it. ``ports`` are its named ports. ``only``: the ports that it has at its address, which others share."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    address: str
    ports: tuple[tuple[str, str, int], ...] = ()
    only: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """All that a table depends on; ``namespaces`` maps names to labels, ``network`` is the range of pods' addresses.

    ``policies`` are by their namespace: most are of namespaces without a pod.
    """

    network: str
    pods: Sequence[Pod]
    namespaces: Mapping[str, Mapping[str, str]]
    policies: Mapping[str, Sequence[Object]]


def pod_of(obj: Object, network: str) -> Pod | None:
    """A pod that has an address in the network and still runs, else ``None``."""
    status, spec = obj.get("status", {}), obj["spec"]
    address = status.get("podIP", "")
    if not address or spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    if ipaddress.ip_address(address) not in ipaddress.ip_network(network):
        return None
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    ports = [port for container in containers for port in container.get("ports") or ()]
    named = tuple((port["name"], port.get("protocol", "TCP").lower(), port["containerPort"]) for port in ports if "name" in port)
    metadata = obj["metadata"]
    return Pod(metadata["namespace"], metadata["name"], metadata.get("labels") or {}, address, named)


def endpoint_of(piece: Object, labels: Mapping[str, str]) -> Iterator[Pod]:
    """Programs on the node that stand in a service's EndpointSlice, as if they were pods with these labels."""
    only = tuple((port.get("protocol", "TCP").lower(), port["port"]) for port in piece.get("ports", ()))
    for endpoint in piece.get("endpoints", ()):
        for address in endpoint["addresses"]:
            yield Pod(piece["metadata"]["namespace"], piece["metadata"]["name"], labels, address, only=only)


def table(world: World) -> str:
    """The input of ``nft -f -`` that replaces the table as a whole, at once."""
    real = list({pod.address: pod for pod in world.pods if not pod.only}.values())
    chains: dict[tuple[str, tuple[str, ...]], str] = {}
    jumps: dict[str, list[str]] = {"egress": [], "ingress": []}
    for pod in real:
        for direction, listed in jumps.items():
            lines = _lines(world, pod, direction)
            if lines is not None:
                chain = chains.setdefault((direction, lines), f"{direction}_{len(chains)}")
                listed.append(f"{pod.address} : jump {chain}")
    known = sorted({pod.address for pod in real})
    return "\n".join(
        [
            f"table inet {TABLE} {{}}",
            f"delete table inet {TABLE}",
            f"table inet {TABLE} {{",
            *_base(world, known, jumps),
            *_chains(chains),
            "}",
            "",
        ]
    )


def _base(world: World, known: Sequence[str], jumps: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from _set("known", "ipv4_addr", known)
    yield from _set("themselves", "ipv4_addr . ipv4_addr", [f"{address} . {address}" for address in known])
    begin = ("ct state established,related accept", f"ip saddr {world.network} ip saddr != @known drop")
    out = [f"ip saddr vmap {{ {', '.join(jumps['egress'])} }}"] if jumps["egress"] else []
    into = [f"ip daddr vmap {{ {', '.join(jumps['ingress'])} }}"] if jumps["ingress"] else []
    closed = f"ip daddr {world.network} ip daddr != @known drop"
    yield from _hook("forward", ("meta nfproto ipv6 drop", *begin, closed, "ip saddr . ip daddr @themselves accept", *out, *into))
    yield from _hook("input", ('iifname "veth*" meta nfproto ipv6 drop', *begin, *out))


def _hook(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"chain {name} {{"
    yield f"type filter hook {name} priority 0; policy accept;"
    yield from rules
    yield "}"


def _set(name: str, kind: str, elements: Sequence[str]) -> Iterator[str]:
    yield f"set {name} {{ type {kind}; " + (f"elements = {{ {', '.join(elements)} }}; " if elements else "") + "}"


def _chains(chains: Mapping[tuple[str, tuple[str, ...]], str]) -> Iterator[str]:
    for (_, lines), name in chains.items():
        yield f"chain {name} {{"
        yield from (f"{line} return".strip() for line in lines)
        yield "drop"
        yield "}"


def _lines(world: World, pod: Pod, direction: str) -> tuple[str, ...] | None:
    """What may pass, one line each; ``None``: no policy selects this pod, so everything may."""
    kind = direction.capitalize()
    chosen = [
        policy["spec"].get(direction) or ()
        for policy in world.policies.get(pod.namespace, ())
        if kind in _types(policy["spec"]) and matches(policy["spec"].get("podSelector", {}), pod.labels)
    ]
    if not chosen:
        return None
    return tuple(dict.fromkeys(line for rules in chosen for rule in rules for line in _rule(world, pod, direction, rule)))


def _types(spec: Object) -> Sequence[str]:
    return spec.get("policyTypes") or ("Ingress", *(("Egress",) if spec.get("egress") else ()))


def _rule(world: World, pod: Pod, direction: str, rule: Object) -> Iterator[str]:
    """The lines of one rule: every peer with every port."""
    side, peers = ("daddr", rule.get("to")) if direction == "egress" else ("saddr", rule.get("from"))
    ports = rule.get("ports") or ()
    for block in _blocks(side, peers):
        for port in _ports(ports, (pod,) if direction == "ingress" else ()):
            yield f"{block} {port}".strip()
    if direction == "egress" and not peers:
        yield from _named(ports, world.pods)
    chosen = [one for peer in peers or () if "ipBlock" not in peer for one in _pods(world, pod.namespace, peer)]
    if alike := [one.address for one in chosen if not one.only]:
        for port in _ports(ports, (pod,) if direction == "ingress" else ()):
            yield f"ip {side} {_all(alike)} {port}".strip()
        if direction == "egress":
            yield from _named(ports, [one for one in chosen if not one.only])
    for one in chosen if direction == "egress" else ():
        yield from (f"ip daddr {one.address} {protocol} dport {number}" for protocol, number in one.only if _fits(ports, protocol, number))


def _blocks(side: str, peers: Sequence[Object] | None) -> Iterator[str]:
    """Matches of addresses: all of them where no peer is written, else those of each ``ipBlock``."""
    if not peers:
        yield ""
    for peer in peers or ():
        block = peer.get("ipBlock")
        if block and ":" not in block["cidr"]:  # pods have no addresses of the other kind
            holes = ipaddress.collapse_addresses(ipaddress.IPv4Network(hole) for hole in block.get("except") or () if ":" not in hole)
            without = _all(map(str, holes)) if block.get("except") else ""
            yield f"ip {side} {block['cidr']}" + (f" ip {side} != {without}" if without else "")


def _pods(world: World, namespace: str, peer: Object) -> Iterator[Pod]:
    of, which = peer.get("namespaceSelector"), peer.get("podSelector", {})
    for pod in world.pods:
        here = pod.namespace == namespace if of is None else matches(of, world.namespaces.get(pod.namespace, {}))
        if here and matches(which, pod.labels):
            yield pod


def _ports(ports: Sequence[Object], targets: Sequence[Pod]) -> Iterator[str]:
    """Matches of ports: any where none is written; a name is that of a target's port."""
    if not ports:
        yield ""
    for port in ports:
        protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
        if number is None:
            yield f"meta l4proto {protocol}"
        elif isinstance(number, int):
            yield f"{protocol} dport {number}" + (f"-{port['endPort']}" if "endPort" in port else "")
        else:
            yield from (
                f"{protocol} dport {found}"
                for target in targets
                for name, kind, found in target.ports
                if (name, kind) == (number, protocol)
            )


def _named(ports: Sequence[Object], targets: Iterable[Pod]) -> Iterator[str]:
    """Ports by name, each at the addresses of the pods that have it."""
    for target in targets:
        for port in ports:
            if isinstance(port.get("port"), str):
                yield from (f"ip daddr {target.address} {match}" for match in _ports([port], (target,)))


def _fits(ports: Sequence[Object], protocol: str, number: int) -> bool:
    """Whether one of these ports is this one."""
    alike = [port for port in ports if port.get("protocol", "TCP").lower() == protocol]
    numbers = [(port.get("port"), port.get("endPort", port.get("port"))) for port in alike]
    return not ports or any(first is None or (isinstance(first, int) and first <= number <= last) for first, last in numbers)


def _all(addresses: Iterable[str]) -> str:
    return "{ " + ", ".join(dict.fromkeys(addresses)) + " }"


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector as Kubernetes writes it takes these labels (an empty one takes all)."""
    alike = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return alike and all(_holds(one, labels) for one in selector.get("matchExpressions") or ())


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", ())
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
