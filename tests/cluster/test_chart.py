"""What `afkit render --target z2jh` gives to a real Zero to JupyterHub chart: the chart takes the values, the cluster all objects.

The chart is none of this project's: `AFKIT_TEST_CHART` names its folder (`jupyterhub` in its repository, or an unpacked release),
and `helm` is on the path, or named by `AFKIT_TEST_HELM`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.kube.kinds import kind_of, path_of
from afkit.pods.layout import HUB_PORT, Z2JH, section
from tools.kubernetes.api import Api, ApiError

Object = dict[str, Any]

FILES = ("facility.yaml", "rights.yaml", "contrary.yaml")
SITE = {"hub": {"db": {"type": "sqlite-memory"}}}
"""What a site decides by itself: no claim here."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, with the schema of its values as helm reads it: in the repository it is YAML."""
    given = os.environ.get("AFKIT_TEST_CHART", "")
    if not given:
        pytest.skip("AFKIT_TEST_CHART names no folder of the Zero to JupyterHub chart")
    copy = tmp_path_factory.mktemp("chart") / "jupyterhub"
    shutil.copytree(given, copy)
    schema = copy / "values.schema.json"
    if not schema.exists():
        schema.write_text(json.dumps(yaml.safe_load((copy / "values.schema.yaml").read_text())))
    return copy


@pytest.fixture(scope="module")
def helm() -> str:
    """The program."""
    found = os.environ.get("AFKIT_TEST_HELM") or shutil.which("helm")
    if not found:
        pytest.skip("helm is not here; AFKIT_TEST_HELM names it")
    return found


def rendered(file: Path, out: Path) -> list[Object]:
    """The objects that the chart does not have; its values lie beside them."""
    command = [str(Path(sys.executable).with_name("afkit")), "render", str(file), "--target", "z2jh", "--out", str(out)]
    subprocess.run([*command, "--hub-image", "registry.example.org/af/hub:1"], check=True, capture_output=True)
    return [one for name in sorted(out.glob("[0-9]*.yaml")) for one in yaml.safe_load_all(name.read_text())]


def templated(helm: str, chart: Path, facility: Facility, values: Path) -> list[Object]:
    """What the chart makes of the values; helm compares these with the chart's own schema first."""
    site = values.with_name("site.yaml")
    site.write_text(yaml.safe_dump(SITE))
    command = [helm, "template", "any-name", str(chart), "--namespace", section(facility).namespace, "--values", str(values)]
    ended = subprocess.run([*command, "--values", str(site), "--kube-version", "1.35.0"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return [one for one in yaml.safe_load_all(ended.stdout) if one]


@pytest.fixture(scope="module", params=FILES)
def installed(request: pytest.FixtureRequest, chart: Path, helm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """(facility, the chart's objects, afkit's objects)."""
    file, out = Path(__file__).with_name(request.param), tmp_path_factory.mktemp("rendered")
    facility = load_facility(file)
    ours = rendered(file, out)
    yield facility, templated(helm, chart, facility, out / "values.yaml"), ours


def of(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def includes(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= labels.items()


def test_afkits_objects_mean_what_the_chart_makes(installed: Any) -> None:
    facility, theirs, ours = installed
    hub, proxy = of(theirs, "Deployment", "hub"), of(theirs, "Deployment", "proxy")
    assert includes(hub["spec"]["template"]["metadata"]["labels"], Z2JH.hub_labels)
    assert includes(proxy["spec"]["template"]["metadata"]["labels"], Z2JH.proxy_labels)
    assert not includes(proxy["spec"]["template"]["metadata"]["labels"], Z2JH.hub_labels)
    # the hub is who the rights are for, under the address that sessions are told
    assert hub["spec"]["template"]["spec"]["serviceAccountName"] == Z2JH.hub
    assert of(theirs, "ServiceAccount", Z2JH.hub)
    assert [port["port"] for port in of(theirs, "Service", "hub")["spec"]["ports"]] == [HUB_PORT]
    # and it reads the facility file where it looks for it
    secret = of(theirs, "Secret", "hub")
    told = yaml.safe_load(base64.b64decode(secret["data"]["values.yaml"]))["hub"]["config"]
    path = told["AfkitKubeSpawner"]["facility_file"]
    assert told["JupyterHub"]["spawner_class"] == "afkit"
    (mount,) = (one for one in hub["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] if one["mountPath"] == path)
    assert mount["name"] == "files"
    assert secret["stringData"][mount["subPath"]] == facility.sources[0].read_text()
    subjects = [one for binding in ours if binding["kind"].endswith("Binding") for one in binding.get("subjects", ())]
    assert {"kind": "ServiceAccount", "name": Z2JH.hub, "namespace": section(facility).namespace} in subjects


def test_the_chart_gives_nobody_rights_and_runs_nothing_of_its_own(installed: Any) -> None:
    _, theirs, _ = installed
    kinds = {one["kind"] for one in theirs}
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & kinds
    assert {one["metadata"]["name"] for one in theirs if one["kind"] in ("Deployment", "DaemonSet", "StatefulSet")} == {"hub", "proxy"}
    assert {one["metadata"]["name"] for one in theirs if one["kind"] == "NetworkPolicy"} <= {"hub", "proxy"}


def test_no_object_stands_on_both_sides(installed: Any) -> None:
    _, theirs, ours = installed
    names = [{(one["kind"], one["metadata"]["name"]) for one in side} for side in (theirs, ours)]
    assert not names[0] & names[1]


def test_the_cluster_takes_all_of_it(installed: Any, api: Api, namespace: str) -> None:
    """As a server-side dry run, in a namespace that exists."""
    facility, theirs, ours = installed
    defined = {one["spec"]["names"]["kind"] for one in ours if one["kind"] == "CustomResourceDefinition"}
    refused = []
    for one in (*ours, *theirs):
        if one["kind"] in defined:
            continue
        metadata = one["metadata"]
        if metadata.get("namespace", section(facility).namespace) and kind_of(one["kind"]).namespaced:
            metadata = {**metadata, "namespace": namespace}
        path = path_of(kind_of(one["kind"]), metadata.get("namespace", ""), metadata["name"])
        try:
            query = "fieldManager=test&force=true&dryRun=All&fieldValidation=Strict"
            api.request("PATCH", f"{path}?{query}", {**one, "metadata": metadata}, kind="application/apply-patch+yaml")
        except ApiError as error:
            refused.append(str(error))
    assert not refused, "\n".join(refused)
