"""Parts of a Pod against Kubernetes' own schema and against the level of pod_security."""
# ruff: noqa: E501 - one case, one line

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afkit.facility.kube_schema import definitions

if TYPE_CHECKING:
    from tests.unit.facility.conftest import Checker

ROOT = Path(__file__).resolve().parents[3]
SIDE = "session: {{pod: {{spec: {{containers: [{{name: side, image: x, {}}}]}}}}}}\n"
SPEC = "session: {{pod: {{spec: {{{}}}}}}}\n"
VOLUME = "storage: {{shared: {{data: {{mount: /data, volume: {{{}}}}}}}}}\n"
LEVELS = ("restricted", "baseline", "privileged")

REFUSED = [
    # what only the level privileged takes
    ("cvmfs: {driver: host}\n", "privileged"),
    (VOLUME.format("hostPath: {path: /data}"), "privileged"),
    (SPEC.format("volumes: [{name: a, hostPath: {path: /a}}]"), "privileged"),
    (SPEC.format("hostNetwork: true"), "privileged"),
    (SPEC.format("hostPID: true"), "privileged"),
    (SPEC.format("hostIPC: true"), "privileged"),
    (SPEC.format("securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}"), "privileged"),
    (SPEC.format("securityContext: {seccompProfile: {type: Unconfined}}"), "privileged"),
    (SPEC.format("securityContext: {appArmorProfile: {type: Unconfined}}"), "privileged"),
    (SPEC.format("securityContext: {seLinuxOptions: {type: spc_t}}"), "privileged"),
    (SPEC.format("securityContext: {seLinuxOptions: {user: system_u}}"), "privileged"),
    (SPEC.format("securityContext: {windowsOptions: {hostProcess: true}}"), "privileged"),
    (SIDE.format("securityContext: {privileged: true}"), "privileged"),
    (SIDE.format("securityContext: {procMount: Unmasked}"), "privileged"),
    (SIDE.format("securityContext: {capabilities: {add: [SYS_ADMIN]}}"), "privileged"),
    (SIDE.format("ports: [{containerPort: 80, hostPort: 80}]"), "privileged"),
    (SIDE.format("livenessProbe: {httpGet: {port: 80, host: example.org}}"), "privileged"),
    (SIDE.format("lifecycle: {preStop: {tcpSocket: {port: 80, host: example.org}}}"), "privileged"),
    (SIDE.format("volumeMounts: [{name: home, mountPath: /h, mountPropagation: Bidirectional}]"), "privileged"),
    ("storage: {scratch: {size: 1Gi, mount: /s, propagation: Bidirectional}}\n", "privileged"),
    # what baseline takes too
    ("identity: {run_as: {root: true}}\n", "baseline"),
    ("identity: {run_as: {uid: 0}}\n", "baseline"),
    ("identity: {issuers: {a: {dialect: hub, run_as: {uid: 0}}}}\n", "baseline"),
    (SPEC.format("securityContext: {runAsNonRoot: false}"), "baseline"),
    (SIDE.format("securityContext: {runAsUser: 0}"), "baseline"),
    (SIDE.format("securityContext: {allowPrivilegeEscalation: true}"), "baseline"),
    (SIDE.format("securityContext: {capabilities: {add: [NET_RAW]}}").replace("NET_RAW", "CHOWN"), "baseline"),
    (SIDE.format("securityContext: {capabilities: {drop: [CHOWN]}}"), "baseline"),
    (SPEC.format("volumes: [{name: a, nfs: {server: a, path: /b}}]"), "baseline"),
    (VOLUME.format("cephfs: {monitors: [a]}"), "baseline"),
    # what every level takes
    (SIDE.format("securityContext: {capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}, runAsUser: 5, allowPrivilegeEscalation: false}"), "restricted"),
    (SPEC.format("volumes: [{name: a, emptyDir: {}}, {name: b, csi: {driver: x}}, {name: c, projected: {sources: []}}]"), "restricted"),
    (SPEC.format("hostNetwork: false, securityContext: {runAsNonRoot: true, seLinuxOptions: {type: container_t}}"), "restricted"),
    (VOLUME.format("nfs: {server: a, path: /b}"), "restricted"),
]  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("text", "needed"), REFUSED)
def test_the_level_refuses_what_breaks_it(text: str, needed: str, level: str, check: Checker) -> None:
    _, problems = check(text + f"kubernetes: {{pod_security: {level}}}\n")
    found = [problem for problem in problems if problem.code == "AF601"]
    assert bool(found) == (LEVELS.index(needed) > LEVELS.index(level))
    for problem in found:
        assert f"`pod_security: {needed}`" in problem.hint
        assert level in problem.message


def test_an_nfs_volume_stays_a_volume_where_people_share_a_namespace(check: Checker) -> None:
    text = VOLUME.format("nfs: {server: a, path: /b}") + "kubernetes: {user_namespaces: shared}\n"
    assert "AF601" in {problem.code for problem in check(text)[1]}


def test_a_file_without_kubernetes_is_judged_by_the_default_level(check: Checker) -> None:
    assert [problem.code for problem in check("cvmfs: {driver: host}\n")[1]] == ["AF601"]


def test_the_schema_is_made_from_the_installed_client() -> None:
    kubernetes = pytest.importorskip("kubernetes")
    del kubernetes
    text = (ROOT / "afkit" / "facility" / "pod_schema.json").read_text()
    if f"kubernetes client {version('kubernetes')}." not in text:
        pytest.skip("another version of the client is installed here")
    done = subprocess.run(
        [sys.executable, "-m", "tools.generate_pod_schema", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_reference_of_the_schema_is_defined() -> None:
    known = definitions()

    def refs(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"].rsplit("/", 1)[1]} if "$ref" in value else set()
            return own.union(*(refs(one) for one in value.values()))
        return set().union(*(refs(one) for one in value)) if isinstance(value, list) else set()

    assert refs(dict(known)) <= known.keys()
    assert {"PodSpec", "VolumeSource", "NetworkPolicyEgressRule", "ObjectMeta"} <= known.keys()


def test_problems_of_a_pod_have_the_place_of_the_key(check: Checker) -> None:
    _, problems = check(
        "session:\n  pod:\n    spec:\n      containers:\n        - name: side\n          image: x\n          volumeMount: []\n"
        "          livenessProbe:\n            periodSeconds: often\n"
    )
    assert [(problem.code, problem.line, problem.column, problem.hint) for problem in problems] == [
        ("AF402", 9, 11, "Did you mean 'volumeMounts'?"),
        ("AF403", 11, 28, "Write a whole number."),
    ]


def test_any_container_may_mount_storage_by_its_names(check: Checker) -> None:
    text = "storage: {home: {mount: /h, size: 1Gi}, shared: {data: {mount: /d, size: 1Gi}}}\n" + SIDE.format(
        "volumeMounts: [{name: home, mountPath: /h}, {name: data, mountPath: /x}, {name: cvmfs, mountPath: /cvmfs}]"
    )
    assert check(text)[1] == []
