"""What holds for the Pod of every facility, person and choice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from afkit.errors import RequestError
from afkit.facility.model import Accelerator, Cvmfs, Facility, IdentityRules, Kubernetes, Layer, Mount, Pool, RunAs, SecretKey, Storage
from afkit.pods.person import Person, person_of
from afkit.pods.server import ServerObjects, server_objects
from afkit.pods.site import stock_site
from afkit.policy.entitle import from_groups
from afkit.policy.model import Identity, Selection
from afkit.policy.offer import offer
from afkit.policy.select import select
from afkit.quantities import parse_cpu, parse_memory
from tests.unit.pods.kube import restricted, valid
from tests.unit.policy.facilities import GI, by_name
from tests.unit.policy.worlds import World, worlds

quick = settings(max_examples=60, deadline=None)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60) | st.sampled_from(
    ["ada", "$(HOME)", "{uid}", "a" * 200, "-", "..", "Ada@example.org", "ada--b", "%00", "<b>", "'; rm -rf /'"]
)
ARCH = "kubernetes.io/arch"
PRODUCTS = {"nvidia": "nvidia.com/gpu.product", "amd": "amd.com/gpu.product-name"}


def furnished(world: World) -> Facility:
    """The world's facility with node labels, taints, volumes, /cvmfs, ids and layers."""
    draw = Random(world.seed)
    unescaped = draw.random() < 0.3
    pools = {name: _pool(draw, pool) for name, pool in world.file.pools.items()}
    rules = RunAs(uid=draw.choice((None, 5)), gid=draw.choice((None, 6)), fs_group=draw.choice((None, 7, "none")), groups=(8,))
    env: dict[str, Any] = {
        "WHO": "{username} {unescaped}",
        "SECRET": SecretKey("s", "k"),
        "ODD": "$(WHO) $$",
        "DASH": "{username}-{servername}",
    }
    if unescaped:
        env["RAW"] = "$/{unescaped_username}-{servername}"
    session = Layer(env=env, files={"/etc/a": "{uid}"} if draw.random() < 0.5 else {}, cvmfs=("a.org",), pod=_layer_pod(draw))
    return replace(
        world.file,
        pools=pools,
        url="https://af.example.org/",
        session=session,
        storage=_storage(draw),
        cvmfs=Cvmfs(draw.choice(("csi", "none")), repositories={"a.org": draw.choice(({}, {"tag": "t"}))}),
        identity=IdentityRules(run_as=rules),
        kubernetes=Kubernetes(namespace="hub", user_namespaces=draw.choice(("per-user", "shared", "other")), capacity="open"),
    )


def _pool(draw: Random, pool: Pool) -> Pool:
    unit = pool.accelerator
    if unit is not None:
        source = draw.choice(({"resource": "x/gpu"}, {"device_class": "gpu", "resource": None}))
        unit = Accelerator(unit.vendor, product=draw.choice((None, "P")), per_node=unit.per_node, cuda=unit.cuda, **source)
    taints = tuple({"key": key, "value": "v", "effect": "NoSchedule"} for key in draw.sample(("t1", "t2"), draw.randint(0, 2)))
    return replace(pool, node_selector={"pool": pool.name}, taints=taints, accelerator=unit, spot=draw.random() < 0.5)


def _storage(draw: Random) -> Storage:
    home = Mount("home", "/home/ada", size=GI, sub_path=draw.choice((None, "{username}")), path=draw.choice((None, "/home/ada/{username}")))
    shared = (
        Mount("data", "/data", claim="data", read_only=True, write=("gq1",), allow=draw.choice((("everyone",), ("gq2",)))),
        Mount("nfs", "/nfs", size=GI, storage_class="fast"),
        Mount("mine", "/mine", claim="mine-{username}", size=GI),
    )
    return Storage(draw.choice((home, None)), Mount("scratch", "/scratch", size=GI), by_name(*shared))


def _layer_pod(draw: Random) -> dict[str, Any]:
    side = {"name": "side", "image": "side", "volumeMounts": [{"name": "data", "mountPath": "/in"}]}
    init = {"name": "init", "image": "init", "volumeMounts": [{"name": "home", "mountPath": "/h"}, {"name": "shm", "mountPath": "/s"}]}
    return draw.choice(({}, {"spec": {"containers": [side], "initContainers": [init]}}))


def made(world: World, name: str, server: str) -> Iterator[tuple[Facility, Selection, Person, ServerObjects]]:
    """The objects of every request of a world that is granted."""
    facility = furnished(world)
    entitlements = from_groups(facility, name, world.groups)
    person = person_of(facility, Identity(name, "local", name), entitlements)
    offered = offer(facility, entitlements)
    for request in world.requests:
        try:
            selection = select(offered, request)
            objects = server_objects(facility, selection, person, server, stock_site(name, server))
        except RequestError:
            continue
        yield facility, selection, person, objects


