"""Each choice of a rendered profile list leads a real KubeSpawner to the Pod that afkit would have made in one namespace."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.facility.pod_rules import MAIN
from afkit.pods.layers import session_of
from afkit.pods.layout import section
from afkit.pods.placeholders import fill_all
from afkit.pods.server import server_objects
from afkit.pods.site import stock_site
from afkit.policy.capacity import declared
from afkit.policy.entitle import entitle
from afkit.policy.offer import offer
from afkit.policy.select import select
from afkit.render.profile_list import profile_list
from tests.contract.test_server_base import _spawner
from tests.unit.pods.asking import ada, identity
from tests.unit.render.listing import FILES

pytest.importorskip("kubespawner", reason="KubeSpawner belongs to the newest axis")
OURS = ("AFKIT_", "JUPYTER_IMAGE", "JUPYTERHUB_", "CPU_", "MEM_")
NAME = "Ada@example.org"


def whole(facility: Facility, groups: tuple[str, ...], profile: str, pool: str, key: str) -> dict[str, Any]:
    """afkit's own Pod of a choice."""
    one = replace(facility, kubernetes=replace(section(facility), user_namespaces="shared", capacity="open"))
    who = identity(one, *groups, name=NAME)
    image, size, *others = key.split("--")
    options = dict(zip(one.profiles[profile].options, others, strict=False))
    asked = {"profile": profile, "pool": pool, "image": image, "size": size, **options}
    selection = select(offer(one, entitle(one, who), declared(one)), asked)
    person = ada(one, *groups, name=NAME)
    traits = fill_all(session_of(one, selection).kubespawner, person.names())
    return server_objects(one, selection, person, "", stock_site(NAME, "", traits)).pod


def plain(pod: dict[str, Any], claim: str) -> dict[str, Any]:
    """What of a Pod is neither the hub's nor afkit's own."""
    spec = copy.deepcopy(pod["spec"])
    spec.pop("serviceAccountName", None)
    for volume in spec["volumes"]:
        if volume["name"] == "home" and "persistentVolumeClaim" in volume:
            volume["persistentVolumeClaim"]["claimName"] = claim
        volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).pop("metadata", None)
    hidden = {"afkit-token", "afkit-files"}
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in hidden]
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        if container["name"] == MAIN:
            container["env"] = sorted((one for one in container["env"] if not one["name"].startswith(OURS)), key=lambda one: one["name"])
            container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] not in hidden]
            for key in ("ports", "startupProbe", "envFrom", *(key for key, value in container.items() if value == {})):
                container.pop(key, None)
            container["resources"] = {
                kind: {name: amount(value) for name, value in part.items()} for kind, part in container["resources"].items() if part
            }
    return {key: value for key, value in spec.items() if value not in ([], {}, None)}


def amount(value: object) -> float:
    """A quantity as a number."""
    units = {"m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    text = str(value)
    unit = next((one for one in units if text.endswith(one)), "")
    return float(text.removesuffix(unit)) * units.get(unit, 1)


def choices(name: str) -> Iterator[tuple[str, str]]:
    facility, groups = load_facility(FILES[name][0]), FILES[name][1]
    for entry in profile_list(facility, entitle(facility, identity(facility, *groups))).entries:
        for key in entry["profile_options"]["choice"]["choices"]:
            yield entry["slug"], key


@pytest.mark.parametrize(("name", "slug", "key"), [(name, *choice) for name in FILES for choice in choices(name)])
async def test_a_choice_is_the_pod_that_afkit_makes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, slug: str, key: str
) -> None:
    from kubernetes_asyncio.client import ApiClient

    file, groups = FILES[name]
    facility = load_facility(file)
    entries = list(profile_list(facility, entitle(facility, identity(facility, *groups))).entries)
    spawner = _spawner(monkeypatch, tmp_path, NAME, "")
    spawner.user_options = {"profile": slug, "choice": key}
    spawner._load_profile(slug, spawner._get_initialized_profile_list(entries))
    spawner.get_env = lambda: spawner._expand_env(spawner.environment)
    made = ApiClient().sanitize_for_serialization(await spawner.get_pod_manifest())
    profile, pool = next((one, two) for one in facility.profiles for two in facility.pools if slug == f"{one}-{two}")
    wanted = whole(facility, groups, profile, pool, key)
    # a home whose claim is KubeSpawner's to name
    claim = spawner.pvc_name if spawner.storage_pvc_ensure else ""
    named = claim or next(
        (
            one["persistentVolumeClaim"]["claimName"]
            for one in wanted["spec"]["volumes"]
            if one["name"] == "home" and "persistentVolumeClaim" in one
        ),
        "",
    )
    assert plain(made, named) == plain(wanted, named)
    for kind in ("labels", "annotations"):
        extra = getattr(spawner, f"extra_{kind}")
        filled = {name: text for name, text in whole(facility, groups, profile, pool, key)["metadata"][kind].items() if name in extra}
        assert extra.keys() == filled.keys()
        assert {name: made["metadata"][kind][name] for name in extra} == filled


def test_kubespawner_takes_every_value() -> None:
    from afkit.hub.kubernetes.traits import KubeSpawnerTraits

    traits = KubeSpawnerTraits()
    for name, (file, groups) in FILES.items():
        facility = load_facility(file)
        for entry in profile_list(facility, entitle(facility, identity(facility, *groups))).entries:
            for choice in entry["profile_options"]["choice"]["choices"].values():
                for trait, value in choice["kubespawner_override"].items():
                    assert trait in traits.names, (name, trait)
                    assert traits.refusal(trait, value) is None, (name, trait, value)
