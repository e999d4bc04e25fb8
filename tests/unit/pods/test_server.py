"""The whole Pod: security, files, the administrator's own configuration under it, the layers' own Pod over it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from afkit.errors import IncompatibleError
from afkit.facility.model import Facility, IdentityRules, Layer, RunAs
from afkit.pods.layers import session_of
from afkit.pods.overlay import Choice, files_of, finish, overlay
from afkit.pods.server import ServerObjects
from afkit.pods.site import Site
from afkit.policy.capacity import declared
from afkit.policy.entitle import entitle
from afkit.policy.offer import offer
from afkit.policy.select import select
from tests.unit.pods.asking import ada, env, identity, loaded, main, mounts, server, volumes
from tests.unit.pods.kube import containers, restricted, valid

GROUP = "cms:/cms"


def with_pod(pod: dict[str, Any], site: Site | None = None) -> ServerObjects:
    """The example with this ``pod`` in its session."""
    made = server(replace(loaded("example.yaml"), session=Layer(pod=pod)), {}, GROUP, site=site)
    valid(made.pod)
    return made


def running_as(rules: RunAs) -> Facility:
    whole = loaded("example.yaml")
    assert whole.identity is not None
    return replace(whole, identity=replace(whole.identity, run_as=rules))


# security
def test_whoever_says_nothing_is_restricted() -> None:
    made = server(loaded("example.yaml"), {}, GROUP).pod["spec"]
    restricted(made)
    assert made["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 100,
        "runAsNonRoot": True,
        "fsGroup": 100,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert made["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_one_token_and_none_of_the_api_servers() -> None:
    made = server(loaded("example.yaml"), {}, GROUP)
    spec = made.pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "afkit-session"
    tokens = [
        part for volume in spec["volumes"] for part in volume.get("projected", {}).get("sources", ()) if "serviceAccountToken" in part
    ]
    [token] = [part["serviceAccountToken"] for part in tokens]
    assert token["audience"] == "afkit-services"
    assert env(made)["AFKIT_TOKEN_FILE"] == "/var/run/secrets/afkit.io/services/token"
    assert with_pod({"spec": {"automountServiceAccountToken": True}}).pod["spec"]["automountServiceAccountToken"] is False


def test_a_container_that_starts_as_root_says_whom_it_becomes() -> None:
    made = server(running_as(RunAs(uid=5, gid=6, root=True)), {}, GROUP)
    context = main(made)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["runAsNonRoot"]) == (0, 0, False)
    assert {"SETUID", "SETGID", "CHOWN"} <= set(context["capabilities"]["add"])
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["allowPrivilegeEscalation"] is False
    assert (env(made)["NB_UID"], env(made)["NB_GID"]) == ("5", "6")
    # other containers are nobody's root
    assert made.pod["spec"]["securityContext"]["runAsUser"] == 5
    assert made.pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert "NB_UID" not in env(server(running_as(RunAs(uid=5)), {}, GROUP))


def test_ids_as_the_file_says_them() -> None:
    spec = server(running_as(RunAs(uid=0, gid=0, fs_group="none", groups=(7, 8))), {}, GROUP).pod["spec"]
    assert spec["securityContext"] == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "supplementalGroups": [7, 8],
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize(
    ("said", "context"),
    [
        ({"privileged": True}, {"privileged": True, "capabilities": {"drop": ["ALL"]}}),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
        ({"capabilities": {"drop": ["NET_RAW"]}}, {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["NET_RAW"]}}),
        ({"allowPrivilegeEscalation": True}, {"allowPrivilegeEscalation": True, "capabilities": {"drop": ["ALL"]}}),
        (
            {"seccompProfile": {"type": "Unconfined"}},
            {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "Unconfined"}, "capabilities": {"drop": ["ALL"]}},
        ),
    ],
)
@pytest.mark.parametrize("name", ["notebook", "side"])
def test_what_the_file_says_to_the_contrary_holds(name: str, said: dict[str, Any], context: dict[str, Any]) -> None:
    side = {"name": name, "securityContext": said} | ({"image": "side"} if name == "side" else {})
    found = [one for one in containers(with_pod({"spec": {"containers": [side]}}).pod["spec"]) if one["name"] == name]
    assert [one["securityContext"] for one in found] == [context]


# files
def test_files_come_read_only_from_a_secret_that_goes_with_the_server() -> None:
    made = server(loaded("wide.yaml"), {}, "lab:staff")
    [secret] = [thing for thing in made.owned if thing["metadata"]["name"] == "jupyter-ada-files"]
    assert secret["stringData"] == {"0-site.conf": "second", "1-site.conf": "user = ada\nbraces = {other}\n"}
    assert mounts(made)["/etc/site.conf"] == {
        "name": "afkit-files",
        "mountPath": "/etc/site.conf",
        "subPath": "1-site.conf",
        "readOnly": True,
    }
    assert volumes(made)["afkit-files"] == {"secret": {"secretName": "jupyter-ada-files", "defaultMode": 0o444}}


def test_without_files_there_is_no_volume_for_them() -> None:
    made = server(replace(loaded("example.yaml"), session=Layer()), {}, GROUP)
    assert "afkit-files" not in volumes(made)
    assert made.owned == (made.secret,)


def test_files_that_no_secret_holds_are_refused_in_a_sentence() -> None:
    files = {"/a": "x" * 600_000, "/b": "y" * 600_000}
    with pytest.raises(IncompatibleError, match="larger than Kubernetes"):
        server(replace(loaded("example.yaml"), session=Layer(files=files)), {}, GROUP)


def test_a_mount_or_volume_of_the_name_of_ours_changes_nothing() -> None:
    whole = loaded("example.yaml")
    shared = {**whole.storage.shared, "afkit-token": replace(whole.storage.shared["datasets"], name="afkit-token", mount="/mine")}
    pod = {"spec": {"volumes": [{"name": "afkit-files", "emptyDir": {}}, {"name": "afkit-token-x", "emptyDir": {}}]}}
    session = replace(whole.session, pod=pod, storage=("afkit-token",))
    profile = replace(whole.profiles["analysis"], layer=Layer())
    made = server(replace(whole, storage=replace(whole.storage, shared=shared), session=session, profiles={"analysis": profile}), {}, GROUP)
    valid(made.pod)
    assert mounts(made)["/mine"]["name"] == "afkit-token"
    assert "projected" in volumes(made)[mounts(made)["/var/run/secrets/afkit.io/services"]["name"]]
    assert "secret" in volumes(made)[mounts(made)["/etc/rucio.cfg"]["name"]]


# the administrator's own configuration
BASE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "other",
        "namespace": "other",
        "creationTimestamp": None,
        "labels": {"app": "jupyterhub", "app.kubernetes.io/managed-by": "kubespawner", "afkit.io/owner": "somebody", "site": "x"},
        "annotations": {"hub.jupyter.org/kubespawner-version": "7", "site": "y"},
    },
    "spec": {
        "restartPolicy": "Never",
        "serviceAccountName": "cluster-admin",
        "automountServiceAccountToken": True,
        "runtimeClassName": "other",
        "nodeSelector": {"kubernetes.io/arch": "s390x", "site": "z"},
        "tolerations": [{"key": "hub.jupyter.org/dedicated", "operator": "Equal", "value": "user", "effect": "NoSchedule"}],
        "imagePullSecrets": [],
        "securityContext": {"runAsUser": 0, "fsGroup": 9, "supplementalGroups": [9], "sysctls": [{"name": "a", "value": "b"}]},
        "volumes": [{"name": "home", "emptyDir": {}}, {"name": "site", "emptyDir": {}}],
        "containers": [
            {"name": "side", "image": "side", "env": [{"name": "A", "value": "1"}]},
            {
                "name": "notebook",
                "image": "other",
                "imagePullPolicy": "Never",
                "args": ["start"],
                "ports": [{"containerPort": 1, "name": "notebook-port"}],
                "lifecycle": {},
                "resources": {"limits": {"cpu": "99"}, "requests": {}},
                "env": [{"name": "AFKIT_POOL", "value": "other"}, {"name": "SITE", "value": "$(TZ)"}],
                "envFrom": [{"configMapRef": {"name": "site"}}],
                "securityContext": {"runAsUser": 0, "privileged": True, "allowPrivilegeEscalation": True, "procMount": "Default"},
                "volumeMounts": [{"name": "site", "mountPath": "/site"}],
            },
        ],
    },
}


def test_the_administrators_own_configuration_stays_where_the_file_says_nothing() -> None:
    made = server(loaded("example.yaml"), {}, GROUP, site=Site("server", BASE, 8000))
    valid(made.pod)
    restricted(made.pod["spec"])
    spec, own = made.pod["spec"], main(made)
    assert made.pod["metadata"]["labels"]["site"] == "x"
    assert made.pod["metadata"]["annotations"]["site"] == "y"
    assert spec["restartPolicy"] == "Never"
    assert spec["tolerations"] == BASE["spec"]["tolerations"]
    assert spec["securityContext"]["sysctls"] == [{"name": "a", "value": "b"}]
    assert own["args"] == ["start"]
    assert own["envFrom"] == [{"secretRef": {"name": "server-hub"}}, {"configMapRef": {"name": "site"}}]
    assert env(made)["SITE"] == "$(TZ)"
    assert own["securityContext"]["procMount"] == "Default"
    assert mounts(made)["/site"]["name"] == "site"
    assert [one["name"] for one in spec["containers"]] == ["notebook", "side"]


def test_what_the_file_decides_is_the_files() -> None:
    made = server(loaded("example.yaml"), {}, GROUP, site=Site("server", BASE, 8000))
    plain = server(loaded("example.yaml"), {}, GROUP)
    assert (made.pod["metadata"]["name"], made.pod["metadata"]["namespace"]) == ("server", plain.pod["metadata"]["namespace"])
    for key in ("app.kubernetes.io/managed-by", "afkit.io/owner"):
        assert made.pod["metadata"]["labels"][key] == plain.pod["metadata"]["labels"][key]
    assert "hub.jupyter.org/kubespawner-version" not in made.pod["metadata"]["annotations"]
    spec, own = made.pod["spec"], main(made)
    assert spec["serviceAccountName"] == "afkit-session"
    assert spec["automountServiceAccountToken"] is False
    assert "runtimeClassName" not in spec
    assert spec["nodeSelector"]["kubernetes.io/arch"] == "amd64"
    for key in ("runAsUser", "fsGroup"):
        assert spec["securityContext"][key] == plain.pod["spec"]["securityContext"][key]
    assert "supplementalGroups" not in spec["securityContext"]
    assert own["ports"] == [{"name": "notebook-port", "containerPort": 8000}]
    for key in ("image", "imagePullPolicy", "resources"):
        assert own[key] == main(plain)[key]
    assert env(made)["AFKIT_POOL"] == "cpu"
    assert volumes(made)["home"] == volumes(plain)["home"]


def test_the_base_is_not_changed() -> None:
    before = repr(BASE)
    server(loaded("example.yaml"), {}, GROUP, site=Site("server", BASE))
    assert repr(BASE) == before


# the layers' own Pod
def test_init_and_side_containers_and_settings_of_the_pod() -> None:
    made = server(loaded("wide.yaml"), {}, "lab:staff")
    spec = made.pod["spec"]
    assert [one["name"] for one in spec["containers"]] == ["notebook", "agent"]
    assert [one["name"] for one in spec["initContainers"]] == ["prepare", "watcher"]
    assert spec["initContainers"][0]["command"] == ["prepare", "ada"]
    assert (spec["priorityClassName"], spec["terminationGracePeriodSeconds"]) == ("analysis", 20)
    assert made.pod["metadata"]["labels"]["example.org/kind"] == "ada"
    assert env(made)["NODE"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
    assert mounts(made)["/cache"]["name"] == "cache"


def test_a_node_is_never_cleared_of_servers_unless_the_file_says_so() -> None:
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict"
    assert with_pod({}).pod["metadata"]["annotations"][key] == "false"
    assert with_pod({"metadata": {"annotations": {key: "true"}}}).pod["metadata"]["annotations"][key] == "true"


@pytest.mark.parametrize(
    ("reference", "policy"),
    [("latest", "Always"), ("tagged", "IfNotPresent")],
)
def test_what_may_be_another_image_is_pulled_always(reference: str, policy: str) -> None:
    made = main(server(loaded("wide.yaml"), {"image": reference}, "lab:staff"))
    assert made["imagePullPolicy"] == policy
    changed = with_pod({"spec": {"containers": [{"name": "notebook", "imagePullPolicy": "Never"}]}})
    assert main(changed)["imagePullPolicy"] == "Never"


@pytest.mark.parametrize(
    ("reference", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("h:5000/a", "Always"),
        ("h:5000/a:latest", "Always"),
        ("h:5000/a:1", "IfNotPresent"),
        ("a@sha256:00", "IfNotPresent"),
        ("a:latest@sha256:00", "IfNotPresent"),
    ],
)
def test_references(reference: str, policy: str) -> None:
    whole = loaded("wide.yaml")
    image = replace(whole.images["tagged"], image=reference)
    made = server(replace(whole, images={**whole.images, "tagged": image}), {"image": "tagged"}, "lab:staff")
    assert main(made)["imagePullPolicy"] == policy


def test_pull_secrets_and_service_account() -> None:
    spec = server(loaded("wide.yaml"), {}, "lab:staff").pod["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["serviceAccountName"] == "analyst"


def test_every_object_says_whose_it_is() -> None:
    made = server(loaded("wide.yaml"), {"pool": "claims", "size": "two"}, "lab:staff", name="Ada@example.org")
    person = ada(loaded("wide.yaml"), "lab:staff", name="Ada@example.org")
    assert {thing["kind"] for thing in made.all()} == {"PersistentVolumeClaim", "Secret", "ResourceClaimTemplate", "Pod"}
    for thing in made.all():
        about = thing["metadata"]
        assert about["namespace"] == person.namespace
        assert about["labels"]["app.kubernetes.io/managed-by"] == "afkit"
        assert about["labels"]["afkit.io/facility"] == "wide"
        assert about["labels"]["afkit.io/owner"] == person.owner
        assert about["annotations"]["afkit.io/user"] == "Ada@example.org"
    assert made.all()[-1] is made.pod


def test_a_worker_gets_the_layers_too_and_no_init_or_side_container() -> None:
    facility = loaded("wide.yaml")
    who = identity(facility, "lab:staff")
    selection = select(offer(facility, entitle(facility, who), declared(facility)), {})
    person = ada(facility, "lab:staff")
    worker = Choice(facility, selection, session_of(facility, selection), person, person.names(), worker=True)
    part = overlay(worker, files_of(worker, "files"), {})
    spec = finish(worker, part.pod, part.hows)["spec"]
    assert [one["name"] for one in spec["containers"]] == ["notebook"]
    assert "initContainers" not in spec
    assert spec["priorityClassName"] == "analysis"
    assert "/cache" in {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert "/etc/site.conf" in {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert not {"JUPYTERHUB_DEFAULT_URL", "JUPYTERHUB_ACTIVITY_INTERVAL"} & {one["name"] for one in spec["containers"][0]["env"]}


def test_rules_without_identity() -> None:
    assert server(replace(loaded("example.yaml"), identity=IdentityRules()), {"pool": "cpu"}, "physicists").pod["metadata"]["namespace"]
