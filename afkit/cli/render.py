"""``afkit render``: the objects that a facility needs in a cluster, and values for the Zero to JupyterHub chart."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afkit.facility.model import Facility
    from afkit.render.settings import Files, Settings

TARGETS = ("manifests", "z2jh", "profile-list")
"""What can be rendered."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the facility file")
    parser.add_argument("--target", choices=TARGETS, required=True, help="what to render")
    parser.add_argument(
        "--groups", metavar="G,…", default="", help="profile-list: whose choices, by facility groups (default: everybody's)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write files into this folder instead of printing")
    parser.add_argument("--hub-image", metavar="REF", help="image of the hub and the services, as the cluster pulls it")
    parser.add_argument("--proxy-image", metavar="REF", help="image of the proxy, as the cluster pulls it")
    parser.add_argument("--hub-storage-class", metavar="NAME", default="", help="storage class of the hub's database")


def run(arguments: argparse.Namespace) -> int:
    """Print or write everything; 2: the file is wrong."""
    from afkit.errors import CallError
    from afkit.facility.load import load_facility

    facility = load_facility(arguments.file)
    if facility.kubernetes is None or not facility.kubernetes.namespace:
        raise CallError(f"{arguments.file} describes no facility on Kubernetes.", "Write the section `kubernetes` with a `namespace`.")
    if arguments.target == "profile-list":
        texts = _profile_list(facility, arguments.groups)
    else:
        texts = _rendered(arguments.target, facility, _files(facility, Path(arguments.file)), _settings(arguments))
    if arguments.out is None:
        sys.stdout.write("---\n".join(texts.values()))
        return 0
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (arguments.out / name).write_text(text, encoding="utf-8")
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    from afkit.render.settings import Settings

    given = {"hub_image": arguments.hub_image, "proxy_image": arguments.proxy_image, "hub_storage_class": arguments.hub_storage_class}
    return Settings(**{key: value for key, value in given.items() if value})


def _files(facility: Facility, main: Path) -> Files:
    """The text of the file and of all that it is read from; what lies outside its folder goes along by no ConfigMap."""
    from afkit.render.settings import Files

    folder = main.parent.resolve()
    texts = {}
    for source in facility.sources:
        try:
            path = source.resolve().relative_to(folder)
        except ValueError:
            print(f"afkit render: {source} lies outside the folder of {main.name} and is not rendered: mount it yourself.", file=sys.stderr)
            continue
        texts[path.as_posix()] = source.read_text(encoding="utf-8")
    return Files(main.name, texts)


def _profile_list(facility: Facility, groups: str) -> dict[str, str]:
    """The list as one file; what it cannot say goes to standard error."""
    from afkit.cli.asked import split_groups
    from afkit.errors import CallError
    from afkit.facility.dump import dump
    from afkit.policy.entitle import from_groups
    from afkit.render.profile_list import profile_list

    names, claims, _ = split_groups(groups)
    unknown = [*claims, *(name for name in names if name not in facility.groups)]
    if unknown:
        raise CallError(f"The facility has no group {unknown[0]!r}.", "Name groups of the file's section `groups`.")
    made = profile_list(facility, from_groups(facility, "", names))
    for note in made.notes:
        print(f"afkit render: not in the list: {note}", file=sys.stderr)
    return {"profile-list.yaml": dump([list(made.entries)])}


def _rendered(target: str, facility: Facility, files: Files, settings: Settings) -> dict[str, str]:
    """File name → text. The definitions of Dask's objects stand before everything that needs them, as their package has them."""
    from afkit.facility.dump import dump
    from afkit.pods.layout import runs_dask
    from afkit.render.manifests import manifests
    from afkit.render.z2jh import chart_values, objects

    values: dict[str, str] = {}
    if target == "z2jh":
        values["values.yaml"] = dump([chart_values(facility, files, settings)])
    made = {"manifests": manifests, "z2jh": objects}[target](facility, files, settings)
    texts = [(name, dump(one)) for name, one in made.items()]
    if runs_dask(facility):
        from afkit.kube.crds import dask_definitions

        texts.insert(1 if "namespace" in made else 0, ("definitions", dask_definitions()))
    return values | {f"{number:02}-{name}.yaml": text for number, (name, text) in enumerate(texts)}
