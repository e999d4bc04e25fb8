"""Renderings of facility files, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.render.manifests import manifests
from afkit.render.settings import Files, Settings
from afkit.render.z2jh import objects

PODS = Path(__file__).parents[1] / "pods"
FILES = ("example", "wide", "together")
SETTINGS = Settings(hub_image="registry.example.org/af/hub:1", proxy_image="registry.example.org/af/proxy:1")


def file_of(name: str) -> Path:
    """``example`` and ``wide`` are those of the Pods' tests; ``together`` has one namespace for all servers."""
    own = Path(__file__).parent / f"{name}.yaml"
    return own if own.exists() else PODS / f"{name}.yaml"


@cache
def loaded(name: str) -> Facility:
    return load_facility(file_of(name))


def files(name: str) -> Files:
    return Files(f"{name}.yaml", {f"{name}.yaml": file_of(name).read_text()})


def made(name: str, target: str = "manifests") -> list[dict[str, Any]]:
    """All objects of a target, in their order."""
    render = {"manifests": manifests, "z2jh": objects}[target]
    return [one for group in render(loaded(name), files(name), SETTINGS).values() for one in group]


def named(name: str, kind: str, target: str = "manifests") -> dict[str, dict[str, Any]]:
    """Name → object, of one kind."""
    return {one["metadata"]["name"]: one for one in made(name, target) if one["kind"] == kind}


def pod_specs(name: str, target: str = "manifests") -> Iterator[tuple[str, dict[str, Any]]]:
    for which, one in named(name, "Deployment", target).items():
        yield which, one["spec"]["template"]["spec"]
