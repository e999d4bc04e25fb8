"""What the hub sends to the API server is what ``afkit pod`` prints for the same person, choice and facility file: every field."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from afkit.kube.kinds import kind_of, path_of
from tests.cluster.hubs import HubInPod
from tests.hub.harness import until

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("real pods with JupyterLab in them, started one after another")]

Object = dict[str, Any]

CASES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "nothing but Python": ("ada", "", {"profile": "plain"}),
    "CVMFS, shared storage and an option": ("ada", "", {"profile": "analysis", "pool": "cpu", "interface": "code"}),
    "a GPU": ("grace", "", {"profile": "training", "pool": "gpu", "size": "large"}),
    "a slice of a GPU on another node": ("grace", "", {"profile": "training", "pool": "slice"}),
    "ARM64 and a named server": ("ada", "second", {"profile": "analysis", "pool": "arm"}),
    "an eighth of a node": ("grace", "", {"profile": "analysis", "pool": "cpu", "size": "eighth"}),
    "an image that somebody typed": ("grace", "", {"profile": "analysis", "pool": "cpu", "image": "docker.io/local/nothing-here:2"}),
}
SET_BY_THE_SERVER = frozenset(("uid", "resourceVersion", "creationTimestamp", "managedFields"))
"""Keys of ``metadata`` that the API server gives anew to each object that it makes, a dry run too."""
SET_LATER = frozenset((("spec", "nodeName"), ("status",)))
"""Fields of a Pod that scheduler and kubelet write after it was made."""


@pytest.fixture(autouse=True)
def nothing_runs(hub: HubInPod) -> None:
    hub.stop_all()


class Sent:
    """Writes of one person's objects, as the API server's audit log has them from a moment on."""

    def __init__(self, hub: HubInPod, user: str) -> None:
        self.file, self.namespace = hub.cluster.layout.audit, hub.place(user)
        self.begin = self.file.stat().st_size

    def __iter__(self) -> Iterator[Object]:
        with self.file.open("rb") as log:
            log.seek(self.begin)
            whole = log.read().rpartition(b"\n")[0]
        for line in whole.splitlines():
            event = json.loads(line)
            if event["verb"] == "create" and event["objectRef"].get("namespace") == self.namespace:
                yield event

    def object(self, resource: str, name: str, *, dry: bool) -> Object | None:
        """The object in the last write of that name, as it was sent (defaults of the API's types are filled in, nothing else)."""
        found = [
            event["requestObject"]
            for event in self
            if event["objectRef"]["resource"] == resource
            and "subresource" not in event["objectRef"]
            and event.get("requestObject", {}).get("metadata", {}).get("name") == name
            and ("dryRun=All" in event["requestURI"]) == dry
        ]
        return found[-1] if found else None


def printed(file: Path, user: str, server: str, options: Mapping[str, str]) -> list[Object]:
    """What ``afkit pod`` prints, as an administrator calls it."""
    words = ["pod", str(file), "--user", user, "--server", server, "--json", "--set", *(f"{key}={value}" for key, value in options.items())]
    command = [str(Path(sys.executable).with_name("afkit")), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    items: list[Object] = json.loads(ended.stdout)["items"]
    return items


def without(obj: Mapping[str, Any], fields: frozenset[tuple[str, ...]] = frozenset()) -> Object:
    """An object without what the server set anew, and without these fields."""
    # what stands in a list has no kind
    left: Object = {key: value for key, value in json.loads(json.dumps(obj)).items() if key not in ("kind", "apiVersion")}
    for key in SET_BY_THE_SERVER:
        left["metadata"].pop(key, None)
    for path in fields:
        holder = left
        for key in path[:-1]:
            holder = holder[key]
        holder.pop(path[-1], None)
    return left


@pytest.mark.parametrize("case", CASES)
def test_the_pod_that_was_sent_is_the_one_that_is_printed(hub: HubInPod, facility_file: Path, case: str) -> None:
    user, server, options = CASES[case]
    sent = Sent(hub, user)
    with hub.starting(user, options, server):
        live = until(lambda: next(iter(hub.pods(user)), None), 60, "the pod is made")
        secrets = until(lambda: _secrets(hub, user, live), 30, "what goes with it is made")
        hub.stop(user, server)
    until(lambda: not hub.pods(user), 60, "the pod is gone")
    items = printed(facility_file, user, server, options)
    (pod,) = (one for one in items if one["kind"] == "Pod")
    assert items[-1] is pod, "it is printed last"
    until(lambda: set(hub.objects(user, "secrets")).isdisjoint(secrets), 30, "what the pod owned is collected")
    answers = {one["metadata"]["name"]: _dry(hub, one) for one in items if one["kind"] != "PersistentVolumeClaim"}
    # as it was received: not one field differs
    name = pod["metadata"]["name"]
    until(lambda: sent.object("pods", name, dry=True), 10, "the audit log has the dry run")
    assert sent.object("pods", name, dry=False) == sent.object("pods", name, dry=True)
    # as it was stored, after everything that the cluster's admission adds
    assert without(live, SET_LATER) == without(answers[name], SET_LATER)
    for one in secrets.values():
        _same_secret(one, answers[one["metadata"]["name"]], live)
    assert {one["metadata"]["name"] for one in items if one["kind"] == "Secret"} == set(secrets)


def _secrets(hub: HubInPod, user: str, pod: Mapping[str, Any]) -> dict[str, Object]:
    """What the pod owns, once all of it is there: the Secrets that it names."""
    wanted = {volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume}
    wanted |= {source["secretRef"]["name"] for source in pod["spec"]["containers"][0]["envFrom"] if "secretRef" in source}
    found = hub.api.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/secrets")["items"]
    made = {one["metadata"]["name"]: one for one in found if one["metadata"]["name"] in wanted}
    assert user
    return made if made.keys() == wanted else {}


def _dry(hub: HubInPod, one: Mapping[str, Any]) -> Object:
    """What the API server would make of an object."""
    path = path_of(kind_of(one["kind"]), one["metadata"]["namespace"])
    return hub.api.request("POST", f"{path}?dryRun=All", one)


def _same_secret(live: Object, answer: Object, pod: Mapping[str, Any]) -> None:
    """Owned by the pod, and otherwise the printed one; tokens and addresses of the hub's own are nobody else's to know."""
    assert live["metadata"].pop("ownerReferences") == [
        {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    ]
    if live["metadata"]["name"].endswith("-hub"):
        assert "JUPYTERHUB_API_TOKEN" in live.pop("data")
        assert "data" not in answer
    assert without(live) == without(answer)


def test_a_claim_that_is_made_is_the_one_that_is_printed(hub: HubInPod, facility_file: Path) -> None:
    """For somebody who has never been here: their home is made at the first start and kept."""
    options = {"profile": "plain"}
    hub.add("noor")
    claims = f"/api/v1/namespaces/{hub.place('noor')}/persistentvolumeclaims"
    hub.api.delete(f"{claims}/afkit-home")
    until(lambda: not any(one["metadata"]["name"] == "afkit-home" for one in hub.api.get(claims)["items"]), 60, "no home")
    sent = Sent(hub, "noor")
    with hub.starting("noor", options):
        until(lambda: hub.pods("noor"), 60, "the pod is made")
        hub.stop("noor")
    (claim,) = (one for one in printed(facility_file, "noor", "", options) if one["kind"] == "PersistentVolumeClaim")
    made = sent.object("persistentvolumeclaims", "afkit-home", dry=False)
    other = {**claim, "metadata": {**claim["metadata"], "name": "afkit-home-as-printed"}}
    _dry(hub, other)
    told = until(lambda: sent.object("persistentvolumeclaims", "afkit-home-as-printed", dry=True), 10, "the audit log has the dry run")
    assert made is not None
    assert made == {**told, "metadata": {**told["metadata"], "name": "afkit-home"}}
