"""The administrator's part of ``afkit doctor FILE``: the cluster that the file is for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from afkit.errors import CallError, KubernetesError
from afkit.facility.model import Facility
from afkit.names import FACILITY_LABEL, OWNER_LABEL
from afkit.pods.layout import MANIFESTS, Z2JH, Layout, one_namespace, runs_dask, section
from afkit.session.report import Finding

__all__ = ["configured", "look"]

_MOST_NAMESPACES = 3


def configured() -> bool:
    """Whether this is a pod, or there is a kubeconfig."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or bool(os.environ.get("KUBECONFIG")) or (Path.home() / ".kube" / "config").exists()


def look(facility: Facility, path: str, kubeconfig: str | None) -> tuple[Finding, ...]:
    """What is found in the cluster."""
    try:
        import afkit.kube.client  # noqa: F401  # is it installed?
    except ImportError:
        raise CallError("Looking at a cluster needs the extra `kubernetes`.", "pip install 'afkit[kubernetes]'") from None
    return asyncio.run(_look(facility, path, kubeconfig))


async def _look(facility: Facility, path: str, kubeconfig: str | None) -> tuple[Finding, ...]:
    from afkit.kube.client import Kubernetes
    from afkit.kube.doctor import examine

    try:
        kube = await Kubernetes.connect(kubeconfig, timeout=section(facility).api_timeout)
    except KubernetesError as error:
        return (Finding("cluster", "bad", error.message, error.hint),)
    async with kube:
        found = await examine(kube, facility, await _setup(kube, facility, path))
    return tuple(Finding(one.name, one.state, one.message, one.remedy, one.details) for one in found)


async def _layout(kube: Any, facility: Facility) -> Layout:
    """Whichever stands in the cluster."""
    try:
        return Z2JH if await kube.find("ServiceAccount", Z2JH.hub, section(facility).namespace) else MANIFESTS
    except KubernetesError:
        return MANIFESTS


async def _setup(kube: Any, facility: Facility, path: str) -> Any:
    """What has to stand there."""
    from afkit.kube.doctor import Setup
    from afkit.pods.brought import static_volumes
    from afkit.render.policies import shared_label

    layout, people = await _layout(kube, facility), await _people(kube, facility)
    enforced = section(facility).policies == "enforce"
    shared = {one.claim: shared_label(facility, one.claim) for one in static_volumes(facility) if one.claim and enforced}
    return Setup(
        identities=_identities(facility, layout, [name for name, _ in people]),
        rendered=_rendered(facility, layout, path),
        deployments=_deployments(facility, layout),
        trials=tuple(_trials(facility, people)),
        shared=shared,
    )


def _trials(facility: Facility, people: Sequence[tuple[str, str]]) -> Iterable[Any]:
    """A server of each kind, where one could be made."""
    from afkit.cli.doctor_servers import servers

    within = one_namespace(facility)
    for namespace, owner in [(within, "doctor")] if within else people[:1]:
        yield from servers(facility, namespace, owner)


async def _people(kube: Any, facility: Facility) -> list[tuple[str, str]]:
    """Namespaces of users and their owners: some of those that exist."""
    try:
        found = await kube.list("Namespace", labels=f"{FACILITY_LABEL}={facility.name},{OWNER_LABEL}")
    except KubernetesError:
        return []
    kept = [one["metadata"] for one in found["items"] if "deletionTimestamp" not in one["metadata"]]
    return [(one["name"], one["labels"][OWNER_LABEL]) for one in kept[:_MOST_NAMESPACES]]


def _deployments(facility: Facility, layout: Layout) -> tuple[str, ...]:
    from afkit.render.rights import provisioned

    own = ("hub", "proxy") if layout is Z2JH else (layout.hub, "afkit-proxy")
    services = ((layout.namespaces, provisioned(facility)), (layout.dask, runs_dask(facility)))
    return (*own, *(name for name, there in services if there))


def _rendered(facility: Facility, layout: Layout, path: str) -> tuple[Any, ...]:
    """What decides over rights and rules, and the file itself where hub and services read it, as it is rendered."""
    from afkit.render.manifests import facility_map, network_policies
    from afkit.render.policies import policies
    from afkit.render.rights import rights
    from afkit.render.settings import Files

    main = Path(path)
    files = Files(main.name, {main.name: main.read_text(encoding="utf-8")})
    maps = [facility_map(facility, files)] if layout is MANIFESTS and len(facility.sources) == 1 else []
    return (*rights(facility, layout), *policies(facility, layout), *network_policies(facility, layout), *maps)


def _identities(facility: Facility, layout: Layout, namespaces: Sequence[str]) -> tuple[Any, ...]:
    """Hub and services with the rules that are rendered for them."""
    from afkit.kube.doctor import Identity
    from afkit.render.rights import rights

    where = section(facility).namespace
    rendered = rights(facility, layout)
    roles = {(one["kind"], one["metadata"]["name"]): one["rules"] for one in rendered if one["kind"] in ("Role", "ClusterRole")}
    within = one_namespace(facility)
    accounts = [(layout.hub, "sessions"), *([] if within else [(layout.namespaces, "keeper")])]
    accounts += [(layout.dask, "clusters")] if runs_dask(facility) else []
    return tuple(
        Identity(where, account, _everywhere(rendered, roles, account), _within(rendered, roles, account, part, namespaces))
        for account, part in accounts
    )


def _everywhere(rendered: Iterable[Mapping[str, Any]], roles: Mapping[Any, Any], account: str) -> tuple[Any, ...]:
    bound = (one for one in rendered if one["kind"] == "ClusterRoleBinding" and _is_for(one, account))
    return tuple(rule for one in bound for rule in roles[one["roleRef"]["kind"], one["roleRef"]["name"]])


def _within(
    rendered: Iterable[Mapping[str, Any]], roles: Mapping[Any, Any], account: str, part: str, namespaces: Iterable[str]
) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """The rules of bindings that are rendered, and of those that every user's namespace has."""
    bound = [one for one in rendered if one["kind"] == "RoleBinding" and _is_for(one, account)]
    own = [(one["metadata"]["namespace"], tuple(roles[one["roleRef"]["kind"], one["roleRef"]["name"]])) for one in bound]
    shared = next((rules for (kind, name), rules in roles.items() if kind == "ClusterRole" and name.endswith(f"-{part}")), None)
    return (*own, *((namespace, tuple(shared)) for namespace in namespaces if shared is not None))


def _is_for(binding: Mapping[str, Any], account: str) -> bool:
    return any(subject["name"] == account for subject in binding["subjects"])
