"""People whose names become one another's when they are escaped, side by side: in namespaces of their own, and all in one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from afkit.names import OWNER_LABEL
from afkit.pods.layout import MANIFESTS
from afkit.pods.slugs import escaped, safe
from afkit.render.table import CLUSTER, SESSIONS_NAMESPACE, rights_table
from tests.cluster.others import Facility, beside
from tests.cluster.site import Site
from tests.hub.harness import Kernel, until
from tests.support.secrets import Secrets
from tools.kubernetes.api import Api, ApiError
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.deploy import apply, fill
from tools.kubernetes.site import shared

pytestmark = [
    pytest.mark.timeout(400, func_only=True),
    pytest.mark.slow("servers of people with colliding names, all at once, each with a kernel"),
]

COLLIDING: Final = ("a_b", escaped("a_b"), safe("a_b"), "a-b", "ada", "\N{CYRILLIC SMALL LETTER A}da")
"""A name, the names that its escapings are, one that is the same but for the dash, and two that look the same."""


def start_all(hub: Facility, people: tuple[str, ...]) -> Mapping[str, Mapping[str, Any]]:
    """Servers of all of them at the same time; returns each one's pod."""
    hub.stop_all()
    with ThreadPoolExecutor(len(people)) as pool:
        answers = dict(zip(people, pool.map(lambda name: hub.start(quote(name), {"profile": "plain"}), people), strict=True))
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(people, 201), [a.text for a in answers.values()]
    pods = {}
    for name in people:
        (pods[name],) = hub.pods(name)
    return pods


@pytest.fixture(scope="module")
def apart(contrary: Facility) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    yield start_all(contrary, COLLIDING)
    contrary.stop_all()


def test_the_names_collide() -> None:
    """Otherwise nothing here would be tried."""
    assert len(set(COLLIDING)) == len(COLLIDING)
    assert {escaped("a_b"), safe("a_b")} <= set(COLLIDING)


def test_each_has_a_namespace_a_pod_a_home_and_an_address_of_their_own(contrary: Facility, apart: Mapping[str, Mapping[str, Any]]) -> None:
    several = len(COLLIDING)
    assert len({pod["metadata"]["namespace"] for pod in apart.values()}) == several
    assert len({pod["metadata"]["labels"][OWNER_LABEL] for pod in apart.values()}) == several
    assert len({pod["status"]["podIP"] for pod in apart.values()}) == several
    for name, pod in apart.items():
        assert pod["metadata"]["annotations"]["afkit.io/user"] == name
    volumes = set()
    for name in COLLIDING:
        claim = contrary.api.get(f"/api/v1/namespaces/{contrary.place(name)}/persistentvolumeclaims/afkit-home")
        assert claim["metadata"]["annotations"]["afkit.io/user"] == name
        volumes.add(claim["spec"]["volumeName"])
    assert len(volumes) == several
    urls = {(contrary.server(quote(name)) or {}).get("url") for name in COLLIDING}
    assert len(urls) == several
    neither_reaches_another(contrary, apart)


def neither_reaches_another(hub: Facility, pods: Mapping[str, Mapping[str, Any]]) -> None:
    """Not by the proxy with a token of their own, not over the network, and not by their files."""
    tokens = {name: hub.token_of(quote(name)) for name in pods}
    addresses = {name: pod["status"]["podIP"] for name, pod in pods.items()}
    for mine, other in itertools.product(pods, repeat=2):
        headers = {"Authorization": f"token {tokens[mine]}"}
        answer = httpx.get(f"{hub.url}/user/{quote(other)}/api/status", headers=headers, timeout=30)
        assert answer.status_code == 200 if mine == other else answer.status_code in (403, 404), (mine, other, answer.status_code)
        stop = httpx.delete(f"{hub.url}/hub/api/users/{quote(other)}/server", headers=headers, timeout=30) if mine != other else None
        assert stop is None or stop.status_code in (403, 404), (mine, other, stop.status_code)
    for name in pods:
        others = [address for other, address in addresses.items() if other != name]
        with kernel_of(hub, name) as kernel:
            said = json.loads(kernel.run(LOOK.format(others=others, name=name)))
        assert said == {"reached": [], "found": []}, name
    for name in pods:
        with kernel_of(hub, name) as kernel:
            assert kernel.run("import pathlib; print(*(one.read_text() for one in pathlib.Path.home().glob('mine-*.txt')))").strip() == name


def kernel_of(hub: Facility, name: str) -> Kernel:
    return hub.kernel(quote(name))


LOOK: Final = """
import json, pathlib, socket
from concurrent.futures import ThreadPoolExecutor

def reached(address):
    try:
        socket.create_connection((address, 8888), 3).close()
        return address
    except OSError:
        return None

with ThreadPoolExecutor() as pool:
    reached = [one for one in pool.map(reached, {others!r}) if one]
found = [one.read_text() for one in pathlib.Path.home().glob("mine-*.txt") if one.read_text() != {name!r}]
pathlib.Path.home().joinpath("mine-1.txt").write_text({name!r})
print(json.dumps({{"reached": reached, "found": found}}))
"""
"""In a person's server: which of the others answers, what they have left in the home, and a sign of one's own for them."""


def test_the_server_of_one_is_stopped_and_the_others_stay(contrary: Facility, apart: Mapping[str, Mapping[str, Any]]) -> None:
    assert contrary.stop("a_b").status_code == 204
    until(lambda: contrary.pods("a_b") == [], 60, "the pod is gone")
    for name in COLLIDING[1:]:
        (pod,) = contrary.pods(name)
        assert pod["metadata"]["uid"] == apart[name]["metadata"]["uid"]
        assert "deletionTimestamp" not in pod["metadata"]