def schedulable(spec: Mapping[str, Any], labels: Mapping[str, str], taints: tuple[Mapping[str, Any], ...]) -> bool:
    """Whether a node takes the Pod, as Kubernetes' scheduler judges selector and taints."""

    def tolerated(taint: Mapping[str, Any]) -> bool:
        return any(
            one.get("key") in (None, taint["key"])
            and one.get("effect") in (None, taint["effect"])
            and (one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", ""))
            for one in spec.get("tolerations", ())
        )

    return spec["nodeSelector"].items() <= labels.items() and all(map(tolerated, taints))


def node(pool: Pool) -> tuple[dict[str, str], tuple[Mapping[str, Any], ...]]:
    """A node of a pool: its labels, and its taints, those of clouds among them."""
    unit = pool.accelerator
    product = {PRODUCTS[unit.vendor]: unit.product} if unit is not None and unit.product else {}
    cloud = ({"key": ARCH, "value": "arm64", "effect": "NoSchedule"},) if pool.arch == "arm64" else ()
    return {**pool.node_selector, ARCH: pool.arch, **product, "other": "label"}, (*pool.taints, *cloud)


@quick
@given(worlds, names, st.just("") | names)
def test_every_object_is_valid_and_restricted(world: World, name: str, server: str) -> None:
    for *_, objects in made(world, name, server):
        for thing in objects.all():
            valid(thing)
        restricted(objects.pod["spec"])
        spec = objects.pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert json.loads(json.dumps(objects.all())) == list(objects.all())


@settings(max_examples=40, deadline=None)
@given(worlds, st.lists(st.tuples(names, st.just("") | names), min_size=3, max_size=3))
def test_copies_of_the_first_making_are_what_is_made_by_itself(world: World, people: list[tuple[str, str]]) -> None:
    for name, server in people:
        for facility, selection, person, objects in islice(made(world, name, server), 2):
            # a facility that nobody has asked yet has no first making
            alone = server_objects(replace(facility), selection, person, server, stock_site(name, server))
            again = [server_objects(facility, selection, person, server, stock_site(name, server)) for _ in range(3)]
            assert {json.dumps(one.all()) for one in (objects, *again)} == {json.dumps(alone.all())}
            sent = server_objects(facility, selection, person, server, stock_site(name, server), written=True)
            whole = sent.pod if sent.body is None else json.loads(sent.body)
            assert json.dumps(whole) == json.dumps(alone.pod)
            assert sent.pod["metadata"] == alone.pod["metadata"] and json.dumps(sent.all()[:-1]) == json.dumps(alone.all()[:-1])


@quick
@given(worlds)
def test_a_pod_lands_on_nodes_of_its_pool_and_no_others(world: World) -> None:
    for facility, selection, _, objects in made(world, "ada", ""):
        spec = objects.pod["spec"]
        for pool in facility.pools.values():
            labels, taints = node(pool)
            assert schedulable(spec, labels, taints) == (pool == selection.pool)
            other = {"amd64": "arm64", "arm64": "amd64"}[pool.arch]
            assert not schedulable(spec, {**labels, ARCH: other}, ())
            assert not schedulable(spec, labels, (*taints, {"key": "foreign", "value": "v", "effect": "NoSchedule"}))


@quick
@given(worlds)
def test_resources_are_exactly_those_of_the_selection(world: World) -> None:
    for _, selection, _, objects in made(world, "ada", ""):
        wanted, spec = selection.resources, objects.pod["spec"]
        main = spec["containers"][0]
        requests, limits = main["resources"]["requests"], main["resources"].get("limits", {})
        assert (parse_cpu(requests["cpu"]), parse_memory(requests["memory"])) == (wanted.cpu, wanted.memory)
        assert limits.get("cpu") is None if wanted.cpu_limit is None else parse_cpu(limits["cpu"]) == wanted.cpu_limit
        assert limits.get("memory") is None if wanted.memory_limit is None else parse_memory(limits["memory"]) == wanted.memory_limit
        claimed = [
            request["exactly"]["count"]
            for thing in objects.owned
            if thing["kind"] == "ResourceClaimTemplate"
            for request in thing["spec"]["spec"]["devices"]["requests"]
        ]
        assert int(limits.get("x/gpu", 0)) + sum(claimed) == wanted.accelerators
        assert bool(claimed) == ("claims" in main["resources"]) == ("resourceClaims" in spec)
        env = {one["name"]: one.get("value") for one in main["env"]}
        nvidia = selection.pool.accelerator is not None and selection.pool.accelerator.vendor == "nvidia" and wanted.accelerators
        assert (env.get("NVIDIA_VISIBLE_DEVICES") == "void") == (not nvidia)
        [shm] = [volume for volume in spec["volumes"] if volume["name"] == "shm"]
        assert parse_memory(shm["emptyDir"]["sizeLimit"]) == wanted.shm


@quick
@given(worlds)
def test_mounts_are_exactly_those_of_the_person(world: World) -> None:
    for facility, selection, person, objects in made(world, "ada", ""):
        spec = objects.pod["spec"]
        mounts = {mount["name"]: mount for mount in spec["containers"][0]["volumeMounts"]}
        assert set(facility.storage.shared) & set(mounts) == set(selection.storage)
        if "data" in mounts:
            assert ("readOnly" in mounts["data"]) == ("gq1" not in person.facility_groups)
        assert ("home" in mounts) == (facility.storage.home is not None)


@quick
@given(worlds, worlds)
def test_nothing_of_one_call_is_left_in_the_next(first: World, second: World) -> None:
    alone = [json.dumps(objects.all()) for *_, objects in made(second, "ada", "")]
    for *_, objects in made(first, "eve", "x"):
        objects.pod["spec"]["containers"][0]["env"].append({"name": "LEFT", "value": "over"})
    assert [json.dumps(objects.all()) for *_, objects in made(second, "ada", "")] == alone


@quick
@given(worlds, names)
def test_texts_of_the_file_are_literal(world: World, name: str) -> None:
    for *_, objects in made(world, name, ""):
        env = {one["name"]: one for one in objects.pod["spec"]["containers"][0]["env"]}
        assert env["WHO"]["value"].endswith(" {unescaped}")
        assert env["ODD"]["value"] == "$$(WHO) $$$$"
        assert env["SECRET"] == {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
