"""What the API server would say of an object: the shipped schema, and the level ``restricted``, read from its own page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema

from afkit.facility.kube_schema import definitions

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


@cache
def _schema(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": dict(definitions())})


def valid(thing: Mapping[str, Any]) -> None:
    """Fail where an object of a server is none that Kubernetes takes."""
    assert list(thing)[:3] == ["apiVersion", "kind", "metadata"]
    _check_metadata(thing["metadata"])
    if thing["kind"] == "Pod":
        _schema("PodSpec").validate(thing["spec"])
        _check_pod(thing["spec"])
    elif thing["kind"] == "PersistentVolumeClaim":
        _schema("PersistentVolumeClaimSpec").validate(thing["spec"])
        assert QUANTITY.fullmatch(thing["spec"]["resources"]["requests"]["storage"])
    elif thing["kind"] == "Secret":
        data = thing.get("stringData", {})
        assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) and isinstance(text, str) for key, text in data.items())
    else:
        assert (thing["apiVersion"], thing["kind"]) == ("resource.k8s.io/v1", "ResourceClaimTemplate")
        [request] = thing["spec"]["spec"]["devices"]["requests"]
        assert request["exactly"]["count"] > 0


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    _schema("ObjectMeta").validate(metadata)
    assert NAME.fullmatch(metadata["name"])
    assert len(metadata["name"]) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", metadata["namespace"])
    for key, value in metadata["labels"].items():
        assert LABEL_KEY.fullmatch(key)
        assert LABEL_VALUE.fullmatch(value), (key, value)
        assert len(value) <= 63


def containers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from spec.get("initContainers", ())
    yield from spec["containers"]


def _check_pod(spec: Mapping[str, Any]) -> None:
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(set(volumes)) == len(volumes)
    for volume in spec["volumes"]:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", volume["name"])
        assert len(volume) == 2, volume
    names = [container["name"] for container in containers(spec)]
    assert len(set(names)) == len(names)
    for container in containers(spec):
        mounts = container.get("volumeMounts", ())
        paths = [mount["mountPath"] for mount in mounts]
        assert len(set(paths)) == len(paths)
        assert {mount["name"] for mount in mounts} <= set(volumes)
        for amounts in (container.get("resources", {}).get(key, {}) for key in ("requests", "limits")):
            assert all(QUANTITY.fullmatch(amount) for amount in amounts.values())
        claims = {claim["name"] for claim in spec.get("resourceClaims", ())}
        assert {claim["name"] for claim in container.get("resources", {}).get("claims", ())} <= claims
        for variable in container.get("env", ()):
            assert len(variable) == 2
    for toleration in spec.get("tolerations", ()):
        assert toleration["operator"] in ("Exists", "Equal")
        assert "tolerationSeconds" not in toleration or toleration["effect"] == "NoExecute"


def restricted(spec: Mapping[str, Any]) -> None:
    """Fail where a Pod is not of the level ``restricted``, which is that of all others too."""
    assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= VOLUMES, volume
    whole = spec["securityContext"]
    for container in containers(spec):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert not context.get("privileged")
        assert context["capabilities"]["drop"] == ["ALL"]
        assert set(context["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"}
        assert context.get("runAsNonRoot", whole["runAsNonRoot"]) is True
        assert context.get("runAsUser", whole["runAsUser"]) != 0
        assert context.get("seccompProfile", whole["seccompProfile"])["type"] == "RuntimeDefault"
        assert not any(mount.get("mountPropagation") == "Bidirectional" for mount in container.get("volumeMounts", ()))
        assert not any(port.get("hostPort") for port in container.get("ports", ()))
