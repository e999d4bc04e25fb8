"""Copies of Secrets in users' namespaces: kept equal by looking again when the API server was away, and let go when nobody names them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.kube.client import Kubernetes
from afkit.pods.layout import MANIFESTS
from afkit.services.namespaces.equal import keep_equal
from afkit.services.namespaces.keeper import COPIES, Copy, Keeper, Tenant, tenant
from tests.cluster.site import secret, sources
from tests.kube.control import Control, Way

FILE = Path(__file__).parents[1] / "cluster" / "rights.yaml"
PLACE = "rights-system"


@pytest.fixture
def facility() -> Facility:
    return load_facility(FILE)


@pytest.fixture
async def ada(kube: Kubernetes, facility: Facility) -> AsyncIterator[Tenant]:
    """Somebody whose namespace stands, beside what the file names."""
    for one in ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}, *sources(facility)):
        await apply(kube, one)
    person = tenant(facility, f"ada-{time.monotonic_ns()}", "hub", f"ada-{time.monotonic_ns()}", ("readers",))
    assert await Keeper(kube, MANIFESTS).ensure(facility, person) == ()
    yield person
    await kube.delete("Namespace", person.namespace)


async def apply(kube: Kubernetes, one: dict[str, Any]) -> None:
    await kube.patch(one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", ""), one, type="apply")


async def copy_of(kube: Kubernetes, person: Tenant, name: str) -> dict[str, Any]:
    return await kube.get("Secret", name, person.namespace)


async def test_copies_are_compared_again_when_the_api_server_is_back(
    control: Control, kube: Kubernetes, way: Way, facility: Facility, ada: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="afkit.services.namespaces")
    async with await Kubernetes.connect(control.kubeconfig(way.port), timeout=1) as cut:
        looking = asyncio.create_task(keep_equal(Keeper(cut, MANIFESTS), lambda: facility, 0.2))
        try:
            await changed(kube, ada, "before")
            # nobody answers for a while, in which the source changes
            way.closed = True
            way.cut()
            await told(caplog, "copies could not be compared")
            await apply(kube, secret(PLACE, "object-store", access="meanwhile"))
            assert await text(kube, ada) == "before"
            assert not looking.done()
            way.closed = False
            await until_text(kube, ada, "meanwhile")
            # and connections on which nothing comes any more
            way.stall()
            await changed(kube, ada, "stalled")
        finally:
            looking.cancel()


async def changed(kube: Kubernetes, person: Tenant, value: str) -> None:
    """The source changes, and the copy after it, though nobody starts a server."""
    await apply(kube, secret(PLACE, "object-store", access=value))
    await until_text(kube, person, value)


async def text(kube: Kubernetes, person: Tenant) -> str:
    return base64.b64decode((await copy_of(kube, person, "object-store"))["data"]["access"]).decode()


async def until_text(kube: Kubernetes, person: Tenant, value: str) -> None:
    end = time.monotonic() + 30
    while await text(kube, person) != value:
        assert time.monotonic() < end, "the copy was not renewed"
        await asyncio.sleep(0.05)


async def told(caplog: pytest.LogCaptureFixture, sentence: str) -> None:
    end = time.monotonic() + 30
    while sentence not in caplog.text:
        assert time.monotonic() < end, caplog.text
        await asyncio.sleep(0.05)


async def test_a_copy_that_the_file_names_no_longer_is_told_with_its_uid(kube: Kubernetes, facility: Facility, ada: Tenant) -> None:
    assert facility.kubernetes is not None
    keeper = Keeper(kube, MANIFESTS)
    registry, kept = await copy_of(kube, ada, "registry"), await copy_of(kube, ada, "object-store")
    without = replace(facility, kubernetes=replace(facility.kubernetes, pull_secrets=()))
    assert await keeper.ensure(without, ada) == (Copy("registry", registry["metadata"]["uid"]),)
    assert await copy_of(kube, ada, "registry"), "it is not the provisioner's to delete"
    assert (await copy_of(kube, ada, "object-store"))["metadata"]["uid"] == kept["metadata"]["uid"]
    # whoever has it in the file again has it again
    assert await keeper.ensure(facility, ada) == ()
    # somebody's own of the same name is another one: the uid that is told is that of the copy
    await kube.delete("Secret", "registry", ada.namespace)
    await apply(kube, secret(ada.namespace, "registry", access="their own"))
    (told,) = await keeper.ensure(without, ada)
    theirs = await copy_of(kube, ada, "registry")
    assert told == Copy("registry", registry["metadata"]["uid"])
    await kube.delete("Secret", told.name, ada.namespace, uid=told.uid)
    assert (await copy_of(kube, ada, "registry"))["metadata"]["uid"] == theirs["metadata"]["uid"]


@pytest.mark.parametrize("noted", ["", "nonsense", "[]", '{"registry": 1}', "null"])
async def test_a_note_that_was_tampered_with_is_none(kube: Kubernetes, facility: Facility, ada: Tenant, noted: str) -> None:
    await kube.patch("Namespace", ada.namespace, "", {"metadata": {"annotations": {COPIES: noted}}})
    assert await Keeper(kube, MANIFESTS).ensure(facility, ada) == ()
    found = json.loads((await kube.get("Namespace", ada.namespace))["metadata"]["annotations"][COPIES])
    assert set(found) == {"object-store", "registry"}
