"""The objects of a cluster: dask-kubernetes' own names, labels and ports, and everything of the session in its pods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afkit.errors import IncompatibleError
from afkit.facility.dump import dump
from afkit.pods.daskcluster import ClusterObjects, cluster_objects, object_name
from afkit.pods.server import server_objects
from afkit.pods.site import stock_site
from afkit.services.dask.records import record_of, usage_of, uses
from tests.unit.dask.asking import MATERIAL, facility, objects, person, plan, server
from tests.unit.pods.kube import restricted, valid

BUILDERS = """
import json, sys
from dask_kubernetes.operator.controller import controller as c
name, spec, labels = "mine", json.loads(sys.argv[1]), json.loads(sys.argv[2])
print(json.dumps({
    "scheduler": c.build_scheduler_deployment_spec(name, spec["scheduler"]["spec"], {}, labels),
    "service": c.build_scheduler_service_spec(name, spec["scheduler"]["service"], {}, labels),
    "worker": c.build_worker_deployment_spec(name + "-default", "ns", name, "0123456789", spec["worker"]["spec"], {}, labels),
    "cluster": c.build_cluster_spec(name, spec["worker"], spec["scheduler"], {}, labels),
}))
"""


def kinds(made: ClusterObjects) -> list[tuple[str, str]]:
    return [(one["kind"], one["metadata"].get("name", "")) for one in made.all()]


def env(pod: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in pod["spec"]["containers"][0]["env"]}


def test_every_object(golden: Callable[[str, str], None]) -> None:
    made = objects(
        {"low": 1, "high": 4, "cores": 2000},
        {"gpus": 1, "low": 0, "high": 1},
        user="grace",
        env={"MINE": "$(HOME)"},
        cvmfs=["extra.example.org"],
    )
    assert kinds(made) == [
        ("DaskCluster", "mine"),
        ("Secret", "mine-dask"),
        ("Service", "mine-scheduler"),
        ("Deployment", "mine-scheduler"),
        ("Secret", "mine-scheduler-files"),
        ("Secret", "mine-default-files"),
        ("Secret", "mine-group-1-files"),
        ("Pod", "mine-scheduler"),
        ("Pod", ""),
        ("Pod", ""),
    ]
    for one in made.all():
        if one["kind"] == "Pod":
            valid({**one, "metadata": {"name": "x", **one["metadata"]}})
            restricted(one["spec"])
    golden("cluster.yaml", dump(made.all()))


def test_names_labels_and_ports_are_those_of_dask_kubernetes(tmp_path: Path) -> None:
    made = objects()
    spec = {**made.root["spec"]}
    own = {key: value for key, value in made.root["metadata"]["labels"].items() if not key.startswith("dask.org/")}
    # importing it writes a file into the folder of Dask's configuration
    environment = {**os.environ, "DASK_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", BUILDERS, json.dumps(spec), json.dumps(own)]
    ended = subprocess.run(command, capture_output=True, check=False, env=environment, text=True)
    assert ended.returncode == 0, ended.stderr
    theirs = json.loads(ended.stdout)
    service = next(one for one in made.beside if one["kind"] == "Service")
    assert service["metadata"]["name"] == theirs["service"]["metadata"]["name"]
    assert service["metadata"]["labels"].items() >= theirs["service"]["metadata"]["labels"].items()
    assert made.scheduler["metadata"]["name"] == theirs["scheduler"]["metadata"]["name"]
    assert made.scheduler["metadata"]["labels"].items() >= theirs["scheduler"]["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= theirs["scheduler"]["spec"]["template"]["metadata"]["labels"].items()
    worker = theirs["worker"]["spec"]["template"]
    assert made.workers["default"]["metadata"]["labels"].items() >= worker["metadata"]["labels"].items()
    assert worker["metadata"]["name"].startswith("mine-default-worker-")
    # what an operator would add to a worker is there already
    assert env({"spec": worker["spec"]}) == env(made.workers["default"])
    assert made.root["metadata"]["labels"].items() >= theirs["cluster"]["metadata"]["labels"].items()
    assert {port["containerPort"] for port in made.scheduler["spec"]["containers"][0]["ports"]} == {8786, 8787}


def test_the_deployment_that_keeps_an_operator_away_runs_nothing_and_finds_nothing() -> None:
    made = objects()
    deployment = next(one for one in made.beside if one["kind"] == "Deployment")
    assert deployment["spec"]["replicas"] == 0
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert not any(selector.items() <= pod["metadata"]["labels"].items() for pod in (made.scheduler, *made.workers.values()))


def test_workers_have_everything_of_the_session_that_servers_have() -> None:
    server_pod = server_objects(facility(), server(), person(), "", stock_site("ada")).pod
    worker = objects().workers["default"]
    of_server, of_worker = env(server_pod), env(worker)
    for name in ("TZ", "KEY", "WHERE", "FROM_POOL", "FROM_IMAGE", "RELEASE", "AFKIT_FACILITY", "AFKIT_CVMFS", "AFKIT_SERVICES"):
        assert of_worker[name] == of_server[name], name
    assert worker["spec"]["securityContext"] == server_pod["spec"]["securityContext"]
    assert worker["spec"]["priorityClassName"] == "low"
    assert worker["metadata"]["labels"]["example.org/team"] == "atlas"
    mounts = {one["mountPath"] for one in worker["spec"]["containers"][0]["volumeMounts"]}
    assert {"/home/jovyan", "/scratch", "/software", "/cvmfs", "/etc/rucio.cfg", "/etc/afkit"} <= mounts
    assert "/notes" not in mounts, "workers: false"
    assert "initContainers" not in worker["spec"]
    assert "lifecycle" not in worker["spec"]["containers"][0]
    for key in ("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks"):
        assert worker["spec"][key] == server_pod["spec"][key]


def test_what_a_person_writes_is_literal_and_changes_nothing_of_the_facility() -> None:
    made = objects(env={"MINE": "$(HOME) $$", "TZ": "UTC"})
    for pod in (made.scheduler, made.workers["default"]):
        assert env(pod)["MINE"] == "$$(HOME) $$$$"
        assert env(pod)["TZ"] == "UTC"


def test_more_repositories_are_mounted_and_looked_at() -> None:
    made = objects(cvmfs=["extra.example.org"])
    assert env(made.workers["default"])["AFKIT_CVMFS"] == "cms.example.org,sft.example.org,extra.example.org"
    secret = made.beside[0]["stringData"]
    assert json.loads(secret["cluster.json"])["cvmfs"] == ["cms.example.org", "sft.example.org", "extra.example.org"]


@pytest.mark.parametrize("path", ["/cvmfs/sft.example.org/x/bin/python", "/software/env/bin/python3", "/home/jovyan/env/bin/python"])
def test_an_interpreter_on_a_mount_of_the_workers(path: str) -> None:
    made = objects(python=path)
    assert made.workers["default"]["spec"]["containers"][0]["args"][0] == path
    assert made.scheduler["spec"]["containers"][0]["args"][0] == path


@pytest.mark.parametrize("path", ["/notes/env/bin/python", "/usr/bin/python3", "/home/jovyan2/python", "/cvmfs"])
def test_an_interpreter_that_workers_do_not_see(path: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        objects(python=path)
    assert caught.value.field == "python"


def test_no_secret_is_outside_the_secret() -> None:
    made = objects()
    for one in made.all():
        if one is not made.beside[0]:
            assert not {MATERIAL.key, MATERIAL.token} & set(json.dumps(one).split('"'))
    assert MATERIAL.key not in repr(MATERIAL)


def test_the_root_says_again_what_was_granted() -> None:
    made = objects({"low": 1, "high": 4, "cores": 2000}, {"gpus": 1, "low": 0, "high": 1}, user="grace", life="server")
    record = record_of({**made.root, "metadata": {**made.root["metadata"], "uid": "u"}})
    assert record is not None
    assert (record.name, record.user, record.owner, record.life, record.pod) == (
        "mine",
        "grace",
        person("grace").owner,
        "server",
        ("jupyter-ada", "1-2-3"),
    )
    default, gpu = record.groups.values()
    assert (default.low, default.high, default.wanted, default.cpu, default.adaptive) == (1, 4, 1, 2000, True)
    assert (gpu.pool, gpu.gpus, gpu.resources) == ("gpu", 1, {"amd64": 1.0, "GPU": 1.0})
    assert [one.kind for one in uses(record)] == ["scheduler", *["worker"] * 5]
    usage = usage_of(facility(), [], [record, replace(record, owner="other"), replace(record, deleting=True)], record.owner)
    assert (usage.clusters, len(usage.uses)) == (1, 6)
    changed = record.with_wanted({"gpu-x": (0, 0, 0)} if False else {"default": (2, 2, 2)})
    assert json.loads(changed.wanted_note())["default"] == [2, 2, 2]


@pytest.mark.parametrize(
    "broken",
    [{}, {"afkit.io/plan": "x"}, {"afkit.io/plan": "{}", "afkit.io/wanted": "{}"}, {"afkit.io/plan": "[]", "afkit.io/wanted": "3"}],
)
def test_a_root_that_is_none_of_ours_is_nobodys_cluster(broken: dict[str, str]) -> None:
    root = objects().root
    assert record_of({**root, "metadata": {**root["metadata"], "annotations": broken}}) is None


def test_in_one_namespace_for_all_no_two_people_have_the_same_names() -> None:
    kubernetes = facility().kubernetes
    assert kubernetes is not None
    shared = replace(facility(), kubernetes=replace(kubernetes, user_namespaces="shared"))
    names = {object_name(shared, owner, "mine") for owner in ("a", "b")}
    assert len(names) == 2
    assert all(len(name) <= 53 for name in names)
    made = cluster_objects(shared, plan(), replace(person(), namespace="dasky-system"), MATERIAL, made=1)
    assert made.root["metadata"]["labels"]["afkit.io/cluster"] == "mine"
