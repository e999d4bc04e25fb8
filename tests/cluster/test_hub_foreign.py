"""What bears the name of a person's objects and is somebody else's, and lifetimes: through the hub in its pod.

Nothing of another owner is used, changed or deleted; the sentence says whose eyes it needs.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import pytest

from afkit.names import FACILITY_LABEL, OWNER_LABEL, USER_ANNOTATION
from afkit.services.namespaces.keeper import COPIES
from tests.cluster.others import Facility
from tests.cluster.test_hub_pending import only_homes_are_left
from tests.hub.harness import until
from tools.kubernetes.api import Object

pytestmark = [
    pytest.mark.timeout(300, func_only=True),
    pytest.mark.slow("real servers, one after another, and looks that the hub takes twice a minute"),
]

PLAIN: Final = {"profile": "plain"}


@pytest.fixture(autouse=True)
def nothing_runs(contrary: Facility) -> None:
    contrary.stop_all()


@pytest.fixture
def user() -> str:
    """Somebody whom no other test has: hub and cluster know nothing of them."""
    return f"user-{secrets.token_hex(4)}"


def is_left_alone(hub: Facility, path: str, before: Object) -> None:
    """The object is as it was, to the byte."""
    after = hub.api.get(path)["metadata"]
    assert (after["uid"], after["resourceVersion"]) == (before["metadata"]["uid"], before["metadata"]["resourceVersion"])


def refused(hub: Facility, user: str, sentence: str) -> None:
    """A start says this, at once, and leaves no pod."""
    start = hub.begin(user, PLAIN)
    message = start.failed()
    assert sentence in message
    assert "administrators" in message
    assert start.seconds < 15
    until(lambda: hub.pods(user) == [], 20, "no pod is left")


def test_a_namespace_of_somebody_else(contrary: Facility, user: str) -> None:
    place = contrary.place(user)
    path = f"/api/v1/namespaces/{place}"
    before = contrary.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": place, "labels": {"team": "other"}}})
    contrary.api.until(f"{path}/serviceaccounts/default", lambda one: one is not None)
    before = contrary.api.get(path)
    try:
        refused(contrary, user, f"The Namespace {place} belongs to somebody else, and nothing of it is used.")
        is_left_alone(contrary, path, before)
        assert contrary.left(user)["persistentvolumeclaims"] == set()
    finally:
        contrary.api.delete(path)


@pytest.mark.parametrize("label", [OWNER_LABEL, FACILITY_LABEL])
def test_a_namespace_whose_label_was_tampered_with(contrary: Facility, user: str, label: str) -> None:
    assert contrary.start(user, PLAIN).status_code == 201
    assert contrary.stop(user).status_code == 204
    path = f"/api/v1/namespaces/{contrary.place(user)}"
    mine = contrary.api.get(path)["metadata"]["labels"][label]
    contrary.api.merge(path, {"metadata": {"labels": {label: "other"}}})
    before = contrary.api.get(path)
    # a hub that has asked lately does not ask again so soon; the next one does
    contrary.kill()
    refused(contrary, user, f"The Namespace {contrary.place(user)} belongs to somebody else, and nothing of it is used.")
    is_left_alone(contrary, path, before)
    contrary.api.merge(path, {"metadata": {"labels": {label: mine}, "annotations": {USER_ANNOTATION: "somebody"}}})
    assert contrary.start(user, PLAIN).status_code == 201
    assert contrary.api.get(path)["metadata"]["annotations"][USER_ANNOTATION] == user, "an annotation decides nothing, and is put right"


def test_a_home_of_somebody_else(contrary: Facility, user: str) -> None:
    assert contrary.start(user, PLAIN).status_code == 201
    assert contrary.stop(user).status_code == 204
    path = f"/api/v1/namespaces/{contrary.place(user)}/persistentvolumeclaims/afkit-home"
    mine = contrary.api.get(path)["metadata"]["labels"]
    for tampered in ({OWNER_LABEL: "somebody"}, {OWNER_LABEL: None}, {FACILITY_LABEL: "another"}):
        contrary.api.merge(path, {"metadata": {"labels": tampered}})
        before = contrary.api.get(path)
        refused(contrary, user, "There is a PersistentVolumeClaim 'afkit-home' in the cluster already that belongs to somebody else.")
        is_left_alone(contrary, path, before)
        contrary.api.merge(path, {"metadata": {"labels": {key: mine[key] for key in tampered}}})
    contrary.api.merge(path, {"metadata": {"annotations": {USER_ANNOTATION: "somebody"}}})
    assert contrary.start(user, PLAIN).status_code == 201, "an annotation decides nothing"


def test_a_secret_of_somebody_else(contrary: Facility, user: str) -> None:
    """It is met when the pod is made already: the pod goes again."""
    assert contrary.start(user, PLAIN).status_code == 201
    (pod,) = contrary.pods(user)
    name = f"{pod['metadata']['name']}-hub"
    assert contrary.stop(user).status_code == 204
    only_homes_are_left(contrary, user)
    place = f"/api/v1/namespaces/{contrary.place(user)}/secrets"
    before = contrary.api.request("POST", place, {"metadata": {"name": name}, "stringData": {"theirs": "kept"}})
    try:
        refused(contrary, user, f"There is a Secret '{name}' in the cluster already that belongs to somebody else.")
        is_left_alone(contrary, f"{place}/{name}", before)
    finally:
        contrary.api.delete(f"{place}/{name}")
    assert contrary.start(user, PLAIN).status_code == 201


def pod(name: str, hub: Facility, owner: str) -> Mapping[str, Any]:
    """A pod that looks like a server of this facility."""
    labels = {FACILITY_LABEL: hub.facility.name, OWNER_LABEL: owner, "component": "singleuser-server"}
    tight = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    resources = {"limits": {"cpu": "10m", "memory": "10Mi"}}
    container = {"name": "notebook", "image": "docker.io/local/nothing-here:1", "securityContext": tight, "resources": resources}
    whole = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"securityContext": whole, "containers": [container], "nodeSelector": {"pool.example.org/nobody": "true"}}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def test_a_server_that_no_hub_knows_is_removed_and_that_of_another_owner_is_not(contrary: Facility, user: str) -> None:
    assert contrary.start(user, PLAIN).status_code == 201
    place = f"/api/v1/namespaces/{contrary.place(user)}/pods"
    contrary.api.request("POST", place, pod("stray", contrary, contrary.owner(user)))
    theirs = contrary.api.request("POST", place, pod("theirs", contrary, contrary.owner("somebody")))
    (mine,) = [one for one in contrary.pods(user) if one["metadata"]["name"] != "stray"]
    begun = time.monotonic()
    try:
        contrary.api.until(f"{place}/stray", lambda one: one is None or "deletionTimestamp" in one["metadata"], 90)
        print(f"a stray was removed after {time.monotonic() - begun:.0f} s")
        time.sleep(2)  # both were found by the same looks
        found = contrary.api.get(f"{place}/theirs")["metadata"]
        assert (found["uid"], "deletionTimestamp" in found) == (theirs["metadata"]["uid"], False)
        assert contrary.api.get(f"{place}/{mine['metadata']['name']}")["metadata"]["uid"] == mine["metadata"]["uid"]
        assert (contrary.server(user) or {}).get("ready")
    finally:
        contrary.api.request("DELETE", f"{place}/theirs", {"gracePeriodSeconds": 0})


def test_a_running_server_whose_owner_label_was_changed(contrary: Facility, user: str) -> None:
    assert contrary.start(user, PLAIN).status_code == 201
    (made,) = contrary.pods(user)
    path = f"/api/v1/namespaces/{contrary.place(user)}/pods/{made['metadata']['name']}"
    contrary.api.merge(path, {"metadata": {"labels": {OWNER_LABEL: "somebody"}}})
    until(lambda: contrary.server(user) is None, 30, "the hub no longer takes it for this person's server")
    refused(contrary, user, f"There is a Pod '{made['metadata']['name']}' in the cluster already that belongs to somebody else.")
    found = contrary.api.get(path)["metadata"]
    assert (found["uid"], "deletionTimestamp" in found) == (made["metadata"]["uid"], False)
    contrary.api.request("DELETE", path, {"gracePeriodSeconds": 0})
    contrary.api.until(path, lambda one: one is None)
    assert contrary.start(user, PLAIN).status_code == 201


# lifetimes


@pytest.mark.parametrize(
    ("profile", "seconds", "sentence"),
    [
        ("brief", 20, "The server was stopped: it had run for 20s, the longest it may."),
        ("quiet", 15, "The server was stopped: nothing had happened in it for 15s."),
    ],
)
def test_a_server_ends_with_its_lifetime(contrary: Facility, user: str, profile: str, seconds: int, sentence: str) -> None:
    asked = time.monotonic()
    assert contrary.start(user, {"profile": profile}).status_code == 201
    ready = time.monotonic()
    until(lambda: contrary.pods(user) == [], 90, "the server's time is over")
    lived = time.monotonic() - asked
    print(f"{profile}: gone {lived:.1f} s after it was asked for, {time.monotonic() - ready:.1f} s after it was ready")
    assert lived > seconds
    until(lambda: contrary.server(user) is None, 10, "the hub's books are closed")
    assert contrary.how_it_ended(user) == sentence
    assert sentence.partition(": ")[2] in contrary.page(user, f"/hub/user/{user}/lab")
    only_homes_are_left(contrary, user)


def test_a_copy_of_a_secret_that_the_file_names_no_longer_is_removed(contrary: Facility, user: str) -> None:
    """Only the copy itself, and only when nothing of the person runs that may need it."""
    assert contrary.start(user, PLAIN).status_code == 201
    place = f"/api/v1/namespaces/{contrary.place(user)}"
    old = contrary.api.request("POST", f"{place}/secrets", {"metadata": {"name": "old"}, "stringData": {"key": "value"}})
    theirs = contrary.api.request("POST", f"{place}/secrets", {"metadata": {"name": "theirs"}, "stringData": {"key": "value"}})
    noted = json.loads(contrary.api.get(place)["metadata"]["annotations"][COPIES])
    assert set(noted) == {"keys"}
    noted |= {"old": old["metadata"]["uid"], "theirs": old["metadata"]["uid"]}
    contrary.api.merge(place, {"metadata": {"annotations": {COPIES: json.dumps(noted)}}})
    # something else of this person: a hub that asks anew leaves the copy where it is
    contrary.api.request("POST", f"{place}/pods", pod("beside", contrary, contrary.owner("nobody")))
    assert contrary.stop(user).status_code == 204
    contrary.kill()
    assert contrary.start(user, PLAIN).status_code == 201
    assert {"old", "theirs", "keys"} <= contrary.left(user)["secrets"]
    contrary.api.request("DELETE", f"{place}/pods/beside", {"gracePeriodSeconds": 0})
    assert contrary.stop(user).status_code == 204
    contrary.kill()
    assert contrary.start(user, PLAIN).status_code == 201
    assert contrary.left(user)["secrets"] >= {"theirs", "keys"}
    assert "old" not in contrary.left(user)["secrets"]
    is_left_alone(contrary, f"{place}/secrets/theirs", theirs)
