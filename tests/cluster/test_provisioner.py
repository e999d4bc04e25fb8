"""The namespace provisioner against a real API server, with its own service account's token and nothing more."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from afkit.facility.follow import FacilitySource
from afkit.kube.client import Kubernetes
from afkit.names import AUDIENCE
from afkit.pods.layout import MANIFESTS, NAMESPACES_PATH
from afkit.render.policies import shared_label
from afkit.services.namespaces.app import application
from afkit.services.namespaces.equal import renew
from afkit.services.namespaces.keeper import Keeper, Tenant, tenant
from afkit.services.namespaces.refusal import ProvisionError
from tests.cluster.site import FILE, Site, bound, put, secret, site as whole_site
from tools.kubernetes.api import Api, ApiError

KINDS = ("serviceaccounts", "resourcequotas", "limitranges", "secrets", "configmaps", "persistentvolumeclaims")
HUB = "afkit-hub"


@pytest.fixture(scope="module")
def site(api: Api, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with whole_site(api, kubeconfig, tmp_path_factory.mktemp("identities")) as made:
        yield made


@pytest.fixture
async def keeper(site: Site) -> AsyncIterator[Keeper]:
    async with await Kubernetes.connect(str(site.identity("afkit-namespaces"))) as kube:
        yield Keeper(kube, MANIFESTS)


def somebody(site: Site, name: str, *groups: str) -> Tenant:
    return tenant(site.facility, name, "hub", name, groups)


def inside(site: Site, person: Tenant, kind: str, name: str = "") -> dict[str, Any]:
    group = {"networkpolicies": "/apis/networking.k8s.io/v1", "rolebindings": "/apis/rbac.authorization.k8s.io/v1"}.get(kind, "/api/v1")
    return site.api.get(f"{group}/namespaces/{person.namespace}/{kind}{f'/{name}' if name else ''}")


def versions(site: Site, person: Tenant) -> dict[str, str]:
    """The version of every object that the provisioner makes."""
    found = {"namespace": site.api.get(f"/api/v1/namespaces/{person.namespace}")}
    for kind in (*KINDS, "networkpolicies", "rolebindings"):
        for one in inside(site, person, kind)["items"]:
            if one["metadata"].get("labels", {}).get("afkit.io/owner"):
                found[f"{kind}/{one['metadata']['name']}"] = one
    return {name: one["metadata"]["uid"] + str(one["metadata"].get("managedFields", [{}])[0].get("time")) for name, one in found.items()}


async def test_everything_stands_when_the_call_returns_and_nothing_is_written_again(site: Site, keeper: Keeper) -> None:
    ada = somebody(site, "ada", "readers")
    await keeper.ensure(site.facility, ada)
    first = versions(site, ada)
    assert set(first) == {
        "namespace",
        "serviceaccounts/afkit-session",
        "resourcequotas/afkit",
        "limitranges/afkit",
        "networkpolicies/afkit",
        "networkpolicies/afkit-dask-schedulers",
        "rolebindings/afkit-clusters",
        "rolebindings/afkit-keeper",
        "rolebindings/afkit-sessions",
        "secrets/object-store",
        "secrets/registry",
        "configmaps/motd",
        *(f"persistentvolumeclaims/afkit-{name}" for name in ("data", "secret-data", "export", "ceph", "cvmfs", "cvmfs-sft.example.org")),
    }
    before = len(writes(site, ada))
    await keeper.ensure(site.facility, ada)
    assert versions(site, ada) == first
    assert len(writes(site, ada)) == before
    for name in ("data", "secret-data", "export", "ceph", "cvmfs", "cvmfs-sft.example.org"):
        path = f"/api/v1/namespaces/{ada.namespace}/persistentvolumeclaims/afkit-{name}"
        await asyncio.to_thread(site.api.until, path, bound)


def writes(site: Site, person: Tenant) -> list[str]:
    """The versions of everything in the namespace: one that was written again has another."""
    return sorted(
        one["metadata"]["resourceVersion"]
        for kind in (*KINDS, "networkpolicies", "rolebindings")
        for one in inside(site, person, kind)["items"]
        if one["metadata"].get("labels", {}).get("afkit.io/owner") and kind != "persistentvolumeclaims"
    )


async def test_sources_are_those_of_the_claims_and_of_the_file(site: Site, keeper: Keeper) -> None:
    grace = somebody(site, "grace", "readers")
    await keeper.ensure(site.facility, grace)

    def volume(name: str) -> dict[str, Any]:
        return site.api.get(f"/api/v1/persistentvolumes/{grace.namespace}-{name}")["spec"]

    assert volume("data")["nfs"] == {"server": "nfs.example.org", "path": "/data"}
    assert volume("data")["mountOptions"] == ["nfsvers=4.2"]
    assert volume("secret-data")["csi"]["volumeAttributes"] == {"a": "1", "b": "2"}
    assert volume("export")["nfs"] == {"server": "nfs.example.org", "path": "/people/grace"}
    assert volume("ceph")["csi"]["nodeStageSecretRef"] == {"name": "ceph", "namespace": "ceph"}
    assert volume("cvmfs")["csi"]["volumeHandle"] == f"{grace.namespace}-cvmfs"
    assert all(volume(name)["persistentVolumeReclaimPolicy"] == "Retain" for name in ("data", "export", "cvmfs"))


async def test_who_may_not_have_a_mount_has_no_volume_of_it(site: Site, keeper: Keeper) -> None:
    emmy = somebody(site, "emmy")
    await keeper.ensure(site.facility, emmy)
    names = {one["metadata"]["name"] for one in inside(site, emmy, "persistentvolumeclaims")["items"]}
    assert "afkit-data" in names
    assert "afkit-secret-data" not in names
    with pytest.raises(ApiError) as caught:
        site.api.get(f"/api/v1/persistentvolumes/{emmy.namespace}-secret-data")
    assert caught.value.status == 404


async def test_limits_follow_the_groups(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "noether")
    await keeper.ensure(site.facility, person)
    assert inside(site, person, "resourcequotas", "afkit")["spec"]["hard"] == {"requests.cpu": "2", "requests.memory": "4Gi"}
    await keeper.ensure(site.facility, replace(person, groups=("readers",)))
    assert inside(site, person, "resourcequotas", "afkit")["spec"]["hard"] == {"requests.cpu": "8"}


async def test_what_was_changed_or_deleted_by_hand_comes_back(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "meitner")
    await keeper.ensure(site.facility, person)
    base = f"/api/v1/namespaces/{person.namespace}"
    site.api.delete(f"{base}/resourcequotas/afkit")
    site.api.merge(f"{base}/serviceaccounts/afkit-session", {"automountServiceAccountToken": True})
    site.api.merge(f"/apis/networking.k8s.io/v1/namespaces/{person.namespace}/networkpolicies/afkit", {"spec": {"egress": [{}]}})
    site.api.merge(base, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}})
    await keeper.ensure(site.facility, person)
    assert inside(site, person, "resourcequotas", "afkit")
    assert inside(site, person, "serviceaccounts", "afkit-session")["automountServiceAccountToken"] is False
    assert {} not in inside(site, person, "networkpolicies", "afkit")["spec"]["egress"]
    assert site.api.get(base)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


async def test_copies_are_kept_equal_also_while_nobody_starts_a_server(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "curie")
    await keeper.ensure(site.facility, person)
    seen: dict[tuple[str, str], str] = {}
    await renew(keeper, site.facility, seen)
    put(site.api, secret(site.namespace, "object-store", access="another"))
    await renew(keeper, site.facility, seen)
    copy = inside(site, person, "secrets", "object-store")
    assert base64.b64decode(copy["data"]["access"]) == b"another"


async def test_a_namespace_of_somebody_else_is_neither_used_nor_touched(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "mallory")
    path = f"/api/v1/namespaces/{person.namespace}"
    site.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": person.namespace, "labels": {"team": "other"}}})
    before = site.api.get(path)["metadata"]
    with pytest.raises(ProvisionError) as caught:
        await keeper.ensure(site.facility, person)
    assert (caught.value.status, caught.value.reason) == (409, "owner")
    after = site.api.get(path)["metadata"]
    assert (after["uid"], after["resourceVersion"]) == (before["uid"], before["resourceVersion"])
    site.api.delete(path)


@pytest.mark.parametrize("label", ["afkit.io/owner", "afkit.io/facility"])
async def test_a_namespace_with_a_tampered_label_is_refused(site: Site, keeper: Keeper, label: str) -> None:
    person = somebody(site, f"tampered-{label[9:]}")
    await keeper.ensure(site.facility, person)
    path = f"/api/v1/namespaces/{person.namespace}"
    site.api.merge(path, {"metadata": {"labels": {label: "other"}}})
    with pytest.raises(ProvisionError) as caught:
        await keeper.ensure(site.facility, person)
    assert caught.value.reason == "owner"
    site.api.merge(path, {"metadata": {"labels": {label: person.owner if label.endswith("owner") else "rights"}}})


async def test_an_object_inside_that_has_no_owner_is_left_alone(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "planck")
    await keeper.ensure(site.facility, person)
    path = f"/api/v1/namespaces/{person.namespace}/secrets/registry"
    site.api.delete(path)
    put(site.api, secret(person.namespace, "registry", access="by hand"))
    with pytest.raises(ProvisionError) as caught:
        await keeper.ensure(site.facility, person)
    assert caught.value.reason == "owner"
    assert base64.b64decode(site.api.get(path)["data"]["access"]) == b"by hand"


async def test_a_missing_secret_is_named(site: Site, keeper: Keeper) -> None:
    path = f"/api/v1/namespaces/{site.namespace}/secrets/registry"
    site.api.delete(path)
    try:
        with pytest.raises(ProvisionError, match="Secret registry"):
            await keeper.ensure(site.facility, somebody(site, "bohr"))
    finally:
        put(site.api, secret(site.namespace, "registry", access="of registry"))


async def test_a_claim_whose_volume_is_not_marked_is_named_with_the_command(site: Site, keeper: Keeper) -> None:
    key, value = shared_label(site.facility, "data")
    volume = "/api/v1/persistentvolumes/rights-data"
    site.api.merge(volume, {"metadata": {"labels": {key: None}}})
    try:
        with pytest.raises(ProvisionError) as caught:
            await keeper.ensure(site.facility, somebody(site, "pauli"))
        assert caught.value.reason == "not-shared"
        assert f"kubectl label pv rights-data {key}={value}" in caught.value.hint
    finally:
        site.api.merge(volume, {"metadata": {"labels": {key: value}}})


async def test_the_volumes_of_a_deleted_namespace_are_bound_again(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "hilbert")
    await keeper.ensure(site.facility, person)
    claim = f"/api/v1/namespaces/{person.namespace}/persistentvolumeclaims/afkit-data"
    await asyncio.to_thread(site.api.until, claim, bound)
    site.api.delete(f"/api/v1/namespaces/{person.namespace}")
    await asyncio.to_thread(site.api.until, f"/api/v1/namespaces/{person.namespace}", lambda found: found is None)
    released = f"/api/v1/persistentvolumes/{person.namespace}-data"
    await asyncio.to_thread(site.api.until, released, lambda one: (one or {}).get("status", {}).get("phase") == "Released")
    await keeper.ensure(site.facility, person)
    await asyncio.to_thread(site.api.until, claim, bound)


async def test_people_whose_names_collide_in_escaping_stay_apart(site: Site, keeper: Keeper) -> None:
    names = ("a-b", "a.b", "A-b", "é", "x" * 200, "ada@example.org", "../../etc", "'; drop table pods; --", "\N{PILE OF POO}")
    people = [somebody(site, name) for name in names]
    assert len({person.namespace for person in people}) == len(names)
    await asyncio.gather(*(keeper.ensure(site.facility, person) for person in people))
    for person in people:
        namespace = site.api.get(f"/api/v1/namespaces/{person.namespace}")
        assert namespace["metadata"]["annotations"]["afkit.io/user"] == person.name


async def test_many_calls_for_one_person_are_one_after_the_other(site: Site, keeper: Keeper) -> None:
    person = somebody(site, "dirac")
    await asyncio.gather(*(keeper.ensure(site.facility, person) for _ in range(8)))
    assert inside(site, person, "rolebindings", "afkit-sessions")


@pytest.fixture
async def address(keeper: Keeper) -> AsyncIterator[str]:
    """The provisioner as its pod runs it, on a port of this machine."""
    runner = web.AppRunner(application(FacilitySource(FILE), keeper))
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}{NAMESPACES_PATH}"
    await runner.cleanup()


PERSON = {"name": "lovelace", "issuer": "hub", "key": "lovelace", "facility_groups": ["readers"]}


async def ask(address: str, token: str, body: object = PERSON) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with aiohttp.ClientSession() as session, session.post(f"{address}users", data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_the_hub_is_answered(site: Site, address: str) -> None:
    status, answer = await ask(address, site.token(HUB, audience=AUDIENCE))
    assert (status, answer["namespace"]) == (200, somebody(site, "lovelace").namespace)


async def test_nobody_else_is(site: Site, address: str) -> None:
    refusals = {
        "": 401,
        "nonsense": 401,
        site.token(HUB): 401,
        site.token(HUB, audience="another"): 401,
        site.token("afkit-namespaces", audience=AUDIENCE): 403,
        site.token("default", audience=AUDIENCE): 403,
    }
    site.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "rights-other", "labels": {"afkit.io/facility": "rights"}}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": HUB, "namespace": "rights-other"}}
    put(site.api, account)
    refusals[site.token(HUB, "rights-other", AUDIENCE)] = 403
    for token, wanted in refusals.items():
        status, answer = await ask(address, token)
        assert (status, sorted(answer)) == (wanted, ["hint", "message", "reason"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 5000,
        [],
        "x",
        {},
        {**PERSON, "name": 1},
        {**PERSON, "key": ""},
        {**PERSON, "key": "a\0b"},
        {**PERSON, "name": "x" * 5000},
        {**PERSON, "facility_groups": "readers"},
        {**PERSON, "facility_groups": [1]},
        {**PERSON, "uid": "0"},
        {**PERSON, "uid": True},
        {**PERSON, "gid": -1},
        b"x" * (1 << 20),
    ],
)
async def test_a_malformed_person_is_refused(site: Site, address: str, body: object) -> None:
    status, answer = await ask(address, site.token(HUB, audience=AUDIENCE), body)
    assert (status, answer["reason"]) == (400, "malformed")