# all in one namespace


@pytest.fixture(scope="module")
def together(cluster: Cluster, secrets_seen: Secrets) -> Iterator[Facility]:
    """A facility with one namespace."""
    with beside(cluster, Path(__file__).parent / "together.yaml", secrets_seen) as made:
        folder = cluster.volume_root / "data" / "together"
        fill(cluster.volume_root / "data", [str(folder)])
        # a claim that stands beside the servers, which is the site's to make here
        apply(cluster, shared(made.facility, "data", folder))
        yield made


NEIGHBOURS: Final = COLLIDING[:3]


@pytest.fixture(scope="module")
def neighbours(together: Facility) -> Mapping[str, Mapping[str, Any]]:
    return start_all(together, NEIGHBOURS)


def test_people_of_one_namespace_stay_apart(together: Facility, neighbours: Mapping[str, Mapping[str, Any]]) -> None:
    assert {pod["metadata"]["namespace"] for pod in neighbours.values()} == {together.namespace}
    assert len({pod["metadata"]["name"] for pod in neighbours.values()}) == len(NEIGHBOURS)
    claims = {name: {volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume}
              for name, pod in neighbours.items()}  # fmt: skip
    for mine, other in itertools.combinations(NEIGHBOURS, 2):
        assert claims[mine] & claims[other] == {"data"}
    secrets = {name: _named(pod, "secretKeyRef", "secretRef") | _named(pod, "secret") for name, pod in neighbours.items()}
    for mine, other in itertools.combinations(NEIGHBOURS, 2):
        assert secrets[mine] & secrets[other] == {"keys"}
    neither_reaches_another(together, neighbours)


def _named(value: Any, *keys: str) -> set[str]:
    """Names of Secrets that a Pod refers to, however deep."""
    if isinstance(value, list):
        return set().union(*(_named(one, *keys) for one in value))
    if not isinstance(value, Mapping):
        return set()
    found = set().union(*(_named(one, *keys) for one in value.values()))
    return found | {str(one.get("name") or one.get("secretName")) for key in keys if isinstance(one := value.get(key), Mapping)}


def test_a_server_of_one_namespace_has_no_way_to_the_api(together: Facility, neighbours: Mapping[str, Mapping[str, Any]]) -> None:
    with kernel_of(together, "a_b") as kernel:
        assert kernel.run("import os; print(os.path.exists('/var/run/secrets/kubernetes.io/serviceaccount/token'))").strip() == "False"
        reach = "socket.create_connection(('kubernetes.default.svc.cluster.local', 443), 3)"
        said = kernel.run(f"import socket\ntry:\n    {reach}\n    print('reached')\nexcept OSError as e: print(type(e).__name__)").strip()
        assert said != "reached"


def test_rights_in_one_namespace_are_those_of_the_table(
    together: Facility, neighbours: Mapping[str, Mapping[str, Any]], api: Api, kubeconfig: Path, tmp_path: Path
) -> None:
    place = Site(together.facility, api, kubeconfig, tmp_path)
    everybody = rules(place, "default", "kube-system")
    for account in ("afkit-hub", "afkit-session"):
        table = {
            (right.group, right.resource, tuple(sorted(right.verbs)), tuple(sorted(right.names)))
            for right in rights_table(together.facility, MANIFESTS)
            if right.identity == account and right.place == SESSIONS_NAMESPACE
        }
        assert rules(place, account, together.namespace) - everybody == table, account
        assert rules(place, account, "kube-system") - everybody == set(), account
        assert not [right for right in rights_table(together.facility, MANIFESTS) if right.place == CLUSTER]
    hub = place.call("afkit-hub")
    pods = hub("GET", f"/api/v1/namespaces/{together.namespace}/pods")["items"]
    assert {pod["metadata"]["name"] for pod in pods} >= {pod["metadata"]["name"] for pod in neighbours.values()}
    for path in ("/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/default/pods"):
        with pytest.raises(ApiError) as caught:
            hub("GET", path)
        assert caught.value.status == 403, path


def rules(place: Site, account: str, namespace: str) -> set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """What an account may do in a namespace, as ``kubectl auth can-i --list`` shows it."""
    asked = {"spec": {"namespace": namespace}, "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    status = place.call(account)("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", asked)["status"]
    return {
        (group, resource, tuple(sorted(rule["verbs"])), tuple(sorted(rule.get("resourceNames", []))))
        for rule in status["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_object_of_another_person_in_the_one_namespace_is_left_alone(together: Facility) -> None:
    """The pod of ``a-b`` gets the owner of ``a_b``: neither of them can start over it or stop it."""
    assert together.start("a-b", {"profile": "plain"}).status_code == 201
    (pod,) = together.pods("a-b")
    path = f"/api/v1/namespaces/{together.namespace}/pods/{pod['metadata']['name']}"
    together.api.merge(path, {"metadata": {"labels": {OWNER_LABEL: together.owner("a_b")}}})
    try:
        until(lambda: together.server("a-b") is None, 30, "the hub no longer takes it for the server of a-b")
        answer = together.start("a-b", {"profile": "plain"})
        assert answer.status_code == 424, answer.text
        assert "belongs to somebody else" in answer.json()["message"]
        found = together.api.get(path)["metadata"]
        assert (found["uid"], "deletionTimestamp" in found) == (pod["metadata"]["uid"], False)
    finally:
        together.api.request("DELETE", path, {"gracePeriodSeconds": 0})
