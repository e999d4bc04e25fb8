"""Accelerators that are claimed as devices (Dynamic Resource Allocation), decided by the real scheduler on fake nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.others import Facility
from tests.hub.harness import until
from tools.kubernetes.api import Object
from tools.kubernetes.nodes import RESOURCE_API, device_objects, fake_node
from tools.kubernetes.objects import node_ready

pytestmark = [pytest.mark.timeout(240, func_only=True), pytest.mark.slow("a facility of its own in the cluster")]

CHOICE = {"profile": "devices"}


@contextmanager
def nodes_with_devices(hub: Facility, *memory: str) -> Iterator[list[str]]:
    """A node for each of ``memory``, with four devices of that memory."""
    hub.stop_all()
    pool = hub.facility.pools["devices"]
    nodes = [fake_node(pool, number) for number in range(len(memory))]
    names = [str(node["metadata"]["name"]) for node in nodes]
    objects: dict[str, Object] = {f"/api/v1/nodes/{name}": dict(node) for name, node in zip(names, nodes, strict=True)}
    for plural, one in device_objects((pool,), nodes):
        made = json.loads(json.dumps(one))
        for device in made["spec"].get("devices", ()):
            device["capacity"]["memory"]["value"] = memory[names.index(made["spec"]["nodeName"])]
        objects[f"/apis/{RESOURCE_API}/{plural}/{made['metadata']['name']}"] = made
    try:
        for place, one in objects.items():
            hub.api.request("POST", place.rpartition("/")[0], one)
        for name in names:
            hub.api.until(f"/api/v1/nodes/{name}", node_ready)
        yield names
        hub.stop_all()
    finally:
        for place in reversed(objects):
            hub.api.delete(place)


def claims(hub: Facility, user: str) -> list[Object]:
    """A person's claims of devices."""
    found: list[Object] = hub.api.get(f"/apis/{RESOURCE_API}/namespaces/{hub.place(user)}/resourceclaims")["items"]
    return found


def allocated(hub: Facility, user: str) -> list[Object]:
    """The devices that a person's server has been given."""
    found = [one["status"]["allocation"]["devices"]["results"] for one in claims(hub, user) if one.get("status", {}).get("allocation")]
    return found[0] if found else []


def test_a_server_gets_its_devices_where_the_selector_fits_and_gives_them_back(contrary: Facility) -> None:
    hub = contrary
    with nodes_with_devices(hub, "20Gi", "80Gi") as (_, large), hub.starting("ada", CHOICE):
        devices = until(lambda: allocated(hub, "ada"), 30, "devices are allocated")
        assert [one["pool"] for one in devices] == [large] * 3
        (pod,) = until(lambda: [one for one in hub.pods("ada") if one["spec"].get("nodeName")], 30, "the pod has a node")
        assert pod["spec"]["nodeName"] == large
        (main,) = pod["spec"]["containers"]
        assert main["resources"]["requests"] == {"cpu": "100m", "memory": "512Mi"}, "they are not lost beside a claim"
        hub.stop("ada")
    until(lambda: not hub.pods("ada") and not claims(hub, "ada"), 60, "pod and claim are gone")
    templates = f"/apis/{RESOURCE_API}/namespaces/{hub.place('ada')}/resourceclaimtemplates"
    until(lambda: not hub.api.get(templates)["items"], 30, "and what the claim was made from")


def test_the_hub_counts_devices(contrary: Facility) -> None:
    hub = contrary
    with nodes_with_devices(hub, "80Gi") as (name,), hub.starting("ada", CHOICE):
        until(lambda: allocated(hub, "ada"), 30, "three of four are taken")

        def refused() -> str:
            answer = hub.start("grace", {**CHOICE, "size": "three"})
            assert answer.headers.get("X-Afkit-Reason") == "no-capacity", answer.text
            return str(answer.json()["message"])

        assert "accelerator" in refused()
        assert hub.pods("grace") == []
        with hub.starting("grace", {**CHOICE, "size": "small"}):
            assert len(until(lambda: allocated(hub, "grace"), 30, "the fourth is given")) == 1
            (pod,) = hub.pods("grace")
            until(lambda: hub.pods("grace")[0]["spec"].get("nodeName") == name, 30, f"{pod['metadata']['name']} goes to the same node")
            hub.stop("grace")
        hub.stop("ada")
